//! Bytes come out as they went in, whatever way they take: memory, file, restart.

use bytes::Bytes;
use oci::Algorithm;
use store::{Error, FsOptions, Inlined, Plan};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::*;

#[tokio::test]
async fn any_size_comes_out_as_it_went_in() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    for size in [0, 1, 4095, 16_384, 16_385, 100_000, 3 << 20, (9 << 20) + 77] {
        for algorithm in Algorithm::ALL {
            let bytes = pattern(size);
            let size_hint = (size % 2 == 0).then_some(size as u64 + 5000);
            let published = push(&store, Plan { algorithm, size_hint }, &bytes, 50_021).await;
            assert_eq!(published.size, size as u64);
            assert_eq!(published.digest, digest(algorithm, &bytes));
            assert!(store.is_in_flight(&published.location));
            let blob = store.open_blob(&published.location, size as u64).await.unwrap();
            assert!(read(&blob).await == bytes, "{size} bytes differ");
            assert_eq!(blob.file().unwrap().metadata().unwrap().len(), size as u64);
            let location = published.location.clone();
            drop(published);
            assert!(!store.is_in_flight(&location));
        }
    }
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn a_small_blob_never_touches_the_disk() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    let before = files_under(dir.path());
    for size in [0, 1, 16_384] {
        let bytes = pattern(size);
        let mut upload = store
            .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
            .await
            .unwrap();
        for chunk in bytes.chunks(1000) {
            upload.append(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        // Another algorithm than announced is no matter in memory.
        let verified = upload.verify(&digest(Algorithm::Sha512, &bytes)).await.unwrap();
        let Inlined::Inline(inline) = verified.into_inline(16_384).await.unwrap() else {
            panic!("too large")
        };
        assert_eq!(inline, bytes);
    }
    assert_eq!(files_under(dir.path()), before);
}

#[tokio::test]
async fn a_small_blob_that_came_in_two_requests_can_be_inline_too() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    upload.append(Bytes::from_static(b"hello ")).await.unwrap();
    upload.checkpoint().await.unwrap();
    assert_eq!(part_files(&store), 1);
    upload.append(Bytes::from_static(b"world")).await.unwrap();
    let verified = upload
        .verify(&digest(Algorithm::Sha256, b"hello world"))
        .await
        .unwrap();
    let Inlined::Large(verified) = verified.into_inline(10).await.unwrap() else {
        panic!("over the limit")
    };
    let Inlined::Inline(bytes) = verified.into_inline(11).await.unwrap() else {
        panic!("too large")
    };
    assert_eq!(bytes, b"hello world");
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn the_wrong_digest_takes_the_bytes_with_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    for size in [10, 200_000] {
        let bytes = pattern(size);
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(bytes.clone())).await.unwrap();
        let at = upload.checkpoint().await.unwrap();
        let expected = digest(Algorithm::Sha256, b"something else");
        match upload.verify(&expected).await {
            Err(Error::DigestMismatch { actual, .. }) => {
                assert_eq!(actual, digest(Algorithm::Sha256, &bytes));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(part_files(&store), 0);
        assert!(matches!(
            store.resume(id, at).await,
            Err(Error::UploadGone { .. })
        ));
    }
}

#[tokio::test]
async fn two_uploads_of_one_digest_get_two_places() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(150_000);
    let one = push(&store, plan(Algorithm::Sha256), &bytes, 7000);
    let two = push(&store, plan(Algorithm::Sha256), &bytes, 9000);
    let (one, two) = tokio::join!(one, two);
    assert_ne!(one.location, two.location);
    store.remove(vec![one.location.clone()]).await.unwrap();
    store.remove(vec![one.location.clone()]).await.unwrap(); // gone already: fine
    assert!(matches!(
        store.open_blob(&one.location, 150_000).await,
        Err(Error::Missing { .. })
    ));
    assert_eq!(
        read(&store.open_blob(&two.location, 150_000).await.unwrap()).await,
        bytes
    );
}

#[tokio::test]
async fn a_damaged_file_is_never_a_short_answer() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let published = push(&store, plan(Algorithm::Sha256), &pattern(100_000), 7000).await;
    let path = store.folder().join("blobs").join(published.location.to_string());
    let open_before = store.open_blob(&published.location, 100_000).await.unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(50_000)
        .unwrap();
    assert!(matches!(
        open_before.read_at(40_000, 20_000).await,
        Err(Error::ShortFile { found: 50_000, .. })
    ));
    assert_eq!(open_before.read_at(40_000, 10_000).await.unwrap().len(), 10_000);
    drop(store);
    drop(open_before);
    let store = open(dir.path(), SMALL);
    let again = store.open_blob(&published.location, 100_000).await;
    assert!(matches!(
        again,
        Err(Error::ShortFile {
            expected: 100_000,
            found: 50_000,
            ..
        })
    ));
}
