//! What is said to be here stays: leases, the undo of deletes by a push, and replaced copies that go.

use registry::Error;

use crate::house::{House, delete, digest_of, image, noise, pull, push_in_parts, push_manifest, read, walk};

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_a_manifest_names_cannot_be_deleted() {
    let house = House::new();
    let registry = house.open().await;
    let layer = push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    let config = push_in_parts(&registry, "a", b"{}").await.unwrap();
    let manifest = push_manifest(&registry, "a:1", image(&config, std::slice::from_ref(&layer)))
        .await
        .unwrap();
    let refused = registry.delete_blob(&delete("a"), &layer).await;
    assert!(matches!(refused, Err(Error::BlobInUse { by, .. }) if by == [manifest.clone()]));
    registry
        .delete_manifest(&delete("a"), &oci::Reference::Digest(manifest))
        .await
        .unwrap();
    registry.delete_blob(&delete("a"), &layer).await.unwrap();
    assert!(matches!(
        registry.blob_size(&pull("a"), &layer).await,
        Err(Error::BlobUnknown(_))
    ));
    // Pushing it again brings it back.
    push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    assert!(read(&registry, "a", &layer).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_copy_of_a_blob_is_swept() {
    let house = House::new();
    let registry = house.open().await;
    let bytes = noise(2, 50_000);
    push_in_parts(&registry, "a", &bytes).await.unwrap();
    push_in_parts(&registry, "b", &bytes).await.unwrap();
    let folder = house.path().join("landfall/blobs");
    let copies = || walk(&folder).len();
    assert_eq!(copies(), 2);
    registry.gc_run().await.unwrap();
    assert_eq!(copies(), 1);
    for repository in ["a", "b"] {
        assert!(read(&registry, repository, &digest_of(&bytes)).await.unwrap() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_missing_blobs_names_each_of_them() {
    let house = House::new();
    let registry = house.open().await;
    let here = push_in_parts(&registry, "a", b"here").await.unwrap();
    let (one, two) = (digest_of(b"one"), digest_of(b"two"));
    let refused = push_manifest(&registry, "a:1", image(&one, &[here, two.clone()])).await;
    let Err(Error::Missing(mut missing)) = refused else {
        panic!("{refused:?}")
    };
    let mut expected = [one, two];
    missing.sort();
    expected.sort();
    assert_eq!(missing, expected);
}
