//! What became of something that is not there any more.

use catalog::{Fate, Trace};
use oci::Reference;

use crate::harness::{House, KEEP, LEASE, UNDO, digest, repo, story, tag};

async fn trace(house: &House, name: &'static str, reference: &str) -> Option<Trace> {
    let reference: Reference = reference.parse().unwrap();
    house
        .read(move |tx| catalog::trace_manifest(tx, &repo(name), &reference))
        .await
}

story!(who_deleted_it_and_until_when_is_told, async |house: &House| {
    let image = house.push_image("a", "layer", &["1.0", "1.1"]).await;
    assert_eq!(trace(house, "a", "2.0").await, None);
    assert_eq!(trace(house, "nowhere", "2.0").await, None);
    let now = house.now();
    let deleted = Trace {
        fate: Fate::Deleted,
        at: now,
        by: Some("ann".to_owned()),
        until: Some(now + UNDO),
        is_there: false,
        rules: None,
    };
    let there = Trace {
        is_there: true,
        ..deleted.clone()
    };
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("1.0"), now, KEEP, UNDO, Some("ann")))
        .await;
    assert_eq!(trace(house, "a", "1.0").await, Some(deleted.clone()));
    let wanted = image.clone();
    house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &wanted, now, UNDO, Some("ann")))
        .await;
    assert_eq!(trace(house, "a", "1.1").await, Some(there.clone()));
    assert_eq!(trace(house, "a", &image.to_string()).await, Some(there.clone()));
    let blob = digest("layer");
    let hide = move |tx: &mut catalog::Tx<'_>| {
        catalog::unlink_blob(tx, &repo("a"), &blob, now, UNDO, Some("ann"))?;
        catalog::trace_blob(tx, &repo("a"), &blob)
    };
    assert_eq!(house.write(hide).await, Some(deleted.clone()));
    house.pass(UNDO + LEASE);
    // Until the collector comes it is as it was.
    assert_eq!(trace(house, "a", "1.1").await, Some(there.clone()));
    house.collect().await;
    assert_eq!(
        trace(house, "a", &image.to_string()).await,
        Some(Trace {
            until: None,
            ..deleted
        }),
        "it is told even when it is purged"
    );
});

story!(
    a_deleted_or_renamed_repository_is_told_by_its_old_name,
    async |house: &House| {
        house.push_image("a", "layer", &["1.0"]).await;
        let now = house.now();
        house
            .write(move |tx| catalog::rename_repository(tx, &repo("a"), &repo("b"), now, Some("ann")))
            .await;
        let told = trace(house, "a", "1.0").await.unwrap();
        assert_eq!(told.fate, Fate::RepositoryRenamed(repo("b")));
        let deleted = house
            .write(move |tx| catalog::delete_repository(tx, &repo("b"), now, UNDO, Some("ann")))
            .await
            .unwrap();
        let told = trace(house, "b", "1.0").await.unwrap();
        assert_eq!(
            (told.fate, told.until),
            (Fate::RepositoryDeleted, Some(deleted.until))
        );
        house
            .write(move |tx| catalog::empty_trash(tx, None, now, now + 5, None, 10))
            .await;
        let told = trace(house, "b", "1.0").await.unwrap();
        assert_eq!(
            (told.fate, told.until),
            (Fate::RepositoryDeleted, None),
            "emptied"
        );
        assert_eq!(trace(house, "a", "1.0").await, None);
    }
);
