//! One repository of a backup comes back into a registry that goes on working.

use registry::backup::RestoreRepository;
use registry::{Error, Registry};
use tokio_util::sync::CancellationToken;

use super::{backup, blob_in, expect_whole, push_image};
use crate::house::{House, delete, noise, pull, push_in_parts};

async fn bring(
    registry: &Registry,
    folder: &std::path::Path,
    name: &str,
    into: &str,
) -> Result<registry::backup::RepositoryRestored, Error> {
    let from = RestoreRepository {
        folder: folder.to_owned(),
        time: None,
        name: name.parse().unwrap(),
        into: into.parse().unwrap(),
        actor: Some("bee".to_owned()),
    };
    registry
        .restore_repository(from, |_| {}, &CancellationToken::new())
        .await
}

async fn digest(registry: &Registry, repository: &str, tag: &str) -> oci::Digest {
    let reference = tag.parse().unwrap();
    registry
        .manifest(&pull(repository), &reference)
        .await
        .unwrap()
        .stat
        .digest
}

#[tokio::test]
async fn a_repository_comes_back_and_nothing_else_is_touched() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    push_image(&registry, "a:2", 2).await;
    push_image(&registry, "b:1", 3).await;
    let (one, two) = (
        digest(&registry, "a", "1").await,
        digest(&registry, "a", "2").await,
    );
    backup(&registry, &target).await.unwrap();
    // 1 is overwritten, 2 deleted with its manifest, 3 is new.
    push_image(&registry, "a:1", 4).await;
    let permit = delete("a");
    registry
        .delete_manifest(&permit, &oci::Reference::Digest(two.clone()))
        .await
        .unwrap();
    push_image(&registry, "a:3", 5).await;
    push_image(&registry, "b:1", 6).await;
    let (three, b) = (
        digest(&registry, "a", "3").await,
        digest(&registry, "b", "1").await,
    );
    let back = bring(&registry, &target, "a", "a").await.unwrap();
    assert_eq!(
        (back.tags, back.manifests, back.blobs_brought),
        (2, 2, 0),
        "{back:?}"
    );
    assert_eq!(digest(&registry, "a", "1").await, one);
    assert_eq!(digest(&registry, "a", "2").await, two);
    assert_eq!(digest(&registry, "a", "3").await, three);
    assert_eq!(digest(&registry, "b", "1").await, b);
    expect_whole(&registry, "a").await;

    let copy = bring(&registry, &target, "a", "copy/of-a").await.unwrap();
    assert_eq!(
        (copy.manifests_brought, copy.blobs_brought),
        (2, 0),
        "the bytes are here: {copy:?}"
    );
    assert_eq!(expect_whole(&registry, "copy/of-a").await, 6);
    registry.close().await;
}

#[tokio::test]
async fn into_another_registry_the_bytes_come_too_and_what_is_damaged_changes_nothing() {
    let (house, other, place) = (House::new(), House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    let blobs = push_image(&registry, "a:1", 1).await;
    backup(&registry, &target).await.unwrap();
    registry.close().await;
    let registry = other.open().await;
    let path = blob_in(&target, &blobs[0]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, noise(9, whole.len())).unwrap();
    let refused = bring(&registry, &target, "a", "a").await;
    assert!(matches!(refused, Err(Error::Backup(_))), "{refused:?}");
    let none = registry.manifest(&pull("a"), &"1".parse().unwrap()).await;
    assert!(none.is_err(), "no tag leads to half an image");
    std::fs::write(&path, whole).unwrap();
    let back = bring(&registry, &target, "a", "a").await.unwrap();
    assert_eq!(back.manifests_brought, 1);
    assert_eq!(expect_whole(&registry, "a").await, 3);
    // Again: all of it is there.
    let again = bring(&registry, &target, "a", "a").await.unwrap();
    assert_eq!((again.manifests_brought, again.blobs_brought), (0, 0));
    let unknown = bring(&registry, &target, "zzz", "zzz").await;
    assert!(matches!(unknown, Err(Error::Backup(_))), "{unknown:?}");
    push_in_parts(&registry, "a", b"goes on").await.unwrap();
    registry.close().await;
}
