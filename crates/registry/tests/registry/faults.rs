//! A disk that fails at any moment of a push: what was acknowledged is served whole afterwards, also after a restart,
//! and what was not is not half there.

use oci::Reference;
use registry::Registry;
use store::testing::{Failure, Op};

use crate::house::{House, digest_of, image, noise, pull, push_in_parts, push_manifest, read};

/// What one push acknowledged.
#[derive(Default)]
struct Acknowledged {
    blobs: Vec<Vec<u8>>,
    manifest: Option<Vec<u8>>,
}

async fn push_image(registry: &Registry, seed: u64) -> Acknowledged {
    let mut known = Acknowledged::default();
    let parts = [
        noise(seed, 700),
        noise(seed + 1, 300_000),
        noise(seed + 2, 5_000_000),
    ];
    for part in &parts {
        if push_in_parts(registry, "team/app", part).await.is_ok() {
            known.blobs.push(part.clone());
        }
    }
    let [config, layers @ ..] = parts.each_ref().map(|part| digest_of(part));
    let document = image(&config, &layers);
    if push_manifest(registry, "team/app:latest", document.clone())
        .await
        .is_ok()
    {
        known.manifest = Some(document);
    }
    known
}

/// Everything acknowledged is whole; everything else is whole or absent.
async fn audit(registry: &Registry, seed: u64, known: &Acknowledged, trouble: &str) {
    for blob in &known.blobs {
        let served = read(registry, "team/app", &digest_of(blob)).await;
        assert!(
            served.is_ok_and(|served| served == *blob),
            "an acknowledged blob is not whole after {trouble}"
        );
    }
    for (n, len) in [(seed, 700), (seed + 1, 300_000), (seed + 2, 5_000_000)] {
        let bytes = noise(n, len);
        if let Ok(served) = read(registry, "team/app", &digest_of(&bytes)).await {
            assert!(served == bytes, "a blob is half there after {trouble}");
        }
    }
    let tag: Reference = "latest".parse().unwrap();
    let served = registry
        .manifest(&pull("team/app"), &tag)
        .await
        .ok()
        .map(|manifest| manifest.body.to_vec());
    assert_eq!(
        served, known.manifest,
        "the tag is not what was acknowledged, after {trouble}"
    );
    if known.manifest.is_some() {
        assert_eq!(
            known.blobs.len(),
            3,
            "a manifest was taken whose blobs were refused, after {trouble}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_at_any_moment_of_a_push_loses_nothing_acknowledged() {
    let mut refused = 0;
    let troubles = [
        (Op::Create, Failure::NoSpace),
        (Op::Write, Failure::NoSpace),
        (Op::Write, Failure::Broken),
        (Op::WriteDirect, Failure::NoSpace),
        (Op::WriteDirect, Failure::Broken),
        (Op::Sync, Failure::Broken),
        (Op::SyncDir, Failure::Broken),
        (Op::Rename, Failure::Broken),
        (Op::Mkdir, Failure::NoSpace),
        (Op::Truncate, Failure::Broken),
        (Op::Unlink, Failure::Broken),
        (Op::Open, Failure::Broken),
    ];
    for (op, failure) in troubles {
        for skip in 0..4 {
            let trouble = format!("{failure:?} at call {skip} of {op:?}");
            let house = House::new();
            let registry = house.open().await;
            house.disk.fail(op, skip, 1, failure);
            let known = push_image(&registry, 7).await;
            refused += 3 - known.blobs.len();
            house.disk.heal();
            audit(&registry, 7, &known, &trouble).await;
            registry.close().await;
            drop(registry);
            let registry = house.open().await;
            audit(&registry, 7, &known, &trouble).await;
            // The registry is not worn out: the same push works now.
            let again = push_image(&registry, 7).await;
            assert_eq!(again.blobs.len(), 3, "after {trouble}");
            audit(&registry, 7, &again, &trouble).await;
        }
    }
    assert!(refused > 10, "the faults must have hit something, not {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_writes_are_only_slow() {
    let house = House::new();
    let registry = house.open().await;
    house.disk.shorten_writes(4096);
    let known = push_image(&registry, 11).await;
    assert_eq!(known.blobs.len(), 3);
    audit(&registry, 11, &known, "short writes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stays_broken_serves_what_it_has() {
    let house = House::new();
    let registry = house.open().await;
    let known = push_image(&registry, 13).await;
    house.disk.fail(Op::Sync, 0, u64::MAX, Failure::Broken);
    house.disk.fail(Op::Create, 0, u64::MAX, Failure::NoSpace);
    let late = push_image(&registry, 17).await;
    assert!(
        late.blobs.iter().all(|blob| blob.len() <= 16 * 1024),
        "a large blob was taken by a disk that takes nothing"
    );
    audit(&registry, 13, &known, "a disk that stays broken").await;
}
