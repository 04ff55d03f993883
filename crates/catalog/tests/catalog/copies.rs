//! A copy of the catalog is what it was at one moment, while others write; and what backups and bundles ask of one.

use catalog::{CatalogCopy, Changed, Error, Scope};

use crate::harness::{DAY, House, KEEP, UNDO, digest, repo, story, tag};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_made_while_others_write_is_one_moment_of_it() {
    let (house, place) = (House::on_sqlite(), tempfile::tempdir().unwrap());
    for number in 0..300 {
        house
            .push_blob("still", &format!("still {number} {}", "x".repeat(9_000)))
            .await;
    }
    let writing = {
        let (catalog, blobs) = (
            house.catalog.clone(),
            (0..400)
                .map(|number| house.blob("moving", &format!("moving {number}")))
                .collect::<Vec<_>>(),
        );
        tokio::spawn(async move {
            for blob in blobs {
                catalog
                    .write(move |tx| catalog::publish_blob(tx, &blob))
                    .await
                    .unwrap();
            }
        })
    };
    let mut last = 0;
    for number in 0..5 {
        let path = place.path().join(format!("a copy? {number}.db"));
        house.catalog.copy_to(&path).await.unwrap();
        let copy = CatalogCopy::open(&path).unwrap();
        let facts = copy.facts().unwrap();
        let usage = copy
            .read(|tx| catalog::usage(tx, &Scope::Repository(repo("moving"))))
            .unwrap();
        assert_eq!(
            usage.blobs,
            i64::try_from(facts.blobs).unwrap() - 300,
            "rows and counters are of one moment"
        );
        assert!(
            facts.seq >= last,
            "and no moment is before the one of an earlier copy"
        );
        last = facts.seq;
    }
    writing.await.unwrap();
    let path = place.path().join("last.db");
    house.catalog.copy_to(&path).await.unwrap();
    assert_eq!(CatalogCopy::open(&path).unwrap().facts().unwrap().blobs, 700);
    house.close().await;
}

#[tokio::test]
async fn a_copy_that_cannot_be_written_harms_nobody() {
    let (house, place) = (House::on_sqlite(), tempfile::tempdir().unwrap());
    house.push_blob("a", "layer").await;
    let nowhere = house.catalog.copy_to(&place.path().join("none/copy.db")).await;
    assert!(
        matches!(nowhere, Err(Error::Copy { is_full: false, .. })),
        "{nowhere:?}"
    );
    assert!(!house.catalog.is_broken());
    house.push_blob("a", "another").await;
    house
        .catalog
        .copy_to(&place.path().join("copy.db"))
        .await
        .unwrap();
    house.close().await;
}

#[tokio::test]
async fn what_is_no_copy_of_a_catalog_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("copy.db");
    assert!(matches!(CatalogCopy::open(&path), Err(Error::Open { .. })));
    for text in ["", "SQLite format 3\0 and then something else", "hello"] {
        std::fs::write(&path, text).unwrap();
        let refused = CatalogCopy::open(&path);
        assert!(matches!(refused, Err(Error::Open { .. })), "{text:?}");
    }
}

story!(every_stored_file_is_listed_once, async |house: &House| {
    for number in 0..20 {
        house
            .push_file("a", &format!("layer {number}"), &format!("place {number}"))
            .await;
        house.push_blob("a", &format!("small {number}")).await;
    }
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = house.read(move |tx| catalog::stored_blobs(tx, after, 7)).await;
        let Some(last) = page.last() else { break };
        after = last.id;
        all.extend(page);
    }
    let mut found: Vec<_> = all.iter().map(|blob| blob.digest.clone()).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 20);
    let key = digest("layer 3").to_key();
    let mut next = key.clone();
    next.push(0);
    let one = house
        .read(move |tx| catalog::stored_blobs_between(tx, &key, &next))
        .await;
    assert_eq!((one.len(), &one[0].digest), (1, &digest("layer 3")));
});

story!(changes_tell_what_to_look_at_again, async |house: &House| {
    house.push_blob("a", "layer").await;
    let before = house.read(catalog::last_change).await;
    assert!(before > 0);
    house.push_blob("b", "layer").await;
    let since = house.read(move |tx| catalog::changes_since(tx, before, 10)).await;
    assert!(!since.is_empty());
    for change in &since {
        assert_eq!(change.repository.as_deref(), Some("b"));
        assert_eq!(change.what, Changed::Blob(digest("layer").to_string()));
    }
    let last = house.read(catalog::last_change).await;
    assert_eq!(since.last().unwrap().seq, last);
    assert!(
        house
            .read(move |tx| catalog::changes_since(tx, last, 10))
            .await
            .is_empty()
    );
});

story!(
    a_name_tells_who_had_it_and_what_its_tags_ever_were,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["x", "y"]).await;
        let before = house.read(catalog::last_change).await;
        let now = house.now();
        let holder = house.read(|tx| catalog::holder_of(tx, &repo("a"))).await.unwrap();
        assert_eq!(holder.created_at, now);
        assert_eq!(house.read(|tx| catalog::names_moved(tx, 0, 10)).await, []);
        house
            .write(move |tx| {
                catalog::delete_tag(tx, &repo("a"), &tag("y"), now, KEEP, UNDO, None)?;
                catalog::rename_repository(tx, &repo("a"), &repo("b"), now, None)?;
                catalog::delete_repository(tx, &repo("b"), now, UNDO, None)
            })
            .await;
        let moved = house.read(move |tx| catalog::names_moved(tx, before, 10)).await;
        let names: Vec<&str> = moved.iter().map(|moved| moved.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "b"]);
        assert!(moved.iter().all(|moved| moved.repository == holder.repository));
        let id = holder.repository;
        assert_eq!(house.read(|tx| catalog::holder_of(tx, &repo("b"))).await, None);
        assert_eq!(
            house.read(move |tx| catalog::tags_ever(tx, id, "", 10)).await,
            ["x", "y"]
        );
        assert_eq!(
            house.read(move |tx| catalog::tags_ever(tx, id, "x", 10)).await,
            ["y"]
        );
        assert_eq!(
            house.read(move |tx| catalog::led_to(tx, id, "y", 10)).await,
            [image]
        );
        assert_eq!(
            house.read(move |tx| catalog::change_time(tx, before)).await,
            Some(now)
        );
        assert_eq!(house.read(|tx| catalog::change_time(tx, 0)).await, None);
        // What goes on has a place of its own, and what ended has none.
        let id = house
            .write(move |tx| {
                let import = catalog::begin_import(tx, "there", now)?;
                catalog::advance_import(tx, import.id, "far")?;
                Ok(import.id)
            })
            .await;
        let cursor = house.read(|tx| catalog::import_cursor(tx, "there")).await;
        assert_eq!(cursor.as_deref(), Some("far"));
        house
            .write(move |tx| catalog::finish_import(tx, id, "", now))
            .await;
        assert_eq!(house.read(|tx| catalog::import_cursor(tx, "there")).await, None);
    }
);

story!(a_copy_goes_on_where_it_stood, async |house: &House| {
    house.push_blob("a", "layer").await;
    let now = house.now();
    let hold = house
        .write(move |tx| catalog::place_hold(tx, &catalog::Hold::Sweep, "backup", Some(now + DAY)))
        .await;
    assert!(hold.is_some());
    // The second upload of a blob left bytes that are to go.
    house.push_file("b", "file", "here").await;
    house.push_file("c", "file", "there").await;
    house.write(|tx| catalog::wake_copy(tx, 100 * DAY)).await;
    let status = house.read(move |tx| catalog::gc_status(tx, now)).await;
    assert!(!status.sweep_held, "the hold was the backup's");
    let due = house
        .read(move |tx| catalog::due_tombstones(tx, now + 1000 * DAY, 100))
        .await;
    assert!(
        due.is_empty(),
        "files that were to go are not in a backup: {due:?}"
    );
    let grace = 0;
    let early = house
        .write(move |tx| catalog::review_links(tx, now + 100 * DAY, grace, 100))
        .await;
    assert_eq!(early.removed, 0, "its lease has as long to run as it had");
    let late = house
        .write(move |tx| catalog::review_links(tx, now + 102 * DAY, grace, 100))
        .await;
    assert_eq!(late.removed, 3);
});
