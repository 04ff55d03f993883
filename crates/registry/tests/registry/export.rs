//! Exporting: it says how far it is with every blob, and one that is stopped leaves whole files and goes on later.

use registry::Error;
use registry::export::{Expected, Exported, Layout};
use tokio_util::sync::CancellationToken;

use crate::house::{House, image, noise, push_in_parts, push_manifest};

/// A registry with one repository of one image: three layers of 50 kB, and a small configuration.
async fn one_large_repository(house: &House) -> registry::Registry {
    let registry = house.open().await;
    let mut layers = Vec::new();
    for seed in 0..3 {
        layers.push(push_in_parts(&registry, "a", &noise(seed, 50_000)).await.unwrap());
    }
    let config = push_in_parts(&registry, "a", b"config").await.unwrap();
    push_manifest(&registry, "a:1", image(&config, &layers))
        .await
        .unwrap();
    registry
}

#[tokio::test]
async fn every_blob_moves_the_bar_towards_a_sum_that_is_known_beforehand() {
    for layout in [Layout::Distribution, Layout::Oci] {
        let (house, target) = (House::new(), tempfile::tempdir().unwrap());
        let registry = one_large_repository(&house).await;
        let mut seen: Vec<(Expected, u64)> = Vec::new();
        let each = |all: &Expected, now: &Exported| seen.push((*all, now.bytes));
        let stop = CancellationToken::new();
        let exported = registry
            .export(target.path(), layout, &[], each, &stop)
            .await
            .unwrap();
        let sum = Expected {
            repositories: 1,
            bytes: 150_006,
        };
        assert!(seen.iter().all(|(all, _)| *all == sum), "{seen:?}");
        assert!(
            seen.len() >= 4 && seen.is_sorted_by_key(|(_, bytes)| *bytes),
            "{seen:?}"
        );
        assert_eq!(seen.last().unwrap().1, sum.bytes);
        assert_eq!((exported.repositories, exported.blobs), (1, 4));
    }
}

#[tokio::test]
async fn an_export_that_is_stopped_goes_on_where_it_was() {
    let (house, target) = (House::new(), tempfile::tempdir().unwrap());
    let registry = one_large_repository(&house).await;
    let stop = CancellationToken::new();
    let at_the_third = |_: &Expected, now: &Exported| {
        if now.blobs == 3 {
            stop.cancel();
        }
    };
    let stopped = registry
        .export(target.path(), Layout::Distribution, &[], at_the_third, &stop)
        .await;
    assert!(matches!(stopped, Err(Error::Closing)), "{stopped:?}");
    let (quietly, stop) = (|_: &Expected, _: &Exported| {}, CancellationToken::new());
    let exported = registry
        .export(target.path(), Layout::Distribution, &[], quietly, &stop)
        .await
        .unwrap();
    assert_eq!((exported.tags, exported.missing.len()), (1, 0));
    assert!(exported.present >= 2, "what is whole stays: {exported:?}");
}
