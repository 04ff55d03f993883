//! Quotas beside pushes: what a rename, a restore and a move of a tag are told, what is used, and how room comes back.

use std::path::Path;

use registry::backup::RestoreRepository;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::backup::backup;

fn limit(name: &str, bytes: Option<u64>, tags: Option<u64>) -> QuotaSpec {
    QuotaSpec {
        repositories: name.to_owned(),
        bytes,
        tags,
    }
}

async fn open(house: &House) -> Registry {
    house.open_with(rules(WrittenRules::default())).await
}

fn words<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
    match refused {
        Err(error @ Error::OverQuota(_)) => error.to_string(),
        other => panic!("not refused by a quota: {other:?}"),
    }
}

async fn bring(registry: &Registry, folder: &Path, into: &str) -> Result<(), Error> {
    let from = RestoreRepository {
        folder: folder.to_owned(),
        time: None,
        name: "g/a".parse().unwrap(),
        into: into.parse().unwrap(),
        actor: None,
    };
    let stop = CancellationToken::new();
    registry.restore_repository(from, |_| {}, &stop).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_under_another_name_is_told_what_is_used_and_what_is_biggest() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let registry = open(&house).await;
    push_image(&registry, "g/a:x", 1).await;
    push_image(&registry, "full/b:x", 2).await;
    backup(&registry, place.path()).await.unwrap();
    registry
        .set_quota(&limit("full/", Some(30_000), None), "bee")
        .await
        .unwrap();
    let is_told = |said: &str| {
        assert!(
            said.contains("full/ may have 30.0 kB; 20.0 kB are used, and this needs 20.0 kB more"),
            "{said}"
        );
        assert!(said.contains("biggest: full/b (20.0 kB)"), "{said}");
    };
    is_told(&words(
        registry.may_be_renamed(&delete("g/a"), &push("full/a")).await,
    ));
    is_told(&words(
        registry.rename_repository(&delete("g/a"), &push("full/a")).await,
    ));
    // To ask is to change nothing.
    let may = |new: &'static str| {
        let registry = registry.clone();
        async move { registry.may_be_renamed(&delete("g/a"), &push(new)).await.unwrap() }
    };
    assert!(may("free/a").await && may("free/a").await && !may("full/b").await);
    assert!(registry.repository_view(&pull("g/a")).await.is_ok());
    assert!(registry.repository_view(&pull("free/a")).await.is_err());
    is_told(&words(bring(&registry, place.path(), "full/z").await));
    // Not even an empty repository stays.
    assert!(registry.repository_view(&pull("full/z")).await.is_err());
    let deleted = registry.delete_repository(&delete("g/a")).await.unwrap();
    let restored = registry
        .restore(
            &push("g/a"),
            deleted.op,
            RestoreWish::default(),
            Some(&push("full/a")),
        )
        .await;
    is_told(&words(restored));
    registry
        .set_quota(&limit("full/**", None, Some(1)), "bee")
        .await
        .unwrap();
    let to = registry::MoveTo::Reference("x".parse().unwrap());
    let said = words(
        registry
            .move_tag(&push("full/b"), &"y".parse().unwrap(), to, false)
            .await,
    );
    assert!(said.contains("biggest: x (1 tag)"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_comes_back_when_the_trash_is_emptied_and_an_unknown_length_is_not_zero() {
    let house = House::new();
    let registry = open(&house).await;
    push_image(&registry, "f/a:x", 1).await;
    push_image(&registry, "f/b:x", 2).await;
    registry
        .set_quota(&limit("f/", Some(30_000), None), "bee")
        .await
        .unwrap();
    registry.delete_repository(&delete("f/a")).await.unwrap();
    let (more, other) = (noise(3, 9_000), noise(4, 9_000));
    let said = words(
        registry
            .push_blob(&push("f/b"), digest_of(&more), None, body(&more))
            .await,
    );
    assert!(said.contains("40.0 kB are used already; biggest: "), "{said}");
    assert!(
        said.contains("deleted f/a (20.0 kB)") && !said.contains(" 0 B"),
        "{said}"
    );
    let waiting = registry.gc_status().await.unwrap().repositories;
    assert_eq!((waiting.count, waiting.bytes / 1000), (1, 20));
    registry.empty_trash(Some(&delete("f/a")), 0).await.unwrap();
    registry.gc_run().await.unwrap();
    let into = push("f/b");
    registry
        .push_blob(&into, digest_of(&more), Some(9_000), body(&more))
        .await
        .unwrap();
    let refused = registry
        .push_blob(&into, digest_of(&other), Some(9_000), body(&other))
        .await;
    assert!(words(refused).contains("this needs 9.0 kB more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_stands_beside_each_limit() {
    let house = House::new();
    let registry = open(&house).await;
    push_image(&registry, "f/a:x", 1).await;
    push_image(&registry, "f/b:x", 2).await;
    push_image(&registry, "f/b:y", 3).await;
    for name in ["f/", "f/*", "none/**"] {
        registry
            .set_quota(&limit(name, Some(1_000_000), Some(10)), "bee")
            .await
            .unwrap();
    }
    let used = registry.quotas_used().await.unwrap();
    let of = |name: &str| {
        let used = &used[name];
        let by = used.bytes_in.as_ref().map(ToString::to_string);
        (used.bytes / 1000, used.tags, by.unwrap_or_default())
    };
    assert_eq!(of("f/"), (60, 3, String::new()));
    assert_eq!(of("f/*"), (40, 2, "f/b".to_owned()));
    assert_eq!(of("none/**"), (0, 0, String::new()));
}

/// A push that was refused after some of its layers: what `du` and the quota count is the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_manifest_names_is_shown_and_freed_as_it_was_said() {
    let house = House::new();
    let registry = open(&house).await;
    push_in_parts(&registry, "sk/b", &noise(1, 50_000)).await.unwrap();
    let name = "sk/b".parse().unwrap();
    let sums = registry.space_of_repository(&name).await.unwrap().sums;
    assert_eq!((sums.unique, sums.shared, sums.pending), (0, 0, 50_000));
    let (manifests, bytes, gone_by) = registry.urgent_plan(&name).await.unwrap();
    assert_eq!((manifests, bytes), (0, 50_000));
    registry.gc_urgent(&name).await.unwrap();
    house.clock.advance(HOUR);
    registry.gc_run().await.unwrap();
    house.clock.advance(HOUR);
    assert_eq!(registry.gc_run().await.unwrap().bytes, bytes);
    assert!(gone_by <= registry::Clock::now_ms(&*house.clock));
}
