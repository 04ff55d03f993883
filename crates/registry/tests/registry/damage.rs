//! Bytes that the disk lost, a catalog that takes no writes, clients that leave: what is still there is served, and a
//! push repairs.

use oci::Reference;
use registry::{Chunk, Error};

use crate::house::{
    House, body, cut_body, digest_of, image, noise, pull, push, push_in_parts, push_manifest, read, walk,
};

/// The only blob file there is.
fn the_file(folder: &std::path::Path) -> std::path::PathBuf {
    let entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let files: Vec<_> = entries.iter().filter(|path| path.is_file()).cloned().collect();
    let below = entries.iter().filter(|path| path.is_dir());
    let mut found: Vec<_> = below
        .filter(|folder| std::fs::read_dir(folder).unwrap().next().is_some())
        .map(|folder| the_file(folder))
        .chain(files)
        .collect();
    found.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_repairs_a_blob_whose_file_is_gone_or_cut() {
    for cut in [true, false] {
        let house = House::new();
        let bytes = noise(1, 200_000);
        let digest = digest_of(&bytes);
        let registry = house.open().await;
        push_in_parts(&registry, "a", &bytes).await.unwrap();
        registry.close().await;
        drop(registry);
        let file = the_file(&house.path().join("landfall/blobs"));
        if cut {
            std::fs::OpenOptions::new()
                .write(true)
                .open(&file)
                .unwrap()
                .set_len(1000)
                .unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let registry = house.open().await;
        assert!(matches!(
            read(&registry, "a", &digest).await,
            Err(Error::BlobDamaged(_))
        ));
        let look = registry.blob_size(&pull("a"), &digest).await;
        assert!(
            matches!(look, Err(Error::BlobUnknown(_))),
            "a pusher must send the bytes again"
        );
        push_in_parts(&registry, "a", &bytes).await.unwrap();
        assert!(read(&registry, "a", &digest).await.unwrap() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_repairs_damage_that_nobody_had_seen_yet() {
    let house = House::new();
    let bytes = noise(2, 200_000);
    let registry = house.open().await;
    push_in_parts(&registry, "a", &bytes).await.unwrap();
    registry.close().await;
    drop(registry);
    std::fs::remove_file(the_file(&house.path().join("landfall/blobs"))).unwrap();
    let registry = house.open().await;
    push_in_parts(&registry, "b", &bytes).await.unwrap();
    for repository in ["a", "b"] {
        assert!(read(&registry, repository, &digest_of(&bytes)).await.unwrap() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_takes_no_writes_stops_no_pull() {
    let house = House::new();
    let registry = house.open().await;
    let layer = push_in_parts(&registry, "a", &noise(3, 50_000)).await.unwrap();
    let config = push_in_parts(&registry, "a", b"{}").await.unwrap();
    let manifest = push_manifest(&registry, "a:1", image(&config, std::slice::from_ref(&layer)))
        .await
        .unwrap();
    // Every lease is long over, so each look would renew it.
    house.clock.advance(30 * 24 * 3_600_000);
    let other = rusqlite::Connection::open(house.path().join("landfall/catalog/landfall.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(
        registry
            .manifest(&pull("a"), &Reference::Digest(manifest))
            .await
            .is_ok()
    );
    assert!(registry.blob_size(&pull("a"), &layer).await.is_ok());
    assert!(read(&registry, "a", &layer).await.is_ok());
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_in_one_request_leaves_nothing_when_its_client_leaves() {
    let house = House::new();
    let registry = house.open().await;
    let bytes = noise(4, 300_000);
    let cut = registry
        .push_blob(&push("a"), digest_of(&bytes), None, cut_body(&bytes[..200_000]))
        .await;
    assert!(matches!(cut, Err(Error::BodyCut)));
    let wrong = registry
        .push_blob(&push("a"), digest_of(b"other"), None, body(&bytes))
        .await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })));
    registry.close().await;
    let uploads = house.path().join("landfall/uploads");
    let left: Vec<_> = walk(&uploads);
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_finish_one_upload_one_does() {
    let house = House::new();
    let registry = house.open().await;
    let bytes = noise(5, 300_000);
    let id = registry
        .begin_upload(&push("a"), oci::Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    registry
        .append(&push("a"), id, Chunk::default(), body(&bytes))
        .await
        .unwrap();
    let finish = || {
        let (registry, digest) = (registry.clone(), digest_of(&bytes));
        tokio::spawn(async move {
            registry
                .finish_upload(&push("a"), id, digest, Chunk::default(), body(&[]))
                .await
                .is_ok()
        })
    };
    let mut finished = 0;
    for task in (0..8).map(|_| finish()).collect::<Vec<_>>() {
        finished += usize::from(task.await.unwrap());
    }
    assert_eq!(finished, 1);
    assert!(read(&registry, "a", &digest_of(&bytes)).await.unwrap() == bytes);
}
