//! A disk that is full, as far as SQLite can tell: its own limit of pages gives the same error.

use crate::{Catalog, Error, NewBlob, Place, SqliteOptions, publish_blob};

fn blob(n: u64) -> NewBlob {
    let mut raw = [0; 32];
    raw[..8].copy_from_slice(&n.to_be_bytes());
    NewBlob {
        repo: "a".parse().unwrap(),
        digest: oci::Digest::Sha256(raw),
        size: 10_000,
        place: Place::Inline(vec![7; 10_000]),
        upload: None,
        now: 0,
        lease_ms: 0,
        grace_ms: 0,
    }
}

async fn limit_pages(catalog: &Catalog, sql: &'static str) {
    catalog.write(move |tx| tx.exists(sql, &[])).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_the_push_and_takes_the_next_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open_sqlite(&folder.path().join("landfall.db"), SqliteOptions::default()).unwrap();
    limit_pages(&catalog, "PRAGMA max_page_count = 200").await;
    let mut stored = 0;
    let error = loop {
        let new = blob(stored);
        match catalog.write(move |tx| publish_blob(tx, &new)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoRoom { .. }), "{error:?}");
    assert!(error.is_surely_not_committed() && !catalog.is_broken());
    let there = catalog
        .read(|tx| tx.query("SELECT id FROM blobs", &[], |row| row.get::<i64>(0)))
        .await
        .unwrap();
    assert_eq!(
        there.len() as u64,
        stored,
        "all that was acknowledged, and no half"
    );

    limit_pages(&catalog, "PRAGMA max_page_count = 4000").await;
    let new = blob(stored);
    catalog.write(move |tx| publish_blob(tx, &new)).await.unwrap();
    catalog.close().await;
}

#[tokio::test]
async fn every_connection_syncs_each_commit_and_holds_foreign_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let catalog = Catalog::open_sqlite(&path, SqliteOptions { readers: 1 }).unwrap();
    let pragma = |tx: &mut crate::Tx<'_>, sql| tx.first(sql, &[], |row| row.get::<i64>(0));
    let settings = move |tx: &mut crate::Tx<'_>| {
        Ok((
            pragma(tx, "PRAGMA synchronous")?,
            pragma(tx, "PRAGMA foreign_keys")?,
            pragma(tx, "PRAGMA wal_autocheckpoint")?,
            pragma(tx, "PRAGMA cell_size_check")?,
            pragma(tx, "PRAGMA query_only")?,
        ))
    };
    let (full, on, off) = (Some(2), Some(1), Some(0));
    assert_eq!(catalog.write(settings).await.unwrap(), (full, on, off, on, off));
    assert_eq!(catalog.read(settings).await.unwrap(), (full, on, off, on, on));
    let journal = |tx: &mut crate::Tx<'_>| tx.first("PRAGMA journal_mode", &[], |row| row.get::<String>(0));
    assert_eq!(catalog.write(journal).await.unwrap().as_deref(), Some("wal"));
    catalog.close().await;
}
