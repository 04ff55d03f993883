//! Garbage goes, and nothing else: each case of pushes, deletes and restores that meet the collector.

mod blobs;
mod manifests;
mod races;
mod views;

use catalog::{Restored, Trashed, Unlinked};
use oci::Digest;

use crate::harness::{DAY, House, KEEP, UNDO, digest, edge, repo, tag};

/// An image whose layer lies in a file; the image's digest.
pub(super) async fn push_image_file(
    house: &House,
    to: &str,
    content: &str,
    location: &str,
    tags: &[&str],
) -> Digest {
    house.push_file(to, content, location).await;
    let mut image = house.manifest(to, &format!("image of {content}"), tags);
    image.blobs = vec![edge(0, &digest(content))];
    house.put_stored(image).await
}

pub(super) async fn trash(house: &House, manifest: &Digest) -> i64 {
    let (manifest, now) = (manifest.clone(), house.now());
    let trashed = house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &manifest, now, UNDO, None))
        .await;
    let Trashed::Done { op, .. } = trashed else {
        panic!("{trashed:?}")
    };
    op
}

pub(super) async fn untag(house: &House, name: &'static str) {
    let now = house.now();
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag(name), now, KEEP, UNDO, None))
        .await;
}

pub(super) async fn unlink(house: &House, blob: &Digest) -> Unlinked {
    let (blob, now) = (blob.clone(), house.now());
    house
        .write(move |tx| catalog::unlink_blob(tx, &repo("a"), &blob, now, UNDO, None))
        .await
}

pub(super) async fn restore(house: &House, op: i64) -> Restored {
    let now = house.now();
    house
        .write(move |tx| catalog::restore(tx, op, &catalog::RestoreWish::default(), now, KEEP, None))
        .await
}

/// Lets all windows pass, collecting all the time; the locations that were swept, in order.
pub(super) async fn long_after(house: &House) -> Vec<String> {
    let mut swept = Vec::new();
    for _ in 0..40 {
        house.pass(DAY);
        swept.extend(house.collect().await);
    }
    assert!(house.read(catalog::audit).await.is_empty());
    swept.sort();
    swept
}

pub(super) async fn stored_blobs(house: &House) -> i64 {
    house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
        .await
        .blobs
}
