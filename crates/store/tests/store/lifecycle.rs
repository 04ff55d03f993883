//! Who owns an upload, who vanishes, what a start finds.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use oci::Algorithm;
use store::{Error, FsStore, HostFiles, Revival};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::*;

#[tokio::test]
async fn who_vanishes_leaves_nothing_unless_a_checkpoint_says_so() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(500_000);
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    upload.append(Bytes::from(bytes.clone())).await.unwrap();
    drop(upload);
    until_no_parts(&store).await;

    let id = Uuid::new_v4();
    let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
    upload
        .append(Bytes::from(bytes[..100_000].to_vec()))
        .await
        .unwrap();
    let at = upload.checkpoint().await.unwrap();
    upload
        .append(Bytes::from(bytes[100_000..].to_vec()))
        .await
        .unwrap();
    assert!(matches!(
        store.resume(id, at.clone()).await,
        Err(Error::UploadBusy { .. })
    ));
    drop(upload); // with a piece in flight: the next owner waits for it
    let mut upload = store.resume(id, at).await.unwrap();
    assert_eq!(upload.offset(), 100_000);
    upload
        .append(Bytes::from(bytes[100_000..].to_vec()))
        .await
        .unwrap();
    let verified = upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
    drop(verified); // never published
    until_no_parts(&store).await;
}

#[tokio::test]
async fn an_append_that_is_cut_off_keeps_what_it_took() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(2_000_000);
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    let mut cuts = 0;
    while upload.offset() < bytes.len() as u64 {
        let taken = usize::try_from(upload.offset()).unwrap();
        let rest = Bytes::copy_from_slice(&bytes[taken..]);
        // Polled once and dropped: cancelled at the first thing that it waits for.
        tokio::select! {
            biased;
            done = upload.append(rest) => done.unwrap(),
            () = std::future::ready(()) => cuts += 1,
        }
        tokio::task::yield_now().await;
    }
    assert!(cuts > 3, "nothing was cut off");
    let verified = upload.verify(&digest(Algorithm::Sha512, &bytes)).await.unwrap();
    let published = store.publish(verified).await.unwrap();
    let blob = store
        .open_blob(&published.location, published.size)
        .await
        .unwrap();
    assert!(read(&blob).await == bytes);
}

#[tokio::test]
async fn a_second_store_on_the_folder_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path(), SMALL);
    match FsStore::open(dir.path(), Arc::new(HostFiles), SMALL) {
        Err(Error::Held { pid, path }) => {
            assert_eq!(pid, Some(std::process::id()));
            assert_eq!(path, first.folder());
        }
        other => panic!("{other:?}"),
    }
    let id = first.store_id();
    drop(first);
    assert_eq!(open(dir.path(), SMALL).store_id(), id);
}

#[tokio::test]
async fn no_store_begins_where_a_revival_goes_on_or_was_cut_off() {
    let dir = TempDir::new().unwrap();
    let revival = Revival::begin(dir.path()).unwrap();
    let refused = || {
        FsStore::open(dir.path(), Arc::new(HostFiles), SMALL)
            .map(|_| ())
            .unwrap_err()
    };
    match refused() {
        Error::Reviving { pid, .. } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Revival::begin(dir.path()), Err(Error::Reviving { .. })));
    drop(revival);
    assert!(matches!(refused(), Error::HalfRevived { .. }));
    assert!(
        !dir.path().join("landfall").exists(),
        "nothing is in the way of the next try"
    );
    let revival = Revival::begin(dir.path()).unwrap();
    revival.finish(Uuid::new_v4(), 2).unwrap();
    open(dir.path(), SMALL);
}

#[tokio::test]
async fn a_start_removes_what_nobody_knows() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let mut points = Vec::new();
    for _ in 0..6 {
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(pattern(9000))).await.unwrap();
        points.push((id, upload.checkpoint().await.unwrap()));
    }
    drop(store);
    let store = open(dir.path(), SMALL);
    let never_written = Uuid::new_v4();
    let known: HashSet<_> = points[..2]
        .iter()
        .map(|(id, _)| *id)
        .chain([never_written])
        .collect();
    let result = store.reconcile_uploads(known.clone()).await.unwrap();
    assert_eq!(result.removed, 4);
    assert!(result.found.len() == 2 && !result.found.contains(&never_written));
    assert_eq!(part_files(&store), 2);
    store.discard_upload(points[0].0).await.unwrap();
    store.discard_upload(points[0].0).await.unwrap(); // gone already: fine
    let upload = store.resume(points[1].0, points[1].1.clone()).await.unwrap();
    upload.discard().await;
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn bytes_from_before_a_power_cut_are_read_back_before_they_are_trusted() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(200_000);
    for damage in [false, true] {
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(bytes.clone())).await.unwrap();
        let mut at = upload.checkpoint().await.unwrap();
        drop(upload);
        at.boot_id.0[0] ^= 1; // as if the machine had been off since
        if damage {
            let file = files_under(&store.folder().join("uploads")).remove(0);
            let file = std::fs::File::options().write(true).open(file).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 8192).unwrap();
            assert!(matches!(
                store.resume(id, at).await,
                Err(Error::UploadGone { .. })
            ));
            assert_eq!(part_files(&store), 0);
        } else {
            let upload = store.resume(id, at).await.unwrap();
            upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
        }
        until_no_parts(&store).await;
    }
}
