//! What was emptied is final: nothing says that it can be taken back, and nothing takes it back, also while the collector
//! has not come yet. What is not final comes back whole.

use catalog::{MoveTo, RestoreWish, Restored, TagMove, TagMoved, TrashEntry, Trashed};
use oci::{Digest, Reference};

use crate::harness::{DAY, House, KEEP, UNDO, repo, story, tag};

pub(crate) async fn trash(house: &House, manifest: &Digest, undo_ms: i64) -> i64 {
    let (manifest, now) = (manifest.clone(), house.now());
    let trashed = house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &manifest, now, undo_ms, None))
        .await;
    let Trashed::Done { op, .. } = trashed else {
        panic!("{trashed:?}")
    };
    op
}

pub(crate) async fn untag(house: &House, name: &'static str) -> i64 {
    let now = house.now();
    let untagged = house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag(name), now, KEEP, UNDO, None))
        .await;
    untagged.unwrap().op
}

async fn empty(house: &House) -> usize {
    let now = house.now();
    house
        .write(move |tx| catalog::empty_trash(tx, None, now, now, None, 100))
        .await
        .operations
}

/// Ends the window of the one that lasts longest.
async fn empty_one(house: &House) {
    let now = house.now();
    let emptied = house
        .write(move |tx| catalog::empty_trash(tx, None, now, now, None, 1))
        .await;
    assert_eq!(emptied.operations, 1);
}

async fn restore(house: &House, op: i64) -> Restored {
    let now = house.now();
    house
        .write(move |tx| catalog::restore(tx, op, &RestoreWish::default(), now, KEEP, None))
        .await
}

async fn set(house: &House, name: &str, to: MoveTo) -> TagMoved {
    let moving = TagMove {
        repo: repo("a"),
        tag: tag(name),
        to,
        actor: None,
        now: house.now(),
        keep_ms: KEEP,
        dry_run: false,
    };
    house.write(move |tx| catalog::move_tag(tx, &moving)).await
}

pub(crate) async fn list(house: &House, name: Option<&'static str>) -> Vec<TrashEntry> {
    let now = house.now();
    house
        .read(move |tx| catalog::list_trash(tx, name.map(repo).as_ref(), now, None, 100))
        .await
        .items
}

/// Until when somebody who asks for it is told that it can come back, if that is in the future.
async fn promised(house: &House, reference: &str) -> Option<i64> {
    let (reference, now) = (reference.parse::<Reference>().unwrap(), house.now());
    let trace = house
        .read(move |tx| catalog::trace_manifest(tx, &repo("a"), &reference))
        .await;
    trace.and_then(|trace| trace.until).filter(|&until| until > now)
}

async fn referrer(house: &House, body: &str, subject: &Digest) -> Digest {
    let new = catalog::NewManifest {
        subject: Some(subject.clone()),
        ..house.manifest("a", body, &[])
    };
    house.put_stored(new).await
}

story!(nothing_brings_back_what_was_emptied, async |house: &House| {
    let image = house.push_image("a", "layer", &["x"]).await;
    let op = trash(house, &image, UNDO).await;
    assert_eq!(empty(house).await, 1);
    assert_eq!(list(house, None).await, []);
    for reference in ["x", &image.to_string()] {
        assert_eq!(promised(house, reference).await, None);
    }
    assert_eq!(restore(house, op).await, Restored::Gone);
    let moved = set(house, "x", MoveTo::Before).await;
    assert_eq!(moved, TagMoved::Purged(image.clone()));
    assert_eq!(house.find("a", "x").await, None);

    // Who pushes it may: they have it. And an index that is back keeps what it lists, whatever became of that.
    assert_eq!(house.push_image("a", "layer", &["x"]).await, image);
    let index = house
        .put_stored(house.index("a", "index", &["y"], &[&image]))
        .await;
    untag(house, "x").await;
    house.pass(KEEP);
    house.collect().await;
    let other = house.put_stored(house.index("a", "other", &[], &[&image])).await;
    trash(house, &index, UNDO).await;
    trash(house, &other, 2 * UNDO).await;
    empty_one(house).await;
    assert!(matches!(
        set(house, "y", MoveTo::Before).await,
        TagMoved::Done { .. }
    ));
    assert!(house.find("a", &image.to_string()).await.is_some());
});

story!(
    no_repository_comes_back_after_its_window,
    async |house: &House| {
        house.push_image("a", "layer", &["x"]).await;
        let now = house.now();
        let deleted = house
            .write(move |tx| catalog::delete_repository(tx, &repo("a"), now, UNDO, None))
            .await;
        assert_eq!(empty(house).await, 1);
        assert_eq!(promised(house, "x").await, None);
        assert_eq!(restore(house, deleted.unwrap().op).await, Restored::Gone);
        let named = house
            .read(move |tx| catalog::find_in_trash(tx, &repo("a"), None, now))
            .await;
        assert_eq!(named, None);
    }
);

story!(a_tag_does_not_outlive_its_image, async |house: &House| {
    let image = house.push_image("a", "layer", &["x", "y"]).await;
    let op = untag(house, "x").await;
    trash(house, &image, DAY).await;
    assert_eq!(list(house, None).await.len(), 2);
    let until = house.now() + DAY;
    assert_eq!(
        promised(house, "x").await,
        Some(until),
        "no longer than the image"
    );
    house.pass(DAY);
    house.collect().await;
    assert_eq!(promised(house, "x").await, None);
    assert_eq!(list(house, None).await, []);
    assert_eq!(restore(house, op).await, Restored::Gone);

    house.push_image("a", "layer", &["x", "y"]).await;
    let op = untag(house, "x").await;
    trash(house, &image, 2 * UNDO).await;
    empty_one(house).await;
    assert_eq!(list(house, None).await, [], "the image is not purged, but final");
    assert_eq!(promised(house, "x").await, None);
    assert_eq!(restore(house, op).await, Restored::Gone);
});

story!(signatures_come_back_with_a_second_push, async |house: &House| {
    let image = house.push_image("a", "layer", &["x"]).await;
    let signature = referrer(house, "signature", &image).await;
    let countersigned = referrer(house, "countersigned", &signature).await;
    let alone = referrer(house, "alone", &image).await;
    trash(house, &alone, UNDO).await;
    trash(house, &image, UNDO).await;
    house.push_image("a", "layer", &["x"]).await;
    for one in [&signature, &countersigned] {
        assert!(house.find("a", &one.to_string()).await.is_some());
    }
    assert_eq!(
        house.find("a", &alone.to_string()).await,
        None,
        "somebody wanted that one gone"
    );
    let left = list(house, None).await;
    assert_eq!((left.len(), &left[0].target), (1, &alone.to_string()));

    // Not what was emptied: nobody is to get that back.
    let op = trash(house, &image, UNDO).await;
    empty(house).await;
    house.push_image("a", "layer", &["x"]).await;
    assert_eq!(house.find("a", &signature.to_string()).await, None);
    assert_eq!(restore(house, op).await, Restored::Gone);
});

story!(
    a_restore_brings_what_an_older_delete_of_the_same_took,
    async |house: &House| {
        let child = house.push_image("a", "child", &[]).await;
        let signature = referrer(house, "signature", &child).await;
        house.pass(KEEP);
        house.collect().await;
        let first = house
            .put_stored(house.index("a", "first", &["1"], &[&child]))
            .await;
        trash(house, &first, UNDO).await;
        assert_eq!(house.find("a", &signature.to_string()).await, None);
        let now = house.now();
        let back = house
            .write(move |tx| {
                let wanted = tag("1");
                let moving = TagMove {
                    repo: repo("a"),
                    tag: wanted,
                    to: MoveTo::Before,
                    actor: None,
                    now,
                    keep_ms: KEEP,
                    dry_run: false,
                };
                catalog::move_tag(tx, &moving)
            })
            .await;
        let TagMoved::Done { mut restored, .. } = back else {
            panic!("{back:?}")
        };
        restored.sort();
        let mut wanted = vec![first, child, signature];
        wanted.sort();
        assert_eq!(restored, wanted);
    }
);

story!(
    a_tag_that_is_right_already_is_not_in_the_way,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["x", "y"]).await;
        let op = untag(house, "x").await;
        assert_eq!(list(house, None).await.len(), 1);
        let to = MoveTo::Reference(Reference::Digest(image.clone()));
        assert!(matches!(set(house, "x", to).await, TagMoved::Done { .. }));
        assert_eq!(list(house, None).await, [], "it was made good");
        assert_eq!(restore(house, op).await, Restored::Gone);

        let op = trash(house, &image, UNDO).await;
        let signature = referrer(house, "signature", &image).await;
        let Restored::Done { tags, .. } = restore(house, op).await else {
            panic!()
        };
        assert_eq!(tags, [tag("x"), tag("y")]);
        assert!(house.find("a", &signature.to_string()).await.is_some());
    }
);

story!(
    what_was_deleted_is_listed_by_an_old_name_too,
    async |house: &House| {
        house.push_image("a", "layer", &["x"]).await;
        untag(house, "x").await;
        let now = house.now();
        house
            .write(move |tx| catalog::rename_repository(tx, &repo("a"), &repo("b"), now, None))
            .await;
        assert!(house.read(|tx| catalog::has_or_had_name(tx, &repo("a"))).await);
        let listed = list(house, Some("a")).await;
        assert_eq!((listed.len(), &*listed[0].repository), (1, "b"));
        // Who may empty the trash of the one name may not for that do it to the other.
        assert!(!house.read(|tx| catalog::has_name(tx, &repo("a"))).await);
        let emptied = house
            .write(move |tx| catalog::empty_trash(tx, Some(&repo("a")), now, now, None, 10))
            .await;
        assert_eq!(emptied.operations, 0);
    }
);
