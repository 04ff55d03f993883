//! Backups: what was there at one moment comes back whole, whatever went on meanwhile, and whatever befell the backup is said.

mod damaged;
mod desk;
mod one;
mod targets;
mod under_load;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{Catalog, SqliteOptions};
use oci::Digest;
use registry::backup::{BackupDone, RestoreFrom, Restored, restore};
use registry::{Error, Registry, Rules};
use store::{FsOptions, FsStore, HostFiles};
use tokio_util::sync::CancellationToken;

use crate::house::{House, digest_of, image, noise, pull, push_in_parts, push_manifest, read, walk};

/// A registry's content, small enough for a story: an image of two layers, one of them too small for a file.
pub(crate) async fn push_image(registry: &Registry, at: &str, seed: u64) -> Vec<Digest> {
    let repository = at.split(':').next().unwrap();
    let large = push_in_parts(registry, repository, &noise(seed, 60_000))
        .await
        .unwrap();
    let small = push_in_parts(registry, repository, &noise(seed, 900))
        .await
        .unwrap();
    let config = push_in_parts(registry, repository, format!("config {seed}").as_bytes())
        .await
        .unwrap();
    push_manifest(registry, at, image(&config, &[large.clone(), small.clone()]))
        .await
        .unwrap();
    vec![large, small, config]
}

/// Makes a backup, and keeps all that there are.
pub(crate) async fn backup(registry: &Registry, to: &Path) -> Result<BackupDone, Error> {
    registry.backup(to, None, |_| {}, &CancellationToken::new()).await
}

pub(crate) async fn restore_to(house: &House, from: &Path, root: &Path) -> Result<Restored, Error> {
    restore_with(house, from, None, false, root).await
}

pub(crate) async fn restore_with(
    house: &House,
    from: &Path,
    time: Option<&str>,
    partial: bool,
    root: &Path,
) -> Result<Restored, Error> {
    let from = RestoreFrom {
        folder: from.to_owned(),
        time: time.map(str::to_owned),
        partial,
    };
    restore(from, root, &*house.clock, |_| {}, &CancellationToken::new()).await
}

/// A registry on a folder that was restored.
pub(crate) async fn open_at(house: &House, root: &Path) -> Registry {
    let store = FsStore::open(root, Arc::new(HostFiles), FsOptions::default()).unwrap();
    let catalog = Catalog::open_sqlite(
        &store.folder().join("catalog/landfall.db"),
        SqliteOptions::default(),
    )
    .unwrap();
    let clock: Arc<dyn registry::Clock> = house.clock.clone();
    Registry::open(store, catalog, clock, Rules::default())
        .await
        .unwrap()
}

/// Everything that a repository's tags lead to, read and compared with its digests; how many blobs that were.
pub(crate) async fn expect_whole(registry: &Registry, repository: &str) -> usize {
    let mut blobs = 0;
    for tag in registry
        .tags(&pull(repository), None, None)
        .await
        .unwrap()
        .tags
        .clone()
    {
        let reference = tag.parse().unwrap();
        let manifest = registry.manifest(&pull(repository), &reference).await.unwrap();
        assert_eq!(
            digest_of(&manifest.body),
            manifest.stat.digest,
            "{repository}:{tag}"
        );
        let parsed = oci::Manifest::parse(&manifest.body, None).unwrap();
        for blob in parsed.layers.iter().chain(&parsed.config) {
            let bytes = read(registry, repository, &blob.digest).await.unwrap();
            assert_eq!(digest_of(&bytes), blob.digest, "{repository}:{tag}");
            blobs += 1;
        }
    }
    blobs
}

/// Where a backup keeps a blob.
pub(crate) fn blob_in(folder: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    folder.join("blobs/sha256").join(&hex[..3]).join(hex)
}

#[tokio::test]
async fn what_was_there_comes_back_whole_and_in_another_life() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    push_image(&registry, "team/a:1", 1).await;
    push_image(&registry, "team/a:2", 2).await;
    push_image(&registry, "b:latest", 1).await;
    std::fs::create_dir_all(house.path().join("landfall/tls/acme")).unwrap();
    std::fs::write(house.path().join("landfall/tls/acme/account.key"), "key").unwrap();
    std::fs::write(house.path().join("landfall/htpasswd"), "bee:$2y$10$x\n").unwrap();
    let done = backup(&registry, &target).await.unwrap();
    assert_eq!(
        (done.copied, done.bytes_copied),
        (2, 120_000),
        "two layers, one of them shared"
    );
    assert_eq!(
        (done.backup.repositories, done.backup.tags, done.backup.manifests),
        (2, 3, 3)
    );
    assert!(done.same_disk && done.backup.damaged.is_empty());
    // What comes later is in no backup that is there.
    push_image(&registry, "team/a:3", 3).await;
    registry.close().await;

    let restored = restore_to(&house, &target, &root).await.unwrap();
    assert_eq!(restored.backup, done.backup);
    let names = |path: &Path| std::fs::read_to_string(path.join("landfall/FORMAT")).unwrap();
    let (old, new) = (names(house.path()), names(&root));
    assert_eq!(old.replace("incarnation = 1", "incarnation = 2"), new);
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let found = std::fs::metadata(root.join("landfall").join(path)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode("htpasswd"), mode("tls/acme/account.key")), (0o600, 0o600));
    let registry = open_at(&house, &root).await;
    assert_eq!(expect_whole(&registry, "team/a").await, 6);
    assert_eq!(expect_whole(&registry, "b").await, 3);
    // Nothing lies there that no row names, and nothing of it is lost.
    assert_eq!(registry.scan_orphans().await.unwrap(), 0);
    push_image(&registry, "team/a:4", 4).await;
    registry.close().await;
}

#[tokio::test]
async fn a_second_backup_copies_only_what_is_new_and_old_ones_go_with_what_they_alone_need() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let target = place.path().join("backups");
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    let first = backup(&registry, &target).await.unwrap();
    push_image(&registry, "a:2", 2).await;
    let second = backup(&registry, &target).await.unwrap();
    assert!(first.backup.time < second.backup.time, "also within one second");
    assert_eq!((second.copied, second.backup.files), (1, 2));
    assert_eq!(backup(&registry, &target).await.unwrap().copied, 0);
    let listed = registry::backup::list(&target).unwrap();
    assert_eq!(listed.len(), 3);

    // The first image goes from the registry; then only old backups hold it.
    let permit = crate::house::delete("a");
    registry
        .delete_manifest(&permit, &"1".parse().unwrap())
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let kept = registry.backup(&target, Some(2), |_| {}, &stop).await.unwrap();
    let pruned = kept.pruned.unwrap();
    assert_eq!(pruned.backups, [first.backup.time, second.backup.time]);
    assert_eq!(pruned.blobs, 0, "untagged is not deleted");
    let verified = registry::backup::verify(&target, None, &mut |_| {}, &stop).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
    assert_eq!((verified.backups.len(), verified.blobs), (2, 2));
    let shard = walk(&target.join("blobs")).pop().unwrap();
    std::fs::write(shard.with_extension("part"), "half").unwrap();
    let kept = registry.backup(&target, Some(1), |_| {}, &stop).await.unwrap();
    assert!(kept.pruned.unwrap().blobs >= 1, "what a cut-off backup left goes");
    assert_eq!(registry::backup::list(&target).unwrap().len(), 1);
    registry.close().await;
}

#[tokio::test]
async fn undo_windows_go_on_where_they_stood() {
    const DAY: i64 = 24 * 3600 * 1000;
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let (target, root) = (place.path().join("backups"), place.path().join("new"));
    let registry = house.open().await;
    push_image(&registry, "a:1", 1).await;
    let digest = registry
        .manifest(&pull("a"), &"1".parse().unwrap())
        .await
        .unwrap()
        .stat
        .digest;
    let permit = crate::house::delete("a");
    registry
        .delete_manifest(&permit, &oci::Reference::Digest(digest.clone()))
        .await
        .unwrap();
    backup(&registry, &target).await.unwrap();
    registry.close().await;
    house.clock.advance(100 * DAY);
    restore_to(&house, &target, &root).await.unwrap();
    let registry = open_at(&house, &root).await;
    house.clock.advance(3600 * 1000); // the time after a start is over
    let run = registry.gc_run().await.unwrap();
    assert_eq!(
        (run.purged, run.blobs),
        (0, 0),
        "a hundred days on a shelf count for nothing"
    );
    registry.close().await;
}
