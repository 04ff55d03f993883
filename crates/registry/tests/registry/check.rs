//! Checks: a sound registry has no problem, at rest and under load; whatever is taken from it is found; and nothing else is.

use std::path::PathBuf;

use registry::{Check, CheckReport, Damage, Problem, Registry, Rules};
use tokio_util::sync::CancellationToken;

use crate::house::{House, body, digest_of, image, noise, push, push_in_parts, push_manifest, walk};

pub(crate) const DEEP: Check = Check {
    deep: true,
    rate: None,
};

/// Checks, and gives what was found.
pub(crate) async fn check(registry: &Registry, how: Check) -> (CheckReport, Vec<Problem>) {
    let mut problems = Vec::new();
    let report = registry
        .check(how, &mut problems, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(report.problems, problems.len() as u64);
    (report, problems)
}

/// The file of a blob.
pub(crate) fn file_of(house: &House, bytes: &[u8]) -> PathBuf {
    let hex = digest_of(bytes).hex();
    let files = walk(&house.path().join("landfall/blobs"));
    let mut found = files
        .into_iter()
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&hex));
    found.next().unwrap()
}

/// Turns one byte of a file around.
pub(crate) fn flip(file: &std::path::Path, at: u64) {
    use std::os::unix::fs::FileExt;
    let open = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let mut byte = [0];
    open.read_exact_at(&mut byte, at).unwrap();
    open.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
    open.sync_all().unwrap();
}

/// An image of one layer and a small config; the layer.
pub(crate) async fn push_image(registry: &Registry, at: &str, seed: u64, len: usize) -> Vec<u8> {
    let repository = at.split(':').next().unwrap();
    let layer = noise(seed, len);
    let config = push_in_parts(registry, repository, format!("config {seed}").as_bytes())
        .await
        .unwrap();
    let pushed = push_in_parts(registry, repository, &layer).await.unwrap();
    push_manifest(registry, at, image(&config, &[pushed]))
        .await
        .unwrap();
    layer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_registry_has_no_problem() {
    let house = House::new();
    let registry = house.open().await;
    let (empty, _) = check(&registry, DEEP).await;
    assert_eq!(empty, CheckReport::default());
    for seed in 1..5 {
        push_image(&registry, &format!("team/app:{seed}"), seed, 40_000).await;
    }
    // One upload that waits, one file that the sweeper has, one that nobody knows, and something that is not ours.
    let waiting = registry
        .begin_upload(&push("a"), oci::Algorithm::Sha256)
        .await
        .unwrap();
    registry
        .append(
            &push("a"),
            waiting.id,
            registry::Chunk::default(),
            body(&noise(9, 100_000)),
        )
        .await
        .unwrap();
    push_in_parts(&registry, "b", &noise(1, 40_000)).await.unwrap();
    let stored = file_of(&house, &noise(2, 40_000));
    let name = stored.file_name().unwrap().to_str().unwrap();
    let (hex, uid) = name.split_once('.').unwrap();
    std::fs::copy(&stored, stored.with_file_name(format!("{hex}.ff{}", &uid[2..]))).unwrap();
    std::fs::write(stored.with_file_name("notes.txt"), "mine").unwrap();
    let (report, problems) = check(&registry, DEEP).await;
    assert_eq!(problems, []);
    let counted = (report.blobs, report.inline, report.manifests, report.files);
    assert_eq!(counted, (4, 4, 4, 6));
    assert_eq!((report.tombstones, report.unknown, report.strangers), (1, 1, 1));
    assert_eq!((report.uploads, report.left_uploads), (1, 0));
    assert_eq!(report.hashed_bytes, report.bytes);
    registry.scan_orphans().await.unwrap();
    let (report, problems) = check(&registry, DEEP).await;
    assert_eq!((problems.len(), report.unknown, report.aside), (0, 0, 1));
    // And after a stop, as a crash would leave it.
    registry.close().await;
    drop(registry);
    let registry = house.open().await;
    let (report, problems) = check(&registry, DEEP).await;
    assert_eq!((problems.len(), report.uploads), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_named_and_nothing_else() {
    let house = House::new();
    let registry = house.open().await;
    let mut layers = Vec::new();
    for seed in 1..6 {
        layers.push(push_image(&registry, &format!("team/app:{seed}"), seed, 300_000).await);
    }
    std::fs::remove_file(file_of(&house, &layers[0])).unwrap();
    let cut = std::fs::OpenOptions::new()
        .write(true)
        .open(file_of(&house, &layers[1]))
        .unwrap();
    cut.set_len(299_999).unwrap();
    flip(&file_of(&house, &layers[2]), 123_456);
    let damage_of = |problems: &[Problem]| {
        let mut found: Vec<_> = problems
            .iter()
            .map(|problem| match problem {
                Problem::Blob {
                    digest,
                    damage,
                    is_known: false,
                    ..
                } => {
                    let which = layers.iter().position(|layer| digest_of(layer) == *digest);
                    (which.unwrap(), damage.clone())
                }
                other => panic!("{other}"),
            })
            .collect();
        found.sort_by_key(|(which, _)| *which);
        found
    };
    let cut = Damage::WrongSize {
        expected: 300_000,
        found: Some(299_999),
    };
    let (_, problems) = check(&registry, Check::default()).await;
    assert_eq!(damage_of(&problems), [(0, Damage::Missing), (1, cut.clone())]);
    let (_, problems) = check(&registry, DEEP).await;
    assert_eq!(
        damage_of(&problems),
        [(0, Damage::Missing), (1, cut), (2, Damage::Changed)]
    );
    for problem in &problems {
        assert!(!problem.to_string().contains('\n') && !problem.fix().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_catalog_itself_is_found() {
    let house = House::new();
    let registry = house.open().await;
    push_image(&registry, "team/app:1", 1, 40_000).await;
    registry.close().await;
    drop(registry);
    let raw = rusqlite::Connection::open(house.path().join("landfall/catalog/landfall.db")).unwrap();
    raw.execute_batch(
        "UPDATE blobs SET inline = CAST('xonfig 1' AS BLOB) WHERE inline IS NOT NULL;
         UPDATE manifest_bodies SET body = CAST('{}' AS BLOB);
         UPDATE usage SET bytes = bytes + 1 WHERE scope = 2;",
    )
    .unwrap();
    drop(raw);
    let registry = house.open().await;
    let (_, problems) = check(&registry, DEEP).await;
    let words: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let (rules, bytes): (Vec<_>, Vec<_>) = words.iter().partition(|words| words.starts_with("usage: "));
    assert!(!rules.is_empty(), "{words:#?}");
    assert_eq!(bytes.len(), 2, "{words:#?}");
    assert!(
        bytes[0].contains("its bytes have changed (in the catalog)"),
        "{words:#?}"
    );
    assert!(bytes[1].starts_with("manifest "), "{words:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_works_is_checked_while_it_works() {
    let house = House::new();
    let rules = Rules {
        gc_start_delay_ms: 0,
        read_grace_ms: 0,
        lease_ms: 0,
        undo_window_ms: 0,
        ..Rules::default()
    };
    let registry = house.open_with(rules).await;
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for worker in 0..3_u64 {
        let (registry, stop) = (registry.clone(), stop.clone());
        workers.push(tokio::spawn(async move {
            let mut round = 0;
            while !stop.is_cancelled() {
                round += 1;
                let bytes = noise(worker * 1_000_000 + round % 7, 60_000);
                push_in_parts(&registry, "busy", &bytes).await.unwrap();
            }
            round
        }));
    }
    let collector = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                registry.gc_run().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    for _ in 0..15 {
        let (report, problems) = check(&registry, DEEP).await;
        let words: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(words.is_empty(), "{words:#?}");
        assert_eq!((report.unknown, report.left_uploads), (0, 0), "{report:?}");
    }
    stop.cancel();
    for worker in workers {
        assert!(worker.await.unwrap() > 0);
    }
    collector.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_belongs_to_another_folder_is_a_problem() {
    let house = House::new();
    let registry = house.open().await;
    for seed in 0..20 {
        push_in_parts(&registry, "a", &noise(seed + 1, 20_000))
            .await
            .unwrap();
    }
    let registry = without_catalog(&house, registry).await;
    let (report, problems) = check(&registry, Check::default()).await;
    assert_eq!(report.unknown, 20);
    assert!(matches!(problems[..], [Problem::ManyUnknown { files: 20 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_catalog_is_a_problem_however_few_files_there_are() {
    let house = House::new();
    let registry = house.open().await;
    push_in_parts(&registry, "a", &noise(1, 20_000)).await.unwrap();
    let registry = without_catalog(&house, registry).await;
    let (_, problems) = check(&registry, Check::default()).await;
    assert!(
        matches!(problems[..], [Problem::ManyUnknown { files: 1 }]),
        "{problems:?}"
    );
    // One that knows something: such a file is what a crash leaves.
    push_in_parts(&registry, "a", &noise(2, 20_000)).await.unwrap();
    let (report, problems) = check(&registry, Check::default()).await;
    assert_eq!((report.unknown, problems.len()), (1, 0), "{problems:?}");
}

/// The same folder with a new catalog.
async fn without_catalog(house: &House, registry: Registry) -> Registry {
    registry.close().await;
    drop(registry);
    for file in walk(&house.path().join("landfall/catalog")) {
        std::fs::remove_file(file).unwrap();
    }
    house.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_ends_when_it_is_told_to() {
    let house = House::new();
    let registry = house.open().await;
    push_in_parts(&registry, "a", &noise(1, 20_000)).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let outcome = registry.check(DEEP, &mut Vec::new(), &stop).await;
    assert!(matches!(outcome, Err(registry::Error::Closing)));
}
