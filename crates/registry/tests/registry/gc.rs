//! The collector with real files: space comes back when its time has come, and not before, whatever the clock does.

use oci::{Digest, Reference};
use registry::{Error, GcRun, GcWait, PauseCause, Registry, Rules};
use tokio_util::sync::CancellationToken;

use crate::house::{
    House, delete, digest_of, image, noise, pull, push, push_in_parts, push_manifest, read, walk,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The rules of the documentation, but for the wait after a start.
fn at_once() -> Rules {
    Rules {
        gc_start_delay_ms: 0,
        ..Rules::default()
    }
}

/// An image with one large layer, which is unlike that of any other seed; its digest and that of the layer.
async fn push_image(registry: &Registry, at: &str, seed: u64) -> (Digest, Digest) {
    let (repository, _) = at.split_once(':').unwrap();
    let layer = push_in_parts(registry, repository, &noise(seed, 50_000))
        .await
        .unwrap();
    let config = push_in_parts(registry, repository, format!("{{\"n\":{seed}}}").as_bytes())
        .await
        .unwrap();
    let manifest = push_manifest(registry, at, image(&config, std::slice::from_ref(&layer)))
        .await
        .unwrap();
    (manifest, layer)
}

async fn delete_image(registry: &Registry, manifest: &Digest) {
    registry
        .delete_manifest(&delete("a"), &Reference::Digest(manifest.clone()))
        .await
        .unwrap();
}

fn files(house: &House) -> usize {
    walk(&house.path().join("landfall/blobs")).len()
}

async fn collect_for(house: &House, registry: &Registry, days: i64) -> GcRun {
    let mut all = GcRun::default();
    for _ in 0..days {
        house.clock.advance(DAY);
        let run = registry.gc_run().await.unwrap();
        all.purged += run.purged;
        all.blobs += run.blobs;
        all.files += run.files;
        all.bytes += run.bytes;
        all.waits = run.waits;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_deleted_image_leave_the_disk_and_those_of_another_stay() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    let (gone, layer) = push_image(&registry, "a:gone", 1).await;
    let (_, kept) = push_image(&registry, "a:kept", 2).await;
    delete_image(&registry, &gone).await;
    collect_for(&house, &registry, 6).await;
    assert_eq!(files(&house), 2, "it can still be brought back");
    let run = collect_for(&house, &registry, 10).await;
    assert_eq!(files(&house), 1);
    assert_eq!((run.purged, run.blobs, run.files, run.bytes), (1, 2, 1, 50_000));
    assert_eq!(read(&registry, "a", &kept).await.unwrap(), noise(2, 50_000));
    assert!(matches!(
        registry.blob_size(&pull("a"), &layer).await,
        Err(Error::BlobUnknown(_))
    ));
    assert_eq!(registry.gc_status().await.unwrap(), registry::GcStatus::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_goes_while_the_server_runs_without_being_asked_for() {
    let house = House::new();
    let no_windows = Rules {
        lease_ms: 0,
        undo_window_ms: 0,
        untagged_keep_ms: 0,
        read_grace_ms: 0,
        ..at_once()
    };
    let registry = house.open_with(no_windows).await;
    let (gone, _) = push_image(&registry, "a:gone", 1).await;
    let (_, kept) = push_image(&registry, "a:kept", 2).await;
    delete_image(&registry, &gone).await;
    let stop = CancellationToken::new();
    let jobs = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move { registry.run_jobs(None, false, stop).await })
    };
    while files(&house) > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop.cancel();
    jobs.await.unwrap();
    assert_eq!(read(&registry, "a", &kept).await.unwrap(), noise(2, 50_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_a_live_image_shares_stays_when_the_other_is_deleted() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    let (gone, layer) = push_image(&registry, "a:gone", 1).await;
    let config = push_in_parts(&registry, "a", b"another").await.unwrap();
    push_manifest(&registry, "a:kept", image(&config, std::slice::from_ref(&layer)))
        .await
        .unwrap();
    delete_image(&registry, &gone).await;
    collect_for(&house, &registry, 40).await;
    assert_eq!(read(&registry, "a", &layer).await.unwrap(), noise(1, 50_000));
    let why = registry.why_kept(&layer).await.unwrap();
    assert_eq!(why.blob.unwrap().links[0].named_by.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_and_forth_deletes_nothing_early() {
    const YEAR: i64 = 365 * DAY;
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    let (before, _) = push_image(&registry, "a:before", 1).await;
    delete_image(&registry, &before).await;
    house.clock.set(-YEAR);
    let run = registry.gc_run().await.unwrap();
    assert!(matches!(run.waits, Some(GcWait::Paused(pause)) if pause.cause == PauseCause::Clock));
    // Deleted by a clock that is a year behind: in the right time its window seems long over.
    let (after, _) = push_image(&registry, "a:after", 2).await;
    delete_image(&registry, &after).await;
    collect_for(&house, &registry, 2).await;
    house.clock.set(YEAR);
    // Two days have gone by since the deletes.
    let run = collect_for(&house, &registry, 4).await;
    assert_eq!((run.purged, files(&house)), (0, 2));
    assert!(run.waits.is_some());
    collect_for(&house, &registry, 12).await;
    assert_eq!(files(&house), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_nothing_becomes_garbage_for_a_while() {
    let house = House::new();
    let registry = house.open().await;
    push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    registry.close().await;
    drop(registry);
    house.clock.advance(30 * DAY);
    let registry = house.open().await;
    let run = registry.gc_run().await.unwrap();
    assert!(matches!(run.waits, Some(GcWait::Started { .. })));
    // A client that was told so before the restart finds its layer still here.
    assert!(
        registry
            .blob_size(&pull("a"), &digest_of(&noise(1, 50_000)))
            .await
            .is_ok()
    );
    house.clock.advance(HOUR);
    let run = registry.gc_run().await.unwrap();
    assert_eq!((run.waits, run.links), (None, 0), "the look renewed its lease");
    house.clock.advance(DAY);
    assert_eq!(registry.gc_run().await.unwrap().links, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_lasts_over_a_restart_and_ends_when_it_is_told_to_or_after_a_day() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    house.clock.advance(DAY);
    let pause = registry.gc_pause("bee").await.unwrap();
    registry.close().await;
    drop(registry);
    let registry = house.open_with(at_once()).await;
    let run = registry.gc_run().await.unwrap();
    assert_eq!((run.waits, run.links), (Some(GcWait::Paused(pause.clone())), 0));
    assert_eq!(registry.gc_status().await.unwrap().pause, Some(pause));
    assert!(registry.gc_resume().await.unwrap());
    assert!(!registry.gc_resume().await.unwrap());
    assert_eq!(registry.gc_run().await.unwrap().links, 1);
    registry.gc_pause("bee").await.unwrap();
    let run = collect_for(&house, &registry, 1).await;
    assert_eq!((run.waits, run.files), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_registry_removes_nothing() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    registry.set_rules(Rules {
        read_only: true,
        ..at_once()
    });
    let run = collect_for(&house, &registry, 3).await;
    assert_eq!(run.waits, Some(GcWait::ReadOnly));
    registry.set_rules(at_once());
    collect_for(&house, &registry, 2).await;
    assert_eq!(files(&house), 0);
}

/// The clock jumps ahead by a year, and back: what was deleted is not collected meanwhile, so it is listed and can come back.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_jump_of_the_clock_keeps_is_listed_and_comes_back() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    let (manifest, _) = push_image(&registry, "a:1", 1).await;
    delete_image(&registry, &manifest).await;
    let everything = access::Caller::anybody().may_list_catalog();
    let listed = async || {
        let page = registry.list_trash(&everything, None, None, 10).await.unwrap();
        page.items
            .into_iter()
            .map(|entry| (entry.op, entry.target))
            .collect::<Vec<_>>()
    };
    let before = listed().await;
    assert_eq!(before.len(), 1);
    for by in [365 * DAY, -365 * DAY, -365 * DAY, 365 * DAY, 365 * DAY] {
        house.clock.set(by);
        assert_eq!(registry.gc_run().await.unwrap().purged, 0);
        assert_eq!(listed().await, before, "after a jump by {by} ms");
    }
    let found = registry
        .find_in_trash(&pull("a"), Some("1".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(found, Some(before[0].0), "by its tag too, a year ahead");
    let wish = registry::RestoreWish::default();
    let back = registry
        .restore(&push("a"), before[0].0, wish, None)
        .await
        .unwrap();
    assert!(matches!(back, registry::Restored::Done { .. }), "{back:?}");
    assert_eq!(listed().await, []);
    registry.close().await;
}
