//! What is in the trash, what it would free, and emptying it.

use catalog::{TrashEntry, TrashKind, TrashPlace};
use oci::{Digest, Reference};

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, repo, story, tag};

async fn list(house: &House, name: Option<&str>) -> Vec<TrashEntry> {
    let (name, now) = (name.map(repo), house.now());
    let mut all = Vec::new();
    let mut after: Option<TrashPlace> = None;
    loop {
        let wanted = name.clone();
        let page = house
            .read(move |tx| catalog::list_trash(tx, wanted.as_ref(), now, after, 2))
            .await;
        all.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn trash(house: &House, manifest: &Digest) {
    let (manifest, now) = (manifest.clone(), house.now());
    house
        .write(move |tx| {
            tx.asked_from(Some("192.0.2.7"));
            catalog::trash_manifest(tx, &repo("a"), &manifest, now, UNDO, Some("ann"))
        })
        .await;
}

async fn empty(house: &House, name: Option<&str>, before: i64) -> usize {
    let (name, now) = (name.map(repo), house.now());
    let (mut operations, mut after) = (0, None);
    loop {
        let wanted = name.clone();
        let emptied = house
            .write(move |tx| catalog::empty_trash(tx, wanted.as_ref(), before, now, after, 2))
            .await;
        operations += emptied.operations;
        match emptied.next {
            Some(next) => after = Some(next),
            None => return operations,
        }
    }
}

story!(everything_that_can_come_back_is_listed, async |house: &House| {
    let image = house.push_image("a", "layer 1", &["1", "2"]).await;
    house.push_image("b", "layer 2", &["3"]).await;
    let blob = house.push_blob("a", "lonely blob").await;
    let now = house.now();
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("1"), now, KEEP, UNDO, None))
        .await;
    house.pass(1);
    trash(house, &image).await;
    house.pass(1);
    let now = house.now();
    let unlinked = blob.clone();
    house
        .write(move |tx| {
            catalog::unlink_blob(tx, &repo("a"), &unlinked, now, UNDO, None)?;
            catalog::delete_repository(tx, &repo("b"), now + 1, UNDO, Some("bob"))
        })
        .await;
    let all = list(house, None).await;
    let told: Vec<_> = all
        .iter()
        .map(|entry| (entry.kind, &*entry.target, entry.frees))
        .collect();
    let (image_text, blob_text) = (image.to_string(), blob.to_string());
    assert_eq!(
        told,
        [
            (TrashKind::Repository, "b", Some(7)),
            (TrashKind::Blob, &*blob_text, Some(11)),
            (TrashKind::Manifest, &*image_text, Some(7)),
            (TrashKind::Tag, "1", Some(0)),
        ]
    );
    assert_eq!(
        (all[2].by.as_deref(), all[2].remote.as_deref()),
        (Some("ann"), Some("192.0.2.7"))
    );
    assert_eq!((&all[2].tags[..], all[2].manifests), (&[tag("2")][..], 1));
    assert_eq!(list(house, Some("a")).await.len(), 3);
    assert_eq!(list(house, Some("b")).await.len(), 1);
    assert_eq!(list(house, Some("c")).await.len(), 0);

    let now = house.now();
    let find = async |name: &'static str, what: Option<&str>| {
        let what = what.map(|what| what.parse::<Reference>().unwrap());
        house
            .read(move |tx| catalog::find_in_trash(tx, &repo(name), what.as_ref(), now))
            .await
    };
    assert_eq!(find("b", None).await, Some(all[0].op));
    assert_eq!(find("a", Some(&blob_text)).await, Some(all[1].op));
    assert_eq!(find("a", Some(&image_text)).await, Some(all[2].op));
    assert_eq!(find("a", Some("2")).await, Some(all[2].op));
    assert_eq!(find("a", Some("1")).await, Some(all[3].op));
    assert_eq!(find("a", Some("4")).await, None);
    for whole in [&image, &blob] {
        let prefix: oci::DigestPrefix = whole.hex()[..8].parse().unwrap();
        let (low, high) = prefix.ranges().next().unwrap();
        let like = house
            .read(move |tx| catalog::in_trash_between(tx, &repo("a"), (&low, &high), 2))
            .await;
        assert_eq!(like.iter().collect::<Vec<_>>(), [whole]);
    }
    // What is due can come back for as long as nobody collected it, and a tag for no longer than its window.
    house.pass(UNDO + DAY);
    let due: Vec<_> = list(house, None)
        .await
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(due, [TrashKind::Repository, TrashKind::Manifest]);
    assert_eq!(list(house, Some("a")).await.len(), 1);
    let now = house.now();
    for (what, op) in [
        (&*image_text, Some(all[2].op)),
        ("2", Some(all[2].op)),
        ("1", None),
    ] {
        let reference = what.parse::<Reference>().unwrap();
        let found = house
            .read(move |tx| catalog::find_in_trash(tx, &repo("a"), Some(&reference), now))
            .await;
        assert_eq!(found, op, "{what}");
    }
    house.collect().await;
    assert_eq!(list(house, None).await, []);
});

story!(what_others_need_is_not_said_to_be_freed, async |house: &House| {
    let first = house.push_image("a", "shared", &[]).await;
    let mut second = house.manifest("a", "second", &[]);
    second.blobs = vec![crate::harness::edge(0, &digest("shared"))];
    let second = house.put_stored(second).await;
    trash(house, &first).await;
    assert_eq!(list(house, None).await[0].frees, Some(0));
    trash(house, &second).await;
    let frees: Vec<_> = list(house, None).await.iter().map(|one| one.frees).collect();
    assert_eq!(
        frees,
        [Some(6), Some(0)],
        "with the first gone, the second frees it"
    );
});

story!(an_empty_trash_frees_its_bytes, async |house: &House| {
    let old = house.push_image("a", "old", &["old"]).await;
    house.push_image("b", "other", &["latest"]).await;
    house.push_file("a", "blob", "here/blob").await;
    trash(house, &old).await;
    house.pass(DAY);
    let now = house.now();
    house
        .write(move |tx| {
            catalog::unlink_blob(tx, &repo("a"), &digest("blob"), now, UNDO, None)?;
            catalog::delete_repository(tx, &repo("b"), now, UNDO, None)
        })
        .await;
    assert_eq!(empty(house, Some("c"), now).await, 0);
    assert_eq!(empty(house, None, now - DAY).await, 1, "what is older than that");
    assert_eq!(list(house, None).await.len(), 2);
    assert_eq!(empty(house, None, now).await, 2);
    assert_eq!(list(house, None).await.len(), 0);
    house.collect().await;
    house.pass(LEASE);
    house.collect().await;
    house.pass(LEASE);
    house.collect().await;
    let usage = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
        .await;
    assert_eq!((usage.blobs, usage.bytes, usage.manifests), (0, 0, 0));
    let wrong = house.read(catalog::audit).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
});
