//! Backups that something befell, and content that was damaged before it could be backed up.

use std::fs;

use registry::Error;
use registry::backup::{BackupError, list, verify};
use tokio_util::sync::CancellationToken;

use super::{backup, blob_in, expect_whole, open_at, push_image, restore_to, restore_with};
use crate::house::{House, noise, push_in_parts, read, walk};

/// Changes one byte in the middle.
fn alter(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_none_of_it_becomes_a_registry() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    let blobs = push_image(&registry, "a:1", 1).await;
    fs::write(house.path().join("landfall/htpasswd"), "bee:x\n").unwrap();
    let time = backup(&registry, &target).await.unwrap().backup.time;
    registry.close().await;
    let blob = blob_in(&target, &blobs[0]);
    let catalog = target.join(format!("catalogs/{time}.db"));
    let settings = target.join(format!("settings/{time}/htpasswd"));
    let record = target.join(format!("backups/{time}.json"));
    let stop = CancellationToken::new();
    let mut number = 0;
    for path in [&blob, &catalog, &settings, &record] {
        let whole = fs::read(path).unwrap();
        for damage in ["altered", "truncated", "missing"] {
            match damage {
                "altered" if path == &record => fs::write(path, "{\"format\": 1}").unwrap(),
                "altered" => alter(path),
                "truncated" => fs::write(path, &whole[..whole.len() / 2]).unwrap(),
                _ => fs::remove_file(path).unwrap(),
            }
            let verified = verify(&target, None, &mut |_| {}, &stop);
            if path == &record && damage == "missing" {
                assert!(
                    matches!(verified, Err(BackupError::Unknown { .. })),
                    "{verified:?}"
                );
                assert!(list(&target).unwrap().is_empty(), "without its record it is none");
            } else {
                assert!(!verified.unwrap().is_whole(), "{}: {damage}", path.display());
            }
            let root = place.path().join(format!("new-{number}"));
            number += 1;
            let refused = restore_to(&house, &target, &root).await;
            assert!(matches!(refused, Err(Error::Backup(_))), "{refused:?}");
            assert!(!root.join("landfall").exists(), "nothing half is there");
            fs::write(path, &whole).unwrap();
        }
    }
    assert!(verify(&target, None, &mut |_| {}, &stop).unwrap().is_whole());
    fs::write(
        &record,
        fs::read_to_string(&record)
            .unwrap()
            .replace("\"format\": 1", "\"format\": 2"),
    )
    .unwrap();
    let newer = restore_to(&house, &target, &place.path().join("newer")).await;
    assert!(
        matches!(newer, Err(Error::Backup(BackupError::Newer(_)))),
        "{newer:?}"
    );
}

#[tokio::test]
async fn what_is_left_of_a_damaged_backup_can_be_had_and_a_push_mends_the_rest() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    let blobs = push_image(&registry, "a:1", 1).await;
    push_image(&registry, "b:1", 2).await;
    backup(&registry, &target).await.unwrap();
    registry.close().await;
    alter(&blob_in(&target, &blobs[0]));
    let refused = restore_to(&house, &target, &root).await;
    let Err(Error::Backup(BackupError::Damaged { count: 1, first, .. })) = &refused else {
        panic!("{refused:?}");
    };
    assert!(first.contains(&blobs[0].to_string()));
    let restored = restore_with(&house, &target, None, true, &root).await.unwrap();
    assert_eq!(restored.damaged, [blobs[0].to_string()]);
    let registry = open_at(&house, &root).await;
    assert_eq!(expect_whole(&registry, "b").await, 3);
    let missing = read(&registry, "a", &blobs[0]).await;
    assert!(matches!(missing, Err(Error::BlobDamaged(_))), "{missing:?}");
    push_in_parts(&registry, "a", &noise(1, 60_000)).await.unwrap();
    assert_eq!(expect_whole(&registry, "a").await, 3);
    registry.close().await;
}

#[tokio::test]
async fn content_that_is_damaged_here_is_named_and_stops_no_backup() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    let bad = push_image(&registry, "a:1", 1).await;
    let gone = push_image(&registry, "a:2", 2).await;
    push_image(&registry, "a:3", 3).await;
    let file_of = |digest: &oci::Digest| {
        let hex = digest.hex();
        let files = walk(&house.path().join("landfall/blobs"));
        let is_it = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&hex);
        files.into_iter().find(is_it).unwrap()
    };
    alter(&file_of(&bad[0]));
    fs::remove_file(file_of(&gone[0])).unwrap();
    let done = backup(&registry, &target).await.unwrap();
    let mut expected = vec![bad[0].to_string(), gone[0].to_string()];
    expected.sort();
    let mut found = done.backup.damaged.clone();
    found.sort();
    assert_eq!(found, expected);
    // From now on a pusher is told that they are not here, and a pull that they are damaged.
    for digest in [&bad[0], &gone[0]] {
        let read = read(&registry, "a", digest).await;
        assert!(matches!(read, Err(Error::BlobDamaged(_))), "{read:?}");
    }
    let stop = CancellationToken::new();
    let verified = verify(&target, None, &mut |_| {}, &stop).unwrap();
    assert_eq!(verified.damaged_count, 2);
    assert!(verified.damaged.iter().all(|blob| blob.known), "{verified:?}");
    push_in_parts(&registry, "a", &noise(1, 60_000)).await.unwrap();
    push_in_parts(&registry, "a", &noise(2, 60_000)).await.unwrap();
    let done = backup(&registry, &target).await.unwrap();
    assert_eq!((done.copied, done.backup.damaged.len()), (2, 0));
    registry.close().await;
}

#[tokio::test]
async fn good_bytes_of_a_backup_mend_what_was_known_to_be_damaged_when_it_was_made() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    let blobs = push_image(&registry, "a:1", 1).await;
    backup(&registry, &target).await.unwrap();
    let file = walk(&house.path().join("landfall/blobs")).pop().unwrap();
    fs::remove_file(&file).unwrap();
    let missing = read(&registry, "a", &blobs[0]).await;
    assert!(matches!(missing, Err(Error::BlobDamaged(_))), "{missing:?}");
    backup(&registry, &target).await.unwrap();
    registry.close().await;
    let restored = restore_to(&house, &target, &root).await.unwrap();
    assert!(restored.damaged.is_empty(), "{restored:?}");
    let registry = open_at(&house, &root).await;
    assert_eq!(expect_whole(&registry, "a").await, 3);
    assert_eq!(registry.damages(0, 10).await.unwrap().len(), 0);
    registry.close().await;
}
