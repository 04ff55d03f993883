//! Any sequence of operations does the same to both engines and to a small model in memory.
//!
//! The world: two repositories, four blobs, seven documents that name them and each other, two tags. Every answer is
//! compared, and after each sequence everything that can be seen.

mod run;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::harness::House;
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
    Untag {
        repo: usize,
        tag: usize,
    },
    Trash {
        repo: usize,
        document: usize,
    },
    Restore,
    Wait,
}

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
        10 => (repo.clone(), document.clone(), tags, proptest::bool::weighted(0.2))
            .prop_map(|(repo, document, tags, absent)| Step::Put { repo, document, tags, absent }),
        2 => (repo.clone(), 0..TAGS.len()).prop_map(|(repo, tag)| Step::Untag { repo, tag }),
        4 => (repo, document).prop_map(|(repo, document)| Step::Trash { repo, document }),
        3 => Just(Step::Restore),
        2 => Just(Step::Wait),
    ]
}

/// Runs many sequences against one catalog.
fn agree(house: impl FnOnce() -> House, cases: u32) {
    let runtime = Runtime::new().unwrap();
    let house = runtime.block_on(async { house() });
    let next = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&proptest::collection::vec(step(), 1..60), |steps| {
        next.set(next.get() + 1);
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
        });
        Ok(())
    });
    let wrong = runtime.block_on(house.read(catalog::audit));
    assert!(wrong.is_empty(), "{wrong:#?}");
    runtime.block_on(house.close());
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn sqlite_does_what_the_model_does() {
    agree(House::on_sqlite, 400);
}

#[test]
fn postgres_does_what_the_model_does() {
    agree(House::on_postgres, 60);
}
