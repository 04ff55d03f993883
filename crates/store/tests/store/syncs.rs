//! Many publishes into one folder share its syncs, and none is covered by a sync that began before its rename.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::Algorithm;
use store::testing::{FaultyFiles, Op};
use store::{FsStore, HostFiles};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::*;

async fn until(what: impl Fn() -> bool) {
    for _ in 0..3000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happened");
}

#[tokio::test]
async fn publishes_at_once_share_two_syncs_and_nobody_is_early() {
    let dir = TempDir::new().unwrap();
    let disk = FaultyFiles::new(Arc::new(HostFiles));
    let store = FsStore::open(dir.path(), Arc::new(disk.clone()), SMALL).unwrap();
    let bytes = pattern(30_000);
    // The same bytes, so the same folder. The first makes it.
    push(&store, plan(Algorithm::Sha256), &bytes, 4000).await;
    let (synced, renamed) = (disk.count(Op::SyncDir), disk.count(Op::Rename));

    disk.hold(Op::SyncDir);
    let mut publishes = JoinSet::new();
    let mut publish = |store: &FsStore| {
        let (store, bytes) = (store.clone(), bytes.clone());
        publishes.spawn(async move { push(&store, plan(Algorithm::Sha256), &bytes, 4000).await });
    };
    publish(&store);
    until(|| disk.count(Op::SyncDir) == synced + 1).await; // the first sync has begun
    for _ in 0..20 {
        publish(&store);
    }
    until(|| disk.count(Op::Rename) == renamed + 21).await;
    disk.release_one(Op::SyncDir);
    publishes.join_next().await.unwrap().unwrap(); // the first is covered
    until(|| disk.count(Op::SyncDir) == synced + 2).await;
    // The other twenty came after the first sync had begun: it proves nothing about them.
    assert!(publishes.try_join_next().is_none());
    disk.release(Op::SyncDir);
    while let Some(published) = publishes.join_next().await {
        published.unwrap();
    }
    // A third is possible for one that joins late between its rename and the second sync, not twenty.
    assert!(
        disk.count(Op::SyncDir) <= synced + 3,
        "{} syncs",
        disk.count(Op::SyncDir) - synced
    );
}

#[tokio::test]
async fn a_publish_that_nobody_waits_for_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let disk = FaultyFiles::new(Arc::new(HostFiles));
    let store = FsStore::open(dir.path(), Arc::new(disk.clone()), SMALL).unwrap();
    let bytes = pattern(30_000);
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    upload.append(Bytes::from(bytes.clone())).await.unwrap();
    let verified = upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
    disk.hold(Op::Sync);
    let synced = disk.count(Op::Sync);
    let publish = tokio::spawn({
        let store = store.clone();
        async move { store.publish(verified).await.map(drop) }
    });
    until(|| disk.count(Op::Sync) == synced + 1).await;
    publish.abort();
    assert!(publish.await.unwrap_err().is_cancelled());
    disk.release(Op::Sync);
    until(|| files_under(&store.folder().join("blobs")).is_empty()).await;
}
