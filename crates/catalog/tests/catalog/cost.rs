//! What work costs does not depend on how much is kept: told in steps of SQLite's machine, which no other load changes.
//!
//! A step of that machine moves a cursor to a row or looks at one, so a statement that walks through what is kept shows at
//! once. How deep a tree is, which grows with the logarithm, is inside one step.

use std::path::Path;

use catalog::{Catalog, SqliteOptions};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{GRACE, House, KEEP, LEASE, UNDO, digest, edge, repo};

const SMALL: usize = 1_000;
const LARGE: usize = 20_000;
/// Manifests of one transaction.
const BATCH: usize = 500;

/// A catalog with so many tagged images, all of which have long been looked at by the collector.
async fn filled(folder: &TempDir, images: usize) -> House {
    let path = folder.path().join("landfall.db");
    let house = open(&path);
    for from in (0..images).step_by(BATCH) {
        let pushes: Vec<_> = (from..from + BATCH)
            .map(|number| {
                let layer = house.blob("a", &format!("layer {number}"));
                let tag = format!("tag-{number:07}");
                let mut image = house.manifest("a", &format!("image {number}"), &[&tag]);
                image.blobs = vec![edge(0, &layer.digest)];
                (layer, image)
            })
            .collect();
        let push_all = move |tx: &mut catalog::Tx<'_>| {
            for (layer, image) in &pushes {
                catalog::publish_blob(tx, layer)?;
                catalog::put_manifest(tx, image)?;
            }
            Ok(())
        };
        house.write(push_all).await;
    }
    house.close().await;
    let looked_at = "UPDATE manifests SET review_at = NULL; UPDATE repo_blobs SET review_at = NULL";
    Connection::open(&path).unwrap().execute_batch(looked_at).unwrap();
    open(&path)
}

fn open(path: &Path) -> House {
    House::around(Catalog::open_sqlite(path, SqliteOptions { readers: 1 }).unwrap())
}

/// From its delete until its bytes are gone.
async fn steps_of_collecting_one_image(house: &House) -> u64 {
    let image = house.push_image("a", "the one that goes", &["gone"]).await;
    let before = house.catalog.steps().unwrap();
    let now = house.now();
    house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &image, now, UNDO, None))
        .await;
    for window in [UNDO, KEEP, LEASE, GRACE] {
        house.pass(window);
        house.collect().await;
    }
    let gone = digest("the one that goes");
    assert!(!house.serves("a", &gone).await, "it is collected");
    house.catalog.steps().unwrap() - before
}

async fn steps_of_a_page_of_tags(house: &House, images: usize) -> u64 {
    let before = house.catalog.steps().unwrap();
    let last = format!("tag-{:07}", images / 2);
    let page = house
        .read(move |tx| catalog::list_tags(tx, &repo("a"), Some(&last), Some(100)))
        .await;
    assert_eq!((page.tags.len(), page.more), (100, true));
    house.catalog.steps().unwrap() - before
}

#[tokio::test]
async fn collecting_one_image_and_listing_a_page_take_the_same_steps_however_much_is_kept() {
    let mut steps = Vec::new();
    for images in [SMALL, LARGE] {
        let folder = TempDir::new().unwrap();
        let house = filled(&folder, images).await;
        let page = steps_of_a_page_of_tags(&house, images).await;
        steps.push((steps_of_collecting_one_image(&house).await, page));
        house.close().await;
    }
    println!(
        "(collecting, page) among {SMALL}: {:?}, among {LARGE}: {:?}",
        steps[0], steps[1]
    );
    assert!(
        steps[0].0 > 100 && steps[0].1 > 100,
        "steps are counted: {steps:?}"
    );
    assert_eq!(steps[0], steps[1]);
}
