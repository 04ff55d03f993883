//! Scrub: damage is found whoever looks first, put aside, named with who needs it, answered with an error, and healed by the
//! next push or from a source; and what is sound is left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use oci::Reference;
use proptest::prelude::*;
use registry::{Check, DamageCause, Error, FolderSource, Registry, Rules, ScrubWanted};
use store::testing::{Failure, Op};
use tokio_util::sync::CancellationToken;

use crate::check::{DEEP, check, file_of, flip, push_image};
use crate::house::{
    House, body, cut_body, digest_of, image, noise, pull, push_in_parts, push_manifest, read, walk,
};

const DAY: i64 = 24 * 3_600_000;

fn rules() -> Rules {
    Rules {
        gc_start_delay_ms: 0,
        // As fast as it goes.
        scrub_bytes_per_second: 1 << 50,
        ..Rules::default()
    }
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn aside(house: &House) -> usize {
    walk(&house.path().join("landfall/quarantine")).len()
}

async fn is_damaged(registry: &Registry, repository: &str, bytes: &[u8]) -> bool {
    matches!(
        read(registry, repository, &digest_of(bytes)).await,
        Err(Error::BlobDamaged(_))
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_changed_are_found_put_aside_named_and_healed_by_a_push() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let bad = push_image(&registry, "team/app:1", 1, 300_000).await;
    let good = push_image(&registry, "team/app:2", 2, 300_000).await;
    let file = file_of(&house, &bad);
    flip(&file, 200_000);
    // It was pushed just now, so its turn has not come.
    registry.scrub_due(&never()).await.unwrap();
    assert_eq!(registry.scrub_numbers().1, 0);
    house.clock.advance(8 * DAY);
    registry.scrub_due(&never()).await.unwrap();
    assert_eq!(registry.scrub_numbers().1, 1);
    assert!(registry.scrub_numbers().0 >= 600_000);
    assert!(!file.exists());
    assert_eq!(aside(&house), 1);
    let damages = registry.damages(0, 10).await.unwrap();
    assert_eq!(damages.len(), 1);
    let damage = &damages[0];
    assert_eq!(
        (&damage.digest, damage.cause),
        (&digest_of(&bad), DamageCause::Changed)
    );
    let needed: Vec<_> = damage
        .needed_by
        .iter()
        .map(|needs| {
            (
                needs.repository.to_string(),
                needs.tags.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    assert_eq!(needed, [("team/app".to_owned(), vec!["1".to_owned()])]);
    assert!(is_damaged(&registry, "team/app", &bad).await);
    let look = registry.blob_size(&pull("team/app"), &digest_of(&bad)).await;
    assert!(
        matches!(look, Err(Error::BlobUnknown(_))),
        "a pusher must not skip it"
    );
    assert_eq!(
        read(&registry, "team/app", &digest_of(&good)).await.unwrap(),
        good
    );
    // Whoever looks again later finds nothing new.
    house.clock.advance(8 * DAY);
    registry.scrub_due(&never()).await.unwrap();
    let (_, problems) = check(&registry, DEEP).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    // Another repository cannot have it for nothing, and its push heals it for all.
    push_in_parts(&registry, "other", &bad).await.unwrap();
    assert_eq!(read(&registry, "team/app", &digest_of(&bad)).await.unwrap(), bad);
    assert!(registry.damages(0, 10).await.unwrap().is_empty());
    assert_eq!(check(&registry, DEEP).await.1, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_lies_aside_for_as_long_as_its_row_needs_it_and_the_hold_after_that() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    flip(&file_of(&house, &layer), 1);
    registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    for _ in 0..3 {
        house.clock.advance(30 * DAY);
        registry.scan_orphans().await.unwrap();
        assert_eq!(aside(&house), 1, "the row still names it");
    }
    push_in_parts(&registry, "team/app", &layer).await.unwrap();
    registry.scan_orphans().await.unwrap();
    assert_eq!(
        aside(&house),
        1,
        "it waits with its tombstone, and does not come back"
    );
    assert_eq!(walk(&house.path().join("landfall/blobs")).len(), 1);
    house.clock.advance(2 * 3_600_000);
    registry.gc_run().await.unwrap();
    registry.scan_orphans().await.unwrap();
    house.clock.advance(7 * DAY - 1);
    registry.scan_orphans().await.unwrap();
    assert_eq!(aside(&house), 1);
    house.clock.advance(1);
    registry.scan_orphans().await.unwrap();
    assert_eq!(aside(&house), 0);
    assert_eq!(
        read(&registry, "team/app", &digest_of(&layer)).await.unwrap(),
        layer
    );
    assert_eq!(check(&registry, DEEP).await.1, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_that_a_push_replaces_stay_for_the_grace_of_the_settings() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            read_grace_ms: 5 * 60_000,
            ..rules()
        })
        .await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    let file = file_of(&house, &layer);
    std::fs::write(&file, "short").unwrap();
    // Found by a pull, and not moved while the collection rests.
    registry.gc_pause("bee").await.unwrap();
    assert!(is_damaged(&registry, "team/app", &layer).await);
    assert!(file.exists());
    push_in_parts(&registry, "team/app", &layer).await.unwrap();
    registry.gc_resume().await.unwrap();
    house.clock.advance(5 * 60_000 - 1);
    registry.gc_run().await.unwrap();
    assert!(file.exists());
    house.clock.advance(1);
    registry.gc_run().await.unwrap();
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_read_a_blob_is_believed_the_second_time() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    // Once is not enough.
    house.disk.fail(Op::Read, 0, 1, Failure::Broken);
    let run = registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    assert_eq!((run.found, run.files), (0, 1));
    house.disk.heal();
    assert!(registry.damages(0, 10).await.unwrap().is_empty());
    house.disk.fail(Op::Read, 0, 2, Failure::Broken);
    let run = registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    assert_eq!((run.found, run.files), (1, 1));
    let damages = registry.damages(0, 10).await.unwrap();
    assert_eq!(damages[0].cause, DamageCause::Unreadable);
    house.disk.heal();
    push_in_parts(&registry, "team/app", &layer).await.unwrap();
    assert_eq!(
        read(&registry, "team/app", &digest_of(&layer)).await.unwrap(),
        layer
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pull_failed_on_is_read_back_at_once_whatever_the_settings_say() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            scrub_bytes_per_second: 0,
            ..rules()
        })
        .await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    let stop = CancellationToken::new();
    let jobs = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move { registry.run_jobs(None, false, stop).await })
    };
    let blob = registry
        .open_blob(&pull("team/app"), &digest_of(&layer))
        .await
        .unwrap();
    let registry::Content::File(open) = blob.content else {
        panic!("it is large")
    };
    // The file is cut while it is being sent.
    let file = file_of(&house, &layer);
    let cut = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    cut.set_len(100_000).unwrap();
    assert!(
        open.read_at(150_000, 1000).await.is_err(),
        "never a clean short answer"
    );
    while registry.damages(0, 10).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(is_damaged(&registry, "team/app", &layer).await);
    stop.cancel();
    jobs.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_not_served_damaged_and_a_push_heals_it() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    push_image(&registry, "team/app:1", 1, 40_000).await;
    let tag: Reference = "1".parse().unwrap();
    let document = registry.manifest(&pull("team/app"), &tag).await.unwrap().body;
    registry.close().await;
    drop(registry);
    let path = house.path().join("landfall/catalog/landfall.db");
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.execute_batch(
        "UPDATE manifest_bodies SET body = CAST('{}' AS BLOB);
         UPDATE blobs SET inline = CAST('xonfig 1' AS BLOB) WHERE inline IS NOT NULL;",
    )
    .unwrap();
    drop(raw);
    let registry = house.open_with(rules()).await;
    // What lies in the catalog has its turn at the first start, and again after a while.
    registry.scrub_due(&never()).await.unwrap();
    assert_eq!(registry.scrub_numbers().1, 2);
    let pulled = registry.manifest(&pull("team/app"), &tag).await;
    assert!(matches!(pulled, Err(Error::ManifestDamaged(_))), "{pulled:?}");
    let looked = registry.stat_manifest(&pull("team/app"), &tag).await;
    assert!(matches!(looked, Err(Error::ManifestUnknown(_))), "{looked:?}");
    let damages = registry.damages(0, 10).await.unwrap();
    assert!(
        damages
            .iter()
            .all(|damage| damage.needed_by[0].tags[0].to_string() == "1"),
        "{damages:?}"
    );
    // The manifest alone does not do, for its config is not there.
    let alone = push_manifest(&registry, "team/app:2", document.to_vec()).await;
    assert!(
        alone.is_ok(),
        "it is here, and what it names is not new: {alone:?}"
    );
    assert!(is_damaged(&registry, "team/app", b"config 1").await);
    push_in_parts(&registry, "team/app", b"config 1").await.unwrap();
    assert_eq!(
        registry.manifest(&pull("team/app"), &tag).await.unwrap().body,
        document
    );
    assert_eq!(check(&registry, DEEP).await.1, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_built_on_damaged_bytes() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    flip(&file_of(&house, &layer), 5);
    registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    let digest = digest_of(&layer);
    let mounted = registry
        .mount_blob(
            &crate::house::push("other"),
            registry::MountFrom::Repository(&pull("team/app")),
            digest.clone(),
        )
        .await
        .unwrap();
    assert!(!mounted);
    let config = push_in_parts(&registry, "team/app", b"another config")
        .await
        .unwrap();
    let refused = push_manifest(&registry, "team/app:new", image(&config, &[digest])).await;
    assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_heals_what_it_has_and_nothing_else_is_believed() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let mut layers = BTreeMap::new();
    for seed in 1..5 {
        let layer = push_image(&registry, &format!("team/app:{seed}"), seed, 300_000).await;
        flip(&file_of(&house, &layer), seed * 1000);
        layers.insert(seed, layer);
    }
    registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    assert_eq!(registry.scrub_numbers().1, 4);
    let source = tempfile::tempdir().unwrap();
    let place = |parts: [&str; 3], bytes: &[u8]| {
        let path = source.path().join(parts.join("/"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let hex = |seed: u64| digest_of(&layers[&seed]).hex();
    // An OCI layout, a CNCF registry, one of ours; and one that lies.
    place(["blobs/sha256", "", &hex(1)], &layers[&1]);
    let cncf = format!("{}/{}/data", &hex(2)[..2], hex(2));
    place(["docker/registry/v2/blobs", "sha256", &cncf], &layers[&2]);
    let ours = format!("{}/{}.0123", &hex(3)[..3], hex(3));
    place(["blobs", "sha256", &ours], &layers[&3]);
    place(["blobs/sha256", "", &hex(4)], &layers[&1]);
    let folder = FolderSource::open(source.path()).unwrap();
    for (seed, layer) in &layers {
        let digest = digest_of(layer);
        let found = folder.find(&digest).unwrap().unwrap();
        let healed = registry.heal(&digest, found).await;
        if *seed < 4 {
            healed.unwrap();
            assert_eq!(read(&registry, "team/app", &digest).await.unwrap(), *layer);
        } else {
            assert!(matches!(healed, Err(Error::DigestMismatch { .. })), "{healed:?}");
            assert!(is_damaged(&registry, "team/app", layer).await);
        }
    }
    assert!(folder.find(&digest_of(b"nowhere")).unwrap().is_none());
    let last = digest_of(&layers[&4]);
    let cut = registry.heal(&last, cut_body(&layers[&4][..1000])).await;
    assert!(matches!(cut, Err(Error::BodyCut)), "{cut:?}");
    registry.heal(&last, body(&layers[&4])).await.unwrap();
    let again = registry.heal(&last, body(&layers[&4])).await;
    assert!(matches!(again, Err(Error::NotDamaged(_))), "{again:?}");
    assert_eq!(check(&registry, DEEP).await.1, []);
    registry.close().await;
    assert!(walk(&house.path().join("landfall/uploads")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_a_copy_of_a_data_folder_are_sources_too() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layers = [
        push_image(&registry, "team/app:1", 1, 300_000).await,
        push_image(&registry, "team/app:2", 2, 300_000).await,
    ];
    let copies = tempfile::tempdir().unwrap();
    registry
        .backup(copies.path(), None, |_| {}, &never())
        .await
        .unwrap();
    let stored = file_of(&house, &layers[1]);
    let below = stored.strip_prefix(house.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let to = data.path().join(below);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(&stored, &to).unwrap();
    for layer in &layers {
        std::fs::remove_file(file_of(&house, layer)).unwrap();
    }
    let here = FolderSource::named(data.path().to_str().unwrap()).unwrap();
    let run = registry
        .scrub_run(ScrubWanted::default(), Some(&*here), &never())
        .await
        .unwrap();
    assert_eq!((run.found, run.healed, run.not_healed), (2, 1, 1));
    let backup = FolderSource::named(copies.path().to_str().unwrap()).unwrap();
    let only_heal = ScrubWanted {
        sample: 0,
        rate: None,
    };
    let run = registry
        .scrub_run(only_heal, Some(&*backup), &never())
        .await
        .unwrap();
    assert_eq!((run.files, run.healed, run.not_healed), (0, 1, 0));
    assert_eq!(check(&registry, DEEP).await.1, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn scrubbing_rests_when_it_is_off_paused_or_nothing_may_be_written() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layer = push_image(&registry, "team/app:1", 1, 300_000).await;
    flip(&file_of(&house, &layer), 5);
    house.clock.advance(8 * DAY);
    let rest = async |rules: Rules| {
        registry.set_rules(rules);
        registry.scrub_due(&never()).await.unwrap();
        assert_eq!(registry.scrub_numbers().1, 0);
    };
    rest(Rules {
        scrub_bytes_per_second: 0,
        ..rules()
    })
    .await;
    rest(Rules {
        read_only: true,
        ..rules()
    })
    .await;
    registry.set_rules(rules());
    let until = registry.scrub_pause("bee").await.unwrap();
    rest(rules()).await;
    assert_eq!(
        registry.scrub_status().await.unwrap().pause,
        Some(("bee".to_owned(), until))
    );
    assert!(registry.scrub_resume().await.unwrap());
    registry.scrub_due(&never()).await.unwrap();
    assert_eq!(registry.scrub_numbers().1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_goes_on_after_a_restart_where_it_was() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    for seed in 1..41 {
        push_in_parts(&registry, "a", &noise(seed, 20_000)).await.unwrap();
        house.clock.advance(1);
    }
    house.clock.advance(8 * DAY);
    let first = registry.scrub_status().await.unwrap().oldest_verified_at.unwrap();
    registry.scrub_due(&never()).await.unwrap();
    let read = registry.scrub_numbers().0;
    assert!(read >= 40 * 20_000);
    registry.close().await;
    drop(registry);
    let registry = house.open_with(rules()).await;
    registry.scrub_due(&never()).await.unwrap();
    assert_eq!(registry.scrub_numbers().0, 0, "everything was read just now");
    assert!(registry.scrub_status().await.unwrap().oldest_verified_at.unwrap() > first);
}

#[tokio::test(flavor = "multi_thread")]
async fn scrubbing_beside_pushes_and_collection_accuses_nobody() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            read_grace_ms: 0,
            lease_ms: 0,
            ..rules()
        })
        .await;
    let kept = push_image(&registry, "team/app:1", 77, 300_000).await;
    let stop = CancellationToken::new();
    let pusher = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move {
            let mut round = 0;
            while !stop.is_cancelled() {
                round += 1;
                push_in_parts(&registry, "busy", &noise(round % 11 + 1, 60_000))
                    .await
                    .unwrap();
                registry.gc_run().await.unwrap();
            }
        })
    };
    for _ in 0..20 {
        let run = registry
            .scrub_run(ScrubWanted::default(), None, &never())
            .await
            .unwrap();
        assert_eq!(run.found, 0);
    }
    stop.cancel();
    pusher.await.unwrap();
    assert!(registry.damages(0, 10).await.unwrap().is_empty());
    assert_eq!(
        read(&registry, "team/app", &digest_of(&kept)).await.unwrap(),
        kept
    );
    assert_eq!(check(&registry, DEEP).await.1, []);
}

/// What may happen to a file.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Flip(u64),
    Cut(u64),
    Grow,
    Remove,
}

fn blow() -> impl Strategy<Value = Option<Blow>> {
    prop_oneof![
        3 => Just(None),
        2 => (0..50_000_u64).prop_map(|at| Some(Blow::Flip(at))),
        1 => (0..50_000_u64).prop_map(|len| Some(Blow::Cut(len))),
        1 => Just(Some(Blow::Grow)),
        1 => Just(Some(Blow::Remove)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens to files: all of it is found, nothing else is accused, and half of it healed by pushes and half from
    /// a source leaves everything as it was.
    #[test]
    fn every_damage_is_found_nothing_sound_is_accused_and_all_comes_back(
        blows in proptest::collection::vec(blow(), 6..14), by_check in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let registry = house.open_with(rules()).await;
            let mut layers = Vec::new();
            for seed in 0..blows.len() as u64 {
                layers.push(push_image(&registry, &format!("team/app:{seed}"), seed + 1, 50_000).await);
            }
            for (layer, blow) in layers.iter().zip(&blows) {
                let file = file_of(&house, layer);
                let cut = |len| std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len).unwrap();
                match blow {
                    None => {}
                    Some(Blow::Flip(at)) => flip(&file, *at),
                    Some(Blow::Cut(len)) => cut(*len),
                    Some(Blow::Grow) => cut(50_001),
                    Some(Blow::Remove) => std::fs::remove_file(&file).unwrap(),
                }
            }
            let hurt = blows.iter().filter(|blow| blow.is_some()).count();
            if by_check {
                assert_eq!(check(&registry, DEEP).await.1.len(), hurt);
            }
            let run = registry.scrub_run(ScrubWanted::default(), None, &never()).await.unwrap();
            assert_eq!(run.found, hurt as u64);
            let damages = registry.damages(0, 100).await.unwrap();
            for (layer, blow) in layers.iter().zip(&blows) {
                let named = damages.iter().any(|damage| damage.digest == digest_of(layer));
                assert_eq!(named, blow.is_some());
                assert_eq!(is_damaged(&registry, "team/app", layer).await, blow.is_some());
            }
            assert_eq!(check(&registry, Check::default()).await.1.len(), hurt);
            let mut healed = 0;
            for (layer, _) in layers.iter().zip(&blows).filter(|(_, blow)| blow.is_some()) {
                healed += 1;
                if healed % 2 == 0 {
                    push_in_parts(&registry, "elsewhere", layer).await.unwrap();
                } else {
                    registry.heal(&digest_of(layer), body(layer)).await.unwrap();
                }
            }
            for layer in &layers {
                assert_eq!(read(&registry, "team/app", &digest_of(layer)).await.unwrap(), *layer);
            }
            house.clock.advance(DAY);
            registry.gc_run().await.unwrap();
            assert_eq!(check(&registry, DEEP).await.1, []);
            assert_eq!(run.files, blows.len() as u64);
        });
    }
}
