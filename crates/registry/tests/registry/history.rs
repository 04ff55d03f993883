//! History, undo and repositories as the server sees them: nothing is served from memory that went or moved away, pulls
//! are counted without a write, and what is gone is explained.

use access::Caller;
use oci::{Digest, Reference};
use registry::{Error, Fate, MoveTo, Registry, RestoreWish, Restored, Rules, TagMoved};

use super::house::{House, delete, image, noise, pull, push, push_in_parts, push_manifest, read, walk};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// An image of one layer that lies in a file, at a tag.
async fn push_image(registry: &Registry, at: &str, seed: u64) -> (Digest, Digest) {
    let (repository, _) = at.split_once(':').unwrap();
    let layer = push_in_parts(registry, repository, &noise(seed, 100_000))
        .await
        .unwrap();
    let config = push_in_parts(registry, repository, b"{}").await.unwrap();
    let document = image(&config, std::slice::from_ref(&layer));
    (push_manifest(registry, at, document).await.unwrap(), layer)
}

async fn find(registry: &Registry, repository: &str, reference: &str) -> Result<Digest, Error> {
    let reference: Reference = reference.parse().unwrap();
    Ok(registry
        .manifest(&pull(repository), &reference)
        .await?
        .stat
        .digest)
}

async fn get(registry: &Registry, repository: &str, reference: &str) {
    let reference: Reference = reference.parse().unwrap();
    let manifest = registry.manifest(&pull(repository), &reference).await.unwrap();
    registry.count_pull(&manifest);
}

async fn restore(registry: &Registry, repository: &str, op: i64) -> Restored {
    registry
        .restore(&push(repository), op, RestoreWish::default(), None)
        .await
        .unwrap()
}

async fn pulls(registry: &Registry, repository: &str) -> Vec<(String, u64)> {
    let views = registry.tag_views(&pull(repository), None, 10).await.unwrap();
    views.items.into_iter().map(|tag| (tag.tag, tag.pulls)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_written_down_together_and_at_a_clean_stop() {
    let house = House::new();
    let (registry, catalog) = house.open_beside(Rules::default()).await;
    let (digest, _) = push_image(&registry, "team/app:latest", 1).await;
    push_manifest(
        &registry,
        "team/app:other",
        registry
            .manifest(&pull("team/app"), &"latest".parse().unwrap())
            .await
            .unwrap()
            .body
            .to_vec(),
    )
    .await
    .unwrap();
    let before = catalog.commits();
    for _ in 0..100 {
        get(&registry, "team/app", "latest").await;
    }
    get(&registry, "team/app", &digest.to_string()).await;
    registry
        .stat_manifest(&pull("team/app"), &"latest".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(catalog.commits(), before, "a pull writes nothing");
    registry.write_pulls().await;
    assert_eq!(catalog.commits(), before + 1);
    let counted = [("latest".to_owned(), 101), ("other".to_owned(), 1)];
    assert_eq!(pulls(&registry, "team/app").await, counted);
    registry.write_pulls().await;
    assert_eq!(catalog.commits(), before + 1, "nothing new is no write");
    get(&registry, "team/app", "latest").await;
    registry.close().await;
    drop((registry, catalog));

    let registry = house.open().await;
    assert_eq!(pulls(&registry, "team/app").await[0].1, 102);
    let view = registry.repository_view(&pull("team/app")).await.unwrap();
    assert_eq!(view.pulls, 102);
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_repository_is_served_from_no_memory_and_comes_back() {
    let house = House::new();
    let registry = house.open().await;
    let (digest, layer) = push_image(&registry, "team/app:latest", 1).await;
    find(&registry, "team/app", "latest").await.unwrap();
    read(&registry, "team/app", &layer).await.unwrap();
    registry.tags(&pull("team/app"), None, None).await.unwrap();
    registry.repositories(&Caller::anybody(), None, 10).await.unwrap();
    let deleted = registry.delete_repository(&delete("team/app")).await.unwrap();
    assert_eq!(deleted.usage.tags, 1);
    for reference in ["latest", &digest.to_string()] {
        let error = find(&registry, "team/app", reference).await.unwrap_err();
        let Error::Gone(gone) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(gone.fate, Fate::RepositoryDeleted);
    }
    let error = read(&registry, "team/app", &layer).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`landfall trash restore team/app` brings it back"),
        "{error}"
    );
    assert!(registry.tags(&pull("team/app"), None, None).await.is_err());
    let (names, _) = registry.repositories(&Caller::anybody(), None, 10).await.unwrap();
    assert!(names.is_empty());
    assert_eq!(
        restore(&registry, "other", deleted.op).await,
        Restored::Unknown,
        "a permit for another repository takes nothing back"
    );
    let restored = restore(&registry, "team/app", deleted.op).await;
    assert!(matches!(restored, Restored::Repository(_)), "{restored:?}");
    assert_eq!(find(&registry, "team/app", "latest").await.unwrap(), digest);
    assert_eq!(
        read(&registry, "team/app", &layer).await.unwrap(),
        noise(1, 100_000)
    );
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_deleted_repository_go_when_its_window_ends() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            gc_start_delay_ms: 0,
            ..Rules::default()
        })
        .await;
    for n in 0..100 {
        push_image(&registry, &format!("team/app:v{n}"), n).await;
    }
    let blobs = house.path().join("landfall/blobs");
    assert_eq!(walk(&blobs).len(), 100);
    push_image(&registry, "team/kept:v1", 1).await;
    registry.delete_repository(&delete("team/app")).await.unwrap();
    let mut emptied = 0;
    for _ in 0..10 {
        house.clock.advance(DAY);
        emptied += registry.gc_run().await.unwrap().emptied;
    }
    assert_eq!(emptied, 100);
    assert_eq!(walk(&blobs).len(), 1);
    assert!(find(&registry, "team/kept", "v1").await.is_ok());
    let error = find(&registry, "team/app", "v1").await.unwrap_err();
    assert!(error.to_string().contains("is over"), "{error}");
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_is_served_by_its_new_name_only() {
    let house = House::new();
    let registry = house.open().await;
    let (digest, layer) = push_image(&registry, "team/app:latest", 1).await;
    let upload = registry
        .begin_upload(&push("team/app"), oci::Algorithm::Sha256)
        .await
        .unwrap();
    find(&registry, "team/app", "latest").await.unwrap();
    let _ = find(&registry, "prod/app", "latest").await;
    assert!(
        registry
            .rename_repository(&delete("team/app"), &push("prod/app"))
            .await
            .unwrap()
    );
    let error = find(&registry, "team/app", "latest").await.unwrap_err();
    assert!(error.to_string().contains("was renamed to prod/app"), "{error}");
    assert_eq!(find(&registry, "prod/app", "latest").await.unwrap(), digest);
    assert!(read(&registry, "prod/app", &layer).await.is_ok());
    // An upload ends under the name that it began with.
    assert!(registry.upload_status(&push("team/app"), upload.id).await.is_ok());
    push_image(&registry, "team/app:latest", 2).await;
    assert!(
        !registry
            .rename_repository(&delete("team/app"), &push("prod/app"))
            .await
            .unwrap(),
        "the name is taken"
    );
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_goes_back_and_its_history_says_who_did_it_from_where() {
    let house = House::new();
    let registry = house.open().await;
    let (good, _) = push_image(&registry, "team/app:latest", 1).await;
    let (wrong, _) = push_image(&registry, "team/app:latest", 2).await;
    let somebody = Caller::anybody().at(access::Remote::Ip("192.0.2.7".parse().unwrap()));
    let permit = somebody.may(access::Push, &"team/app".parse().unwrap()).unwrap();
    let tag = "latest".parse().unwrap();
    for (dry_run, leads_to) in [(true, &wrong), (false, &good)] {
        let moved = registry
            .move_tag(&permit, &tag, MoveTo::Before, dry_run)
            .await
            .unwrap();
        assert!(matches!(moved, TagMoved::Done { to, .. } if to == good));
        assert_eq!(find(&registry, "team/app", "latest").await.unwrap(), *leads_to);
    }
    let history = registry
        .tag_history(&pull("team/app"), &tag, None, 10)
        .await
        .unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(history[0].remote.as_deref(), Some("192.0.2.7"));
    registry.close().await;
}
