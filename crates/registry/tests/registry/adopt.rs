//! Adopting on disks that cannot link, and disks that fill up: what is left is whole, and the next run goes on.

use std::fs;
use std::path::Path;

use oci::Digest;
use registry::Error;
use registry::adopt::{Damage, Destination, Found, Progress, Report, Verify, Watcher, survey};
use sha2::{Digest as _, Sha512};
use store::testing::{Failure, Op};
use tokio_util::sync::CancellationToken;

use crate::house::{House, digest_of, image, noise, read};

/// Nobody listens.
struct Silence;

impl Watcher for Silence {
    fn progress(&mut self, _: &Progress) {}
    fn damage(&mut self, _: &Damage) {}
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A tree of a CNCF registry with these repositories, each with an image of one layer of 40 KB.
fn plant(root: &Path, names: &[&str]) {
    let base = root.join("docker/registry/v2");
    for (seed, name) in (0..).zip(names) {
        let put = |bytes: &[u8], place: &str| {
            let digest = digest_of(bytes);
            let (hex, text) = (digest.hex(), digest.to_string());
            write(
                &base.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])),
                bytes,
            );
            write(
                &base.join(format!("repositories/{name}/{place}/sha256/{hex}/link")),
                text.as_bytes(),
            );
            digest
        };
        let layer = put(&noise(seed, 40_000), "_layers");
        let config = put(format!("config of {seed}").as_bytes(), "_layers");
        let document = image(&config, &[layer]);
        let manifest = put(&document, "_manifests/revisions");
        let tag = base.join(format!("repositories/{name}/_manifests/tags/1/current/link"));
        write(&tag, manifest.to_string().as_bytes());
    }
}

async fn adopt(house: &House, root: &Path) -> Result<Report, Error> {
    let registry = house.open().await;
    let stop = CancellationToken::new();
    // The documents of the house's images give sizes that are not true.
    let adopted = registry.adopt(root, Verify::Deferred, &mut Silence, &stop).await;
    registry.close().await;
    adopted
}

#[tokio::test]
async fn where_files_cannot_be_linked_or_cloned_they_are_copied() {
    let (house, old) = (House::new(), tempfile::tempdir().unwrap());
    plant(old.path(), &["a", "a/b"]);
    house.disk.fail(Op::Link, 0, u64::MAX, Failure::Refused);
    house.disk.fail(Op::Clone, 0, u64::MAX, Failure::Refused);
    let report = adopt(&house, old.path()).await.unwrap();
    assert_eq!(
        (report.linked, report.cloned, report.copied),
        (0, 0, 4),
        "{report:?}"
    );
    assert_eq!(report.bytes_copied, 80_000 + 22);
    assert_eq!((report.tags, report.damage_count), (2, 0), "{report:?}");
    let registry = house.open().await;
    let layer = noise(1, 40_000);
    assert_eq!(read(&registry, "a/b", &digest_of(&layer)).await.unwrap(), layer);
    assert!(
        read(&registry, "a", &digest_of(&layer)).await.is_err(),
        "each repository has its own"
    );
}

#[tokio::test]
async fn a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on() {
    let (house, old) = (House::new(), tempfile::tempdir().unwrap());
    let names = ["a", "b", "c", "d"];
    plant(old.path(), &names);
    house.disk.fail(Op::Link, 0, u64::MAX, Failure::Refused);
    house.disk.fail(Op::Clone, 0, u64::MAX, Failure::Refused);
    let before = house.disk.count(Op::Write);
    house.disk.fail(Op::Write, 4, u64::MAX, Failure::NoSpace);
    let full = adopt(&house, old.path()).await;
    assert!(matches!(full, Err(Error::NoRoom)), "{full:?}");
    assert!(house.disk.count(Op::Write) > before);
    house.disk.heal();
    let report = adopt(&house, old.path()).await.unwrap();
    assert_eq!(
        report.damage_count, 0,
        "a full disk of ours is no damage of theirs: {report:?}"
    );
    let registry = house.open().await;
    for (seed, name) in (0..).zip(names) {
        let layer = noise(seed, 40_000);
        assert_eq!(
            read(&registry, name, &digest_of(&layer)).await.unwrap(),
            layer,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_blob_whose_bytes_are_wrong_is_not_taken_in_and_its_file_stays() {
    let (house, old) = (House::new(), tempfile::tempdir().unwrap());
    plant(old.path(), &["a"]);
    let layer = digest_of(&noise(0, 40_000)).hex();
    let data = old.path().join(format!(
        "docker/registry/v2/blobs/sha256/{}/{layer}/data",
        &layer[..2]
    ));
    fs::write(&data, noise(9, 1)).unwrap();
    let (registry, stop) = (house.open().await, CancellationToken::new());
    let there = Destination {
        folder: house.path().to_owned(),
        inline_bytes_max: 0,
    };
    let seen = survey(old.path(), Verify::Full, &there, &mut Silence, &stop)
        .await
        .unwrap();
    let report = registry
        .adopt(old.path(), Verify::Full, &mut Silence, &stop)
        .await
        .unwrap();
    assert_eq!(seen.damages, report.damages);
    let kinds: Vec<_> = report.damages.iter().map(|damage| &damage.found).collect();
    assert!(
        kinds
            .iter()
            .any(|found| matches!(found, Found::WrongHash { .. } | Found::WrongSize { .. })),
        "{kinds:?}"
    );
    assert_eq!(fs::read(&data).unwrap(), noise(9, 1));
    stop.cancel();
    let stopped = registry
        .adopt(old.path(), Verify::Full, &mut Silence, &stop)
        .await;
    assert!(matches!(stopped, Err(Error::Closing)), "{stopped:?}");
}

/// A push under SHA-512 is kept under SHA-256 by the older registry, with a link that says so.
#[tokio::test]
async fn content_that_is_known_by_another_hash_is_hashed_and_served_by_it() {
    let (house, old) = (House::new(), tempfile::tempdir().unwrap());
    plant(old.path(), &["a"]);
    let layer = noise(0, 40_000);
    let long = Digest::Sha512(Box::new(Sha512::digest(&layer).into()));
    let wrong = Digest::Sha512(Box::new(Sha512::digest(b"other").into()));
    let layers = old
        .path()
        .join("docker/registry/v2/repositories/a/_layers/sha512");
    for digest in [&long, &wrong] {
        let target = digest_of(&layer).to_string();
        write(&layers.join(digest.hex()).join("link"), target.as_bytes());
    }
    let report = adopt(&house, old.path()).await.unwrap();
    assert_eq!(report.damage_count, 1, "{report:?}");
    assert!(
        matches!(report.damages[0].found, Found::WrongHash { .. }),
        "{report:?}"
    );
    let registry = house.open().await;
    assert_eq!(read(&registry, "a", &long).await.unwrap(), layer);
    assert!(read(&registry, "a", &wrong).await.is_err());
}
