//! Files that the catalog does not know: put aside, kept for a while, and gone; and nothing else is touched.

use std::path::PathBuf;

use registry::{Registry, Rules};

use crate::house::{House, body, digest_of, noise, push, push_in_parts, read, walk};

const DAY: i64 = 24 * 3_600_000;

fn blobs(house: &House) -> Vec<PathBuf> {
    walk(&house.path().join("landfall/blobs"))
}

fn aside(house: &House) -> Vec<PathBuf> {
    walk(&house.path().join("landfall/quarantine"))
}

/// A copy of a stored blob under another unique name, as a crash between bytes and row leaves one.
fn leave_orphan(house: &House, n: u8) -> PathBuf {
    let stored = blobs(house).pop().unwrap();
    let name = stored.file_name().unwrap().to_str().unwrap();
    let (hex, uid) = name.split_once('.').unwrap();
    let orphan = stored.with_file_name(format!("{hex}.{n:02x}{}", &uid[2..]));
    std::fs::copy(&stored, &orphan).unwrap();
    orphan
}

async fn with_one_blob(house: &House) -> Registry {
    let registry = house.open_with(Rules::default()).await;
    push_in_parts(&registry, "a", &noise(1, 50_000)).await.unwrap();
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_put_aside_and_removed_when_its_time_has_come() {
    let house = House::new();
    let registry = with_one_blob(&house).await;
    let orphan = leave_orphan(&house, 0xff);
    let stranger = orphan.with_file_name("notes.txt");
    std::fs::write(&stranger, "somebody's own").unwrap();
    assert_eq!(registry.scan_orphans().await.unwrap(), 1);
    assert!(!orphan.exists() && stranger.exists());
    let lying = aside(&house);
    assert_eq!(lying.len(), 1);
    assert!(
        lying[0].starts_with(house.path().join("landfall/quarantine/2027-01-15")),
        "{}",
        lying[0].display()
    );
    let status = registry.gc_status().await.unwrap().orphans;
    assert_eq!((status.count, status.bytes), (1, 50_000));
    house.clock.advance(7 * DAY - 1);
    assert_eq!(registry.scan_orphans().await.unwrap(), 0);
    assert_eq!(aside(&house).len(), 1);
    house.clock.advance(1);
    registry.scan_orphans().await.unwrap();
    assert!(aside(&house).is_empty());
    assert_eq!(registry.gc_status().await.unwrap().orphans.count, 0);
    assert_eq!(
        read(&registry, "a", &digest_of(&noise(1, 50_000))).await.unwrap(),
        noise(1, 50_000)
    );
}

/// The file system had written the new name down, and not yet that the old one is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_that_a_power_cut_left_under_both_names_has_one_afterwards() {
    let house = House::new();
    let registry = with_one_blob(&house).await;
    let orphan = leave_orphan(&house, 0xff);
    let below = orphan.strip_prefix(house.path().join("landfall/blobs")).unwrap();
    let there = house.path().join("landfall/quarantine/2027-01-15").join(below);
    std::fs::create_dir_all(there.parent().unwrap()).unwrap();
    std::fs::hard_link(&orphan, &there).unwrap();
    registry.scan_orphans().await.unwrap();
    assert_eq!((blobs(&house).len(), aside(&house)), (1, vec![there]));
    house.clock.advance(7 * DAY);
    registry.scan_orphans().await.unwrap();
    assert!(aside(&house).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_or_waits_for_the_sweeper_is_no_orphan() {
    let house = House::new();
    let registry = with_one_blob(&house).await;
    push_in_parts(&registry, "b", &noise(1, 50_000)).await.unwrap();
    assert_eq!(blobs(&house).len(), 2, "the second copy is the sweeper's");
    assert_eq!(registry.scan_orphans().await.unwrap(), 0);
    assert!(aside(&house).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_row_is_being_written_is_no_orphan() {
    let house = House::new();
    let registry = house.open_with(Rules::default()).await;
    let other = rusqlite::Connection::open(house.path().join("landfall/catalog/landfall.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let bytes = noise(1, 50_000);
    let pushing = {
        let (registry, bytes) = (registry.clone(), bytes.clone());
        let push_it = async move {
            registry
                .push_blob(&push("a"), digest_of(&bytes), None, body(&bytes))
                .await
        };
        tokio::spawn(push_it)
    };
    while blobs(&house).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.scan_orphans().await.unwrap(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    pushing.await.unwrap().unwrap();
    assert_eq!(registry.scan_orphans().await.unwrap(), 0);
    assert_eq!(read(&registry, "a", &digest_of(&bytes)).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_return_when_the_catalog_that_knows_them_is_put_back() {
    let house = House::new();
    let registry = with_one_blob(&house).await;
    registry.close().await;
    drop(registry);
    let catalog = house.path().join("landfall/catalog/landfall.db");
    let saved = house.path().join("saved.db");
    std::fs::rename(&catalog, &saved).unwrap();
    let registry = house.open_with(Rules::default()).await;
    assert_eq!(registry.scan_orphans().await.unwrap(), 1);
    assert!(blobs(&house).is_empty());
    registry.close().await;
    drop(registry);
    std::fs::rename(&saved, &catalog).unwrap();
    let registry = house.open_with(Rules::default()).await;
    registry.scan_orphans().await.unwrap();
    assert_eq!(
        read(&registry, "a", &digest_of(&noise(1, 50_000))).await.unwrap(),
        noise(1, 50_000)
    );
    assert!(aside(&house).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_mostly_unknown_to_the_catalog_is_not_cleared_out() {
    let house = House::new();
    let registry = with_one_blob(&house).await;
    for n in 0x80..0xa0 {
        leave_orphan(&house, n);
    }
    registry.scan_orphans().await.unwrap();
    registry.scan_orphans().await.unwrap();
    assert_eq!((aside(&house).len(), blobs(&house).len()), (16, 17));
}
