//! What only the engine in a file promises: commits in groups, a queue with an end, a file that is refused if not ours.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use catalog::{Catalog, Error, NewBlob, Place, SqliteOptions};
use rusqlite::Connection;

use crate::harness::{House, digest};

/// Holds the writer until told.
fn hold(house: &House) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (go, wait) = mpsc::channel::<()>();
    let (inside, told) = mpsc::channel::<()>();
    let catalog = house.catalog.clone();
    let holding = tokio::spawn(async move {
        let wait = std::sync::Mutex::new(wait);
        catalog
            .write(move |_| {
                inside.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
    });
    // Without this the held operation might share a batch with what comes after it.
    std::thread::spawn(move || told.recv().unwrap()).join().unwrap();
    (go, holding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_share_a_commit() {
    let house = House::on_sqlite();
    let before = house.catalog.commits();
    let (go, holding) = hold(&house);
    let waiting: Vec<_> = (0..200)
        .map(|n| {
            let (catalog, blob) = (house.catalog.clone(), house.blob("a", &format!("blob {n}")));
            tokio::spawn(async move { catalog.write(move |tx| catalog::publish_blob(tx, &blob)).await })
        })
        .collect();
    while house.catalog.waiting() < 200 {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    holding.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(
        house.catalog.commits() - before,
        2,
        "the one that was held, and one for all others"
    );
    for n in 0..200 {
        assert!(house.serves("a", &digest(&format!("blob {n}"))).await);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_done_before_the_catalog_closes() {
    let house = House::on_sqlite();
    let (go, holding) = hold(&house);
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let (catalog, blob) = (house.catalog.clone(), house.blob("a", &format!("blob {n}")));
            tokio::spawn(async move { catalog.write(move |tx| catalog::publish_blob(tx, &blob)).await })
        })
        .collect();
    while house.catalog.waiting() < 20 {
        tokio::task::yield_now().await;
    }
    let catalog = house.catalog.clone();
    let closing = tokio::spawn(async move { catalog.close().await });
    while !matches!(house.catalog.read(|_| Ok(())).await, Err(Error::Closed)) {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    closing.await.unwrap();
    holding.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_so_at_once() {
    let house = House::on_sqlite();
    let (go, holding) = hold(&house);
    let waiting: Vec<_> = (0..4096)
        .map(|_| {
            let catalog = house.catalog.clone();
            tokio::spawn(async move { catalog.write(|_| Ok(())).await })
        })
        .collect();
    while house.catalog.waiting() < 4096 {
        tokio::task::yield_now().await;
    }
    let error = house.catalog.write(|_| Ok(())).await.unwrap_err();
    assert!(matches!(error, Error::Busy), "{error:?}");
    assert!(house.catalog.read(|_| Ok(())).await.is_ok(), "reads go on");
    go.send(()).unwrap();
    holding.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    house.close().await;
}

#[tokio::test]
async fn a_closed_catalog_is_one_file_that_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("landfall.db");
    let catalog = Catalog::open_sqlite(&path, SqliteOptions::default()).unwrap();
    let house = House::around(catalog);
    house.push_image("a", "layer", &["latest"]).await;
    house.catalog.close().await;
    let log = path.with_file_name("landfall.db-wal");
    assert!(
        log.metadata().map_or(0, |log| log.len()) == 0,
        "the log was moved into the file"
    );

    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let house = House::around(Catalog::open_sqlite(&copy, SqliteOptions { readers: 1 }).unwrap());
    assert!(house.find("a", "latest").await.is_some());
    house.close().await;
}

#[tokio::test]
async fn the_log_starts_over_while_much_is_written_and_is_emptied_when_nothing_is() {
    const MIB: usize = 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let house = House::around(Catalog::open_sqlite(&path, SqliteOptions::default()).unwrap());
    let log_bytes = || {
        path.with_file_name("landfall.db-wal")
            .metadata()
            .map_or(0, |log| log.len())
    };
    // The file of a log that starts over stays as large as it was: many writes that do not make it longer show it.
    let (mut written, mut longest, mut unchanged) = (0, 0, 0);
    while unchanged < 32 {
        assert!(
            written < 3000,
            "the log never started over and has {longest} bytes"
        );
        let blob = NewBlob {
            place: Place::Inline(vec![7; MIB]),
            size: MIB as u64,
            ..house.blob("a", &format!("blob {written}"))
        };
        house.write(move |tx| catalog::publish_blob(tx, &blob)).await;
        unchanged = if log_bytes() > longest { 0 } else { unchanged + 1 };
        longest = longest.max(log_bytes());
        written += 1;
    }
    let deadline = Instant::now() + Duration::from_mins(2);
    while log_bytes() > 0 {
        assert!(
            Instant::now() < deadline,
            "the log still has {} bytes",
            log_bytes()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last = digest(&format!("blob {}", written - 1));
    assert!(house.serves("a", &last).await);
    house.close().await;
}

/// Makes a catalog, lets `change` at it, and opens it again.
async fn reopened_after(change: &str) -> Result<Catalog, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    Catalog::open_sqlite(&path, SqliteOptions::default())
        .unwrap()
        .close()
        .await;
    Connection::open(&path).unwrap().execute_batch(change).unwrap();
    Catalog::open_sqlite(&path, SqliteOptions::default())
}

#[tokio::test]
async fn a_catalog_of_a_newer_landfall_is_refused_with_a_way_out() {
    let error = reopened_after("INSERT INTO migrations VALUES (7, 'later', x'00', 0, '9.9.0')")
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Newer { found: 7, .. }), "{error:?}");
    let words = error.to_string();
    assert!(
        words.contains("9.9.0") && words.contains("restore the backup"),
        "{words}"
    );
}

#[tokio::test]
async fn a_catalog_with_another_schema_of_the_same_version_is_refused() {
    let error = reopened_after("UPDATE migrations SET checksum = x'00'")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Altered { version: 1 }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_catalog_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let text = "this is a letter, not a database, and long enough to be looked at. ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = Catalog::open_sqlite(&path, SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("landfall.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let house = House::around(Catalog::open_sqlite(&path, SqliteOptions::default()).unwrap());
    house.push_image("a", "layer", &["latest"]).await;
    house.close().await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("INSERT INTO op_manifests VALUES (1, x'00')")
        .unwrap();
    for forbidden in [
        "UPDATE tag_events SET at = 0",
        "DELETE FROM tag_events",
        "UPDATE ops SET actor = NULL",
        "DELETE FROM ops",
        "UPDATE changes SET at = 0",
        "DELETE FROM changes",
        "UPDATE ops SET remote = NULL",
        "DELETE FROM op_manifests",
    ] {
        let error = raw.execute_batch(forbidden).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{forbidden}: {error}");
    }
    raw.execute_batch("UPDATE ops SET undone_by = 1, cursor = 'x', state = 1, until = 2")
        .unwrap();
}

/// A list or look-up that walks a whole table is fast in a test and slow for who has a million tags.
#[tokio::test]
async fn no_statement_scans_a_table() {
    let house = House::on_sqlite();
    crate::journey::everything(&house).await;
    let plans = house.catalog.plans().await.unwrap();
    assert!(
        plans.len() > 60,
        "the journey uses every statement, but only {} were seen",
        plans.len()
    );
    for plan in plans {
        // At the start, every upload that was under way is looked at.
        let allowed = plan.statement == "SELECT id FROM uploads";
        for step in &plan.steps {
            let scans = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW";
            let sorts = step.contains("TEMP B-TREE") && plan.statement.contains("LIMIT");
            assert!(
                allowed || !(scans || sorts),
                "{}\n{:#?}",
                plan.statement,
                plan.steps
            );
        }
    }
    house.close().await;
}
