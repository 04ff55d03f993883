//! Any sequence of operations does the same to both engines and to a small model in memory.
//!
//! The world: two repositories, four blobs, seven documents that name them and each other, two tags, a clock, and a
//! collector. Every answer is compared, and after each sequence everything that can be seen. Then all windows pass: what
//! is reachable is still there, and nothing else. `PROPTEST_CASES` says how many sequences, `SEED` which: it is printed.

mod collect;
mod compare;
mod retain;
mod run;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::runtime::Runtime;

use crate::harness::{House, KEEP, LEASE};
use run::Run;
use world::{BLOBS, DOCUMENTS, Model, REPOS, TAGS};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    PushBlob {
        repo: usize,
        blob: usize,
    },
    Mount {
        from: Option<usize>,
        into: usize,
        blob: usize,
    },
    Unlink {
        repo: usize,
        blob: usize,
    },
    Put {
        repo: usize,
        document: usize,
        tags: Vec<usize>,
        absent: bool,
    },
    /// What a client does: everything that a document needs and the repository lacks, then the document.
    Push {
        repo: usize,
        document: usize,
        tags: Vec<usize>,
    },
    Untag {
        repo: usize,
        tag: usize,
    },
    Trash {
        repo: usize,
        document: usize,
    },
    /// A rule lets a tag go.
    Retain {
        repo: usize,
        tag: usize,
    },
    /// Rules let everything go that nothing holds.
    RetainLoose {
        repo: usize,
    },
    Restore,
    DeleteRepo {
        repo: usize,
    },
    /// A pusher asks whether a blob is here, and will skip its upload.
    Look {
        repo: usize,
        blob: usize,
    },
    /// The same for a manifest.
    LookUp {
        repo: usize,
        document: usize,
    },
    /// Everything that is due is collected.
    Collect,
    Wait(usize),
}

/// How long steps wait: less than any window, and as long as each, or nearly.
pub(crate) const WAITS: [i64; 6] = [LEASE / 3, LEASE * 2 / 3, LEASE, KEEP - LEASE, KEEP, KEEP + 1];

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let repo = 0..REPOS.len();
    let blob = 0..BLOBS;
    let document = 0..DOCUMENTS.len();
    let tags = proptest::collection::vec(0..TAGS.len(), 0..=2);
    prop_oneof![
        4 => (repo.clone(), blob.clone()).prop_map(|(repo, blob)| Step::PushBlob { repo, blob }),
        1 => (proptest::option::of(repo.clone()), repo.clone(), blob.clone())
            .prop_map(|(from, into, blob)| Step::Mount { from, into, blob }),
        2 => (repo.clone(), blob).prop_map(|(repo, blob)| Step::Unlink { repo, blob }),
        6 => (repo.clone(), document.clone(), tags.clone())
            .prop_map(|(repo, document, tags)| Step::Push { repo, document, tags }),
        6 => (repo.clone(), document.clone(), tags, proptest::bool::weighted(0.2))
            .prop_map(|(repo, document, tags, absent)| Step::Put { repo, document, tags, absent }),
        2 => (repo.clone(), 0..TAGS.len()).prop_map(|(repo, tag)| Step::Untag { repo, tag }),
        8 => (repo.clone(), document.clone()).prop_map(|(repo, document)| Step::Trash { repo, document }),
        3 => (repo.clone(), 0..TAGS.len()).prop_map(|(repo, tag)| Step::Retain { repo, tag }),
        2 => repo.clone().prop_map(|repo| Step::RetainLoose { repo }),
        4 => Just(Step::Restore),
        1 => repo.clone().prop_map(|repo| Step::DeleteRepo { repo }),
        2 => (repo.clone(), 0..BLOBS).prop_map(|(repo, blob)| Step::Look { repo, blob }),
        2 => (repo, document).prop_map(|(repo, document)| Step::LookUp { repo, document }),
        8 => Just(Step::Collect),
        6 => (0..WAITS.len()).prop_map(Step::Wait),
    ]
}

/// Runs many sequences against one catalog: `cases`, or as many as `PROPTEST_CASES` says.
fn agree(house: impl FnOnce() -> House, cases: u32) {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| chance(), |text| text.parse().unwrap());
    println!("SEED={seed}");
    let runtime = Runtime::new().unwrap();
    let house = runtime.block_on(async { house() });
    let (next, done) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let outcome = runner.run(&proptest::collection::vec(step(), 1..80), |steps| {
        next.set(next.get() + 1);
        done.set(done.get() + steps.len());
        let model = Model {
            now: 1_000_000,
            ..Model::default()
        };
        let mut run = Run {
            house: &house,
            id: next.get(),
            model,
        };
        runtime.block_on(async {
            for step in steps {
                run.apply(step).await;
            }
            run.compare().await;
            run.finish().await;
        });
        Ok(())
    });
    println!("{} operations in {} sequences", done.get(), next.get());
    let wrong = runtime.block_on(house.read(catalog::audit));
    assert!(wrong.is_empty(), "{wrong:#?}");
    runtime.block_on(house.close());
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Another number in each run.
fn chance() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

#[test]
fn sqlite_does_what_the_model_does() {
    agree(House::on_sqlite, 400);
}

#[test]
fn postgres_does_what_the_model_does() {
    agree(House::on_postgres, 60);
}
