//! Scrub: damage is found whoever looks first, put aside, named with who needs it, answered with an error, and healed by the
//! next push or from a source; and what is sound is left alone.

mod at_random;
mod sources;

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
