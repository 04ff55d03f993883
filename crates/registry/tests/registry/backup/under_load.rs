//! A backup is made while images come, go, and are collected: what it holds is what was there at one moment, whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use registry::{Error, Registry, Rules};

use super::{backup, expect_whole, open_at, push_image, restore_with};
use crate::house::{House, delete, pull};

/// Everything that nobody holds goes at once.
fn hasty() -> Rules {
    Rules {
        lease_ms: 1_000,
        undo_window_ms: 0,
        read_grace_ms: 0,
        gc_start_delay_ms: 0,
        untagged_keep_ms: 0,
        ..Rules::default()
    }
}

/// Pushes, deletes and collects until told to stop; how many images came and went.
async fn churn(house: Arc<House>, registry: Registry, name: &'static str, stop: Arc<AtomicBool>) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        push_image(&registry, &format!("{name}:{}", number % 7), 1000 + number).await;
        if number >= 7 {
            let tag = ((number + 3) % 7).to_string().parse().unwrap();
            let digest = match registry.manifest(&pull(name), &tag).await {
                Ok(manifest) => manifest.stat.digest,
                Err(Error::ManifestUnknown(_) | Error::Gone(_)) => continue,
                Err(error) => panic!("{error:?}"),
            };
            let reference = oci::Reference::Digest(digest);
            match registry.delete_manifest(&delete(name), &reference).await {
                Ok(()) | Err(Error::ManifestUnknown(_) | Error::Gone(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        house.clock.advance(500);
        registry.gc_run().await.unwrap();
        number += 1;
    }
    number
}

/// The copy of the catalog is made, and not one byte is copied yet: now everything that it names goes from the registry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_and_collected_while_it_is_copied_is_in_the_backup_all_the_same() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open_with(hasty()).await;
    push_image(&registry, "a:1", 1).await;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (reached, told) = std::sync::mpsc::channel::<()>();
    let backing = tokio::spawn({
        let (registry, target) = (registry.clone(), target.clone());
        async move {
            let each = move |now: &registry::backup::Reached| {
                if now.blobs == 0 {
                    reached.send(()).unwrap();
                    wait.recv().unwrap();
                }
            };
            let stop = tokio_util::sync::CancellationToken::new();
            registry.backup(&target, None, each, &stop).await
        }
    });
    tokio::task::spawn_blocking(move || told.recv().unwrap())
        .await
        .unwrap();
    let digest = registry
        .manifest(&pull("a"), &"1".parse().unwrap())
        .await
        .unwrap()
        .stat
        .digest;
    let reference = oci::Reference::Digest(digest);
    registry.delete_manifest(&delete("a"), &reference).await.unwrap();
    let mut gone = (0, 0);
    for _ in 0..4 {
        house.clock.advance(2_000);
        let run = registry.gc_run().await.unwrap();
        gone = (gone.0 + run.blobs, gone.1 + run.files);
    }
    assert_eq!(gone, (3, 0), "the rows go, and the bytes are held");
    go.send(()).unwrap();
    let done = backing.await.unwrap().unwrap();
    assert_eq!((done.copied, done.backup.damaged.len()), (1, 0));
    assert_eq!(registry.gc_run().await.unwrap().files, 1, "now they go too");
    registry.close().await;
    restore_with(&house, &target, None, false, &root).await.unwrap();
    let restored = open_at(&house, &root).await;
    assert_eq!(expect_whole(&restored, "a").await, 3);
    restored.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_under_load_hold_what_was_there_at_one_moment() {
    let (house, place) = (Arc::new(House::new()), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open_with(hasty()).await;
    for number in 0..20 {
        push_image(&registry, &format!("still:{number}"), number).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let churning: Vec<_> = ["x", "y"]
        .into_iter()
        .map(|name| {
            tokio::spawn(churn(
                Arc::clone(&house),
                registry.clone(),
                name,
                Arc::clone(&stop),
            ))
        })
        .collect();
    let mut times = Vec::new();
    for _ in 0..4 {
        let done = backup(&registry, &target).await.unwrap();
        assert!(done.backup.damaged.is_empty(), "{:?}", done.backup.damaged);
        times.push(done.backup.time);
    }
    stop.store(true, Ordering::SeqCst);
    let mut churned = 0;
    for one in churning {
        churned += one.await.unwrap();
    }
    assert!(churned > 0, "something went on meanwhile");
    assert!(!registry.gc_status().await.unwrap().sweep_held);
    registry.close().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let verified = registry::backup::verify(&target, None, &mut |_| {}, &stop).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
    for time in times {
        let root = place.path().join(&time);
        restore_with(&house, &target, Some(&time), false, &root)
            .await
            .unwrap();
        let restored = open_at(&house, &root).await;
        assert_eq!(expect_whole(&restored, "still").await, 60);
        for name in ["x", "y"] {
            if restored.tags(&pull(name), None, None).await.is_ok() {
                expect_whole(&restored, name).await;
            }
        }
        assert_eq!(restored.scan_orphans().await.unwrap(), 0, "no file without a row");
        restored.close().await;
    }
}
