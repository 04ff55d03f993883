//! What comes into a repository's or a namespace's quota other than by a push: a rename, a restore under another name; and
//! what leaves it: a deleted repository whose undo window was ended.

use catalog::{Error, Limited, Renamed, RestoreWish, Restored, Tx};

use crate::harness::{House, KEEP, UNDO, digest, repo, story};
use crate::rules::{limit, quota, refused};

/// A repository of 80 bytes with two tags.
async fn push_eighty(house: &House, to: &str) {
    house.push_image(to, &"a".repeat(80), &["x", "y"]).await;
}

fn rename(house: &House, from: &str, to: &str) -> impl FnMut(&mut Tx<'_>) -> Result<Renamed, Error> + use<> {
    let (from, to, now) = (repo(from), repo(to), house.now());
    move |tx| catalog::rename_repository(tx, &from, &to, now, None)
}

async fn delete(house: &House, name: &str) -> i64 {
    let (name, now) = (repo(name), house.now());
    let deleted = house
        .write(move |tx| catalog::delete_repository(tx, &name, now, UNDO, None))
        .await;
    deleted.unwrap().op
}

fn restore(
    house: &House,
    op: i64,
    to: Option<&str>,
) -> impl FnMut(&mut Tx<'_>) -> Result<Restored, Error> + use<> {
    let wish = RestoreWish {
        as_repository: to.map(repo),
        ..RestoreWish::default()
    };
    let now = house.now();
    move |tx| catalog::restore(tx, op, &wish, now, KEEP, None)
}

async fn a_rename_passes_no_quota(house: &House) {
    limit(
        house,
        [
            quota("full/", Some(100), None),
            quota("few/", None, Some(1)),
            quota("one/small", Some(50), None),
            quota("full/moved", Some(90), None),
        ],
    );
    push_eighty(house, "g/a").await;
    house.push_blob("full/b", "thirty bytes, and not one more").await;
    let Error::OverQuota(over) = refused(house, rename(house, "g/a", "full/a")).await else {
        panic!("not the quota's")
    };
    assert_eq!((over.used, over.limit, over.wanted), (30, 100, 80));
    assert_eq!((over.quota.as_str(), over.limited), ("full/", Limited::Bytes));
    let Error::OverQuota(over) = refused(house, rename(house, "g/a", "few/a")).await else {
        panic!("not the quota's")
    };
    assert_eq!((over.used, over.limit, over.wanted), (0, 1, 2));
    assert_eq!(over.limited, Limited::Tags);
    let Error::OverQuota(over) = refused(house, rename(house, "g/a", "one/small")).await else {
        panic!("not the quota's")
    };
    assert_eq!((over.used, over.limit, over.wanted), (0, 50, 80));
    // Nothing moved, and what fits does.
    assert!(house.find("g/a", "x").await.is_some());
    let fits = rename(house, "g/a", "full2/a");
    assert!(matches!(house.write(fits).await, Renamed::Done { .. }));
    // What a quota counts already costs nothing again, however small it became.
    limit(house, [quota("full2/", Some(10), Some(1))]);
    let within = rename(house, "full2/a", "full2/b");
    assert!(matches!(house.write(within).await, Renamed::Done { .. }));
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(renames, a_rename_passes_no_quota);

async fn a_restore_under_another_name_passes_no_quota(house: &House) {
    limit(
        house,
        [quota("full/", Some(100), None), quota("g/", Some(80), None)],
    );
    push_eighty(house, "g/a").await;
    house.push_blob("full/b", "thirty bytes, and not one more").await;
    let op = delete(house, "g/a").await;
    let Error::OverQuota(over) = refused(house, restore(house, op, Some("full/a"))).await else {
        panic!("not the quota's")
    };
    assert_eq!((over.used, over.limit, over.wanted), (30, 100, 80));
    // In its own namespace it was counted all the time.
    let back = house.write(restore(house, op, Some("g/b"))).await;
    assert_eq!(back, Restored::Repository(repo("g/b")));
    let op = delete(house, "g/b").await;
    let back = house.write(restore(house, op, None)).await;
    assert_eq!(back, Restored::Repository(repo("g/b")));
}
story!(restores, a_restore_under_another_name_passes_no_quota);

/// Renames and pushes into one namespace at once: as much comes in as fits.
async fn no_crowd_of_renames_passes_a_quota(house: &House) {
    for n in 0..8 {
        house
            .push_blob(&format!("from{n}/a"), &format!("twenty bytes, no {n:03}"))
            .await;
    }
    limit(house, [quota("full/", Some(100), None)]);
    let mut movers = Vec::new();
    for n in 0..8 {
        let moved = rename(house, &format!("from{n}/a"), &format!("full/a{n}"));
        let (catalog, blob) = (
            house.catalog.clone(),
            house.blob("full/pushed", &format!("ten by{n:04}")),
        );
        let pushed = house.catalog.clone();
        movers.push(tokio::spawn(async move { catalog.write(moved).await.map(drop) }));
        movers.push(tokio::spawn(async move {
            pushed
                .write(move |tx| catalog::publish_blob(tx, &blob))
                .await
                .map(drop)
        }));
    }
    for mover in movers {
        match mover.await.unwrap() {
            Ok(()) | Err(Error::OverQuota(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let full = catalog::Scope::Namespace("full".to_owned());
    let used = house.read(move |tx| catalog::usage(tx, &full)).await;
    assert!((81..=100).contains(&used.bytes), "{used:?}");
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(crowd, no_crowd_of_renames_passes_a_quota);

async fn emptying_the_trash_of_a_deleted_repository_gives_its_room_back(house: &House) {
    limit(house, [quota("full/", Some(100), None)]);
    push_eighty(house, "full/a").await;
    // One that no manifest names, and an image that was deleted before the repository.
    house.push_blob("full/a", "0123456789").await;
    let deleted = house.push_image("full/a", "0987654321", &[]).await;
    let now = house.now();
    house
        .write(move |tx| catalog::trash_manifest(tx, &repo("full/a"), &deleted, now, UNDO, None))
        .await;
    house.pass(1);
    delete(house, "full/a").await;
    let next = house.blob("full/b", &"b".repeat(80));
    let again = next.clone();
    let full = refused(house, move |tx| catalog::publish_blob(tx, &again)).await;
    let Error::OverQuota(over) = full else {
        panic!("{full:?}")
    };
    let biggest = house
        .read(move |tx| catalog::biggest(tx, &repo("full/b"), &over))
        .await;
    assert_eq!(biggest, [("deleted full/a".to_owned(), 100)]);
    let now = house.now();
    house
        .write(move |tx| catalog::empty_trash(tx, Some(&repo("full/a")), now, now, None, 10))
        .await;
    house.collect().await;
    house.write(move |tx| catalog::publish_blob(tx, &next)).await;
    assert!(!house.serves("full/a", &digest("0123456789")).await);
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(
    emptied,
    emptying_the_trash_of_a_deleted_repository_gives_its_room_back
);

/// One that can come back keeps its leases: who was told before that a blob is there may push after.
async fn a_repository_that_can_come_back_keeps_its_leases(house: &House) {
    let blob = house.push_blob("g/a", "0123456789").await;
    let image = house.push_image("g/a", "9876543210", &[]).await;
    let now = house.now();
    let trashed = image.clone();
    house
        .write(move |tx| catalog::trash_manifest(tx, &repo("g/a"), &trashed, now, 0, None))
        .await;
    let op = delete(house, "g/a").await;
    house.pass(1);
    house.collect().await;
    let back = house.write(restore(house, op, None)).await;
    assert_eq!(back, Restored::Repository(repo("g/a")));
    assert!(house.serves("g/a", &blob).await);
    assert!(house.serves("g/a", &digest("9876543210")).await);
}
story!(leases_stay, a_repository_that_can_come_back_keeps_its_leases);
