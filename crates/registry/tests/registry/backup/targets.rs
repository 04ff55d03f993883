//! Places for a backup that are none, and backups that are cut off.

use registry::Error;
use registry::backup::{BackupError, verify};
use tokio_util::sync::CancellationToken;

use super::{backup, blob_in, push_image, restore_to};
use crate::house::{House, noise, push_in_parts, walk};

fn refusal<T>(outcome: Result<T, Error>) -> BackupError {
    match outcome {
        Err(Error::Backup(error)) => error,
        Err(other) => panic!("not a refusal: {other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn a_target_that_would_be_lost_with_the_data_is_refused() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let registry = house.open().await;
    let link = place.path().join("link");
    std::os::unix::fs::symlink(house.path(), &link).unwrap();
    for target in [
        house.path().join("backups"),
        house.path().join("landfall"),
        house.path().join("landfall/backups"),
        link.join("backups"),
    ] {
        let error = refusal(backup(&registry, &target).await);
        assert!(matches!(error, BackupError::Inside { .. }), "{target:?}: {error}");
    }
    assert!(!house.path().join("backups").exists());
    registry.close().await;
}

#[tokio::test]
async fn a_target_whose_disk_is_not_there_or_that_holds_other_things_is_refused() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let registry = house.open().await;
    let error = refusal(backup(&registry, &place.path().join("disk/backups")).await);
    assert!(matches!(error, BackupError::NoParent(_)), "{error}");
    std::fs::write(place.path().join("letter.txt"), "dear bee").unwrap();
    let error = refusal(backup(&registry, place.path()).await);
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(walk(place.path()).len(), 1, "nothing was written there");
    let error = refusal(backup(&registry, &place.path().join("letter.txt")).await);
    assert!(
        matches!(error, BackupError::Read { .. } | BackupError::Write { .. }),
        "{error}"
    );
    registry.close().await;
}

#[tokio::test]
async fn only_one_backup_goes_on_at_a_time() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    backup(&registry, &target).await.unwrap();
    let other = House::new();
    let neighbour = other.open().await;
    let (one, two) = tokio::join!(backup(&registry, &target), backup(&registry, &target));
    assert!(one.is_ok() && two.is_err(), "of one registry");
    // Of two registries on one folder: the lock of the folder tells.
    let lock = std::fs::File::open(target.join("LOCK")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let error = refusal(backup(&neighbour, &target).await);
    assert!(matches!(error, BackupError::Busy(_)), "{error}");
    drop(lock);
    backup(&neighbour, &target).await.unwrap();
    registry.close().await;
    neighbour.close().await;
}

#[tokio::test]
async fn a_backup_that_is_cut_off_is_none_and_the_earlier_one_stays_whole() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    let first = backup(&registry, &target).await.unwrap();
    for seed in 10..30 {
        push_in_parts(&registry, "a", &noise(seed, 40_000)).await.unwrap();
    }
    let stop = CancellationToken::new();
    let cut = stop.clone();
    let at_once = move |_: &registry::backup::Reached| cut.cancel();
    let stopped = registry.backup(&target, None, at_once, &stop).await;
    assert!(
        matches!(stopped, Err(Error::Backup(BackupError::Stopped))),
        "{stopped:?}"
    );
    // And what a power cut leaves besides.
    std::fs::write(target.join("catalogs/20990101T000000Z.db.part"), "half").unwrap();
    std::fs::write(target.join("backups/20990101T000000Z.json.part"), "{").unwrap();
    let some = registry::backup::list(&target).unwrap();
    assert_eq!(some.len(), 1);
    restore_to(&house, &target, &root).await.unwrap();
    let status = registry.gc_status().await.unwrap();
    assert!(!status.sweep_held, "the hold went with the backup");
    let second = backup(&registry, &target).await.unwrap();
    assert_eq!(second.backup.files, 21);
    assert!(second.copied <= 20 && first.backup.files == 1);
    let verified = verify(&target, None, &mut |_| {}, &CancellationToken::new()).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
    registry.close().await;
}

#[tokio::test]
async fn a_target_that_breaks_in_the_middle_fails_in_words_and_is_gone_on_with_when_it_is_mended() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    backup(&registry, &target).await.unwrap();
    push_image(&registry, "a:2", 2).await;
    let (blobs, aside) = (target.join("blobs/sha256"), place.path().join("aside"));
    std::fs::rename(&blobs, &aside).unwrap();
    std::fs::write(&blobs, "no folder").unwrap();
    let error = refusal(backup(&registry, &target).await);
    assert!(matches!(error, BackupError::Write { .. }), "{error:?}");
    assert!(!registry.gc_status().await.unwrap().sweep_held);
    assert!(
        walk(&house.path().join("landfall/backups")).is_empty(),
        "no copy of the catalog stays"
    );
    std::fs::remove_file(&blobs).unwrap();
    std::fs::rename(&aside, &blobs).unwrap();
    let verified = verify(&target, None, &mut |_| {}, &CancellationToken::new()).unwrap();
    assert!(verified.is_whole() && verified.backups.len() == 1, "{verified:?}");
    assert_eq!(backup(&registry, &target).await.unwrap().copied, 1);
    registry.close().await;
}

#[tokio::test]
async fn a_folder_that_is_not_empty_is_no_place_to_restore_to_and_a_cut_restore_goes_on() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    let blobs = push_image(&registry, "a:1", 1).await;
    backup(&registry, &target).await.unwrap();
    registry.close().await;
    let refused = restore_to(&house, &target, house.path()).await;
    assert!(
        matches!(refused, Err(Error::Store(store::Error::NotEmpty { .. }))),
        "{refused:?}"
    );
    // A try that was cut off left some things, one of them a log of another catalog.
    let aside = root.join("landfall.restoring");
    std::fs::create_dir_all(aside.join("catalog")).unwrap();
    std::fs::write(aside.join("catalog/landfall.db-wal"), noise(3, 5000)).unwrap();
    let hex = blobs[0].hex();
    std::fs::create_dir_all(aside.join("blobs/sha256").join(&hex[..3])).unwrap();
    restore_to(&house, &target, &root).await.unwrap();
    assert!(!aside.exists() && root.join("landfall/FORMAT").exists());
    assert!(blob_in(&target, &blobs[0]).exists());
    let again = restore_to(&house, &target, &root).await;
    assert!(again.is_err(), "what is there is not written over");
}
