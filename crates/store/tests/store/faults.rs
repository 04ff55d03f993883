//! A disk that is full, broken or slow costs the push that met it, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use oci::Algorithm;
use store::testing::{Failure, FaultyFiles, Op};
use store::{Error, FsOptions, FsStore, HostFiles, Plan, Published};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::*;

fn faulty(options: FsOptions) -> (TempDir, FaultyFiles, FsStore) {
    let dir = TempDir::new().unwrap();
    let disk = FaultyFiles::new(Arc::new(HostFiles));
    let store = FsStore::open(dir.path(), Arc::new(disk.clone()), options).unwrap();
    (dir, disk, store)
}

fn blob_files(store: &FsStore) -> usize {
    files_under(&store.folder().join("blobs")).len()
}

/// A push with a checkpoint in its middle, as far as the disk lets it.
async fn try_push(store: &FsStore, bytes: &[u8]) -> Result<Published, Error> {
    let plan = Plan {
        algorithm: Algorithm::Sha256,
        size_hint: Some(bytes.len() as u64),
    };
    let mut upload = store.begin(Uuid::new_v4(), plan).await?;
    for (number, chunk) in bytes.chunks(30_011).enumerate() {
        let mut step = upload.append(Bytes::copy_from_slice(chunk)).await;
        if number == 3 && step.is_ok() {
            step = upload.checkpoint().await.map(drop);
        }
        if let Err(error) = step {
            assert!(matches!(
                upload.append(Bytes::from_static(b"x")).await,
                Err(Error::UploadFailed { .. })
            ));
            upload.discard().await;
            return Err(error);
        }
    }
    let verified = upload.verify(&digest(Algorithm::Sha256, bytes)).await?;
    store.publish(verified).await
}

#[tokio::test]
async fn a_full_disk_at_any_write_gives_the_room_back() {
    let (_dir, disk, store) = faulty(SMALL);
    let bytes = pattern(400_000);
    let before = disk.count(Op::Write);
    let kept = try_push(&store, &bytes).await.unwrap();
    let writes = disk.count(Op::Write) - before;
    assert!(writes > 5, "too few writes to fail at");
    for nth in 0..writes {
        disk.fail(Op::Write, nth, u64::MAX, Failure::NoSpace);
        assert!(
            matches!(try_push(&store, &bytes).await, Err(Error::NoRoom { .. })),
            "write {nth}"
        );
        disk.heal();
        assert_eq!((part_files(&store), blob_files(&store)), (0, 1), "write {nth}");
        let blob = store.open_blob(&kept.location, kept.size).await.unwrap();
        assert!(read(&blob).await == bytes, "pulls go on");
    }
    try_push(&store, &bytes).await.unwrap();
}

#[tokio::test]
async fn whatever_call_fails_nothing_half_written_stays() {
    let (_dir, disk, store) = faulty(SMALL);
    let bytes = pattern(300_000);
    for op in [Op::Create, Op::Write, Op::Rename, Op::Sync, Op::SyncDir] {
        disk.fail(op, 0, 1, Failure::Broken);
        let blobs = blob_files(&store);
        let error = try_push(&store, &bytes).await.unwrap_err();
        match op {
            Op::Sync | Op::SyncDir => assert!(matches!(error, Error::NotDurable { .. }), "{op:?}: {error}"),
            _ => assert!(matches!(error, Error::Io { .. }), "{op:?}: {error}"),
        }
        until_no_parts(&store).await;
        assert_eq!(blob_files(&store), blobs, "{op:?}");
        disk.heal();
        let published = try_push(&store, &bytes).await.unwrap();
        let blob = store
            .open_blob(&published.location, published.size)
            .await
            .unwrap();
        assert!(read(&blob).await == bytes, "{op:?}");
    }
}

#[tokio::test]
async fn a_failed_sync_is_not_asked_twice() {
    let (_dir, disk, store) = faulty(SMALL);
    let bytes = pattern(100_000);
    let before = disk.count(Op::Sync);
    disk.fail(Op::Sync, 0, 1, Failure::Broken);
    try_push(&store, &bytes).await.unwrap_err();
    assert_eq!(disk.count(Op::Sync) - before, 1);
    assert_eq!(blob_files(&store), 0);
}

#[tokio::test]
async fn short_writes_are_gone_on_with() {
    let options = FsOptions {
        buffer_bytes: 2 << 20,
        ..FsOptions::default()
    };
    let (_dir, disk, store) = faulty(options);
    let bytes = pattern((9 << 20) + 1234);
    // 1.5 blocks: a direct write goes on from a block boundary. 700: it falls back to the cache.
    for max in [1 << 20, 6144, 700] {
        disk.shorten_writes(max);
        let published = try_push(&store, &bytes).await.unwrap();
        disk.heal();
        let blob = store
            .open_blob(&published.location, published.size)
            .await
            .unwrap();
        assert!(read(&blob).await == bytes, "writes of {max}");
    }
}

#[tokio::test]
async fn large_bodies_go_past_the_cache_and_come_back_whole() {
    let (_dir, disk, store) = faulty(FsOptions::default());
    let direct = store.writes_directly();
    let bytes = pattern((20 << 20) + 4321);
    let published = try_push(&store, &bytes).await.unwrap();
    assert_eq!(disk.count(Op::WriteDirect) > 0, direct);
    let blob = store
        .open_blob(&published.location, published.size)
        .await
        .unwrap();
    assert!(read(&blob).await == bytes);
}

#[tokio::test]
async fn a_disk_that_refuses_direct_writes_is_written_through_the_cache() {
    for op in [Op::OpenDirect, Op::WriteDirect] {
        let (_dir, disk, store) = faulty(FsOptions::default());
        disk.fail(op, 0, u64::MAX, Failure::Refused);
        let bytes = pattern((12 << 20) + 99);
        let published = try_push(&store, &bytes).await.unwrap();
        assert!(!store.writes_directly());
        assert!(disk.count(op) <= 1, "asked again after the refusal");
        let blob = store
            .open_blob(&published.location, published.size)
            .await
            .unwrap();
        assert!(read(&blob).await == bytes);
    }
}

#[tokio::test]
async fn a_read_that_fails_is_an_error_and_the_next_one_may_succeed() {
    let (_dir, disk, store) = faulty(SMALL);
    let bytes = pattern(100_000);
    let published = try_push(&store, &bytes).await.unwrap();
    let blob = store
        .open_blob(&published.location, published.size)
        .await
        .unwrap();
    disk.fail(Op::Read, 0, 1, Failure::Broken);
    assert!(matches!(blob.read_at(0, 1000).await, Err(Error::Io { .. })));
    assert!(read(&blob).await == bytes);
}

#[tokio::test]
async fn more_uploads_than_buffers_all_go_through() {
    // One buffer for sixty uploads that all stand half-filled at once.
    let options = FsOptions {
        buffers: 1,
        buffer_bytes: 64 * 1024,
        ..SMALL
    };
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), options);
    let bytes = pattern(300_000);
    let mut uploads = Vec::new();
    for _ in 0..60 {
        uploads.push(
            store
                .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
                .await
                .unwrap(),
        );
    }
    for chunk in bytes.chunks(17_000) {
        for upload in &mut uploads {
            upload.append(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
    }
    for upload in uploads {
        let verified = upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
        let published = store.publish(verified).await.unwrap();
        let blob = store
            .open_blob(&published.location, published.size)
            .await
            .unwrap();
        assert!(read(&blob).await == bytes);
    }
}

#[tokio::test]
async fn the_reserve_is_given_up_and_set_aside_again() {
    let (_dir, disk, store) = faulty(SMALL);
    let reserve = store.folder().join("reserve.bin");
    let size = std::fs::metadata(&reserve).unwrap().len();
    assert!(size > 0);
    store.release_reserve().await.unwrap();
    store.release_reserve().await.unwrap(); // given up already: fine
    assert!(!reserve.exists());
    disk.fail(Op::Reserve, 0, 1, Failure::NoSpace);
    assert!(matches!(store.restore_reserve().await, Err(Error::NoRoom { .. })));
    store.restore_reserve().await.unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), size);
    let room = store.free_bytes().await.unwrap();
    assert!(room.total > 0 && room.low_water() <= room.total / 8);
}
