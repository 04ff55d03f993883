//! What only the engine on a server promises: settings that could lose data are refused, conflicts are tried again,
//! a connection that was cut is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use catalog::{Catalog, Error, PostgresOptions, PutManifest, Unlinked};

use crate::harness::{House, Schema, UNDO, edge, postgres_options, repo};

#[tokio::test]
async fn a_server_that_acknowledges_before_it_syncs_is_refused() {
    let schema = Schema::new();
    let url = format!("{}%20-c%20synchronous_commit%3Doff", schema.url());
    let error = Catalog::open_postgres(&url, postgres_options()).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Unsafe {
                setting: "synchronous_commit",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("set it to on"), "{error}");
}

/// The server of the tests runs without fsync, as nobody's own may.
#[tokio::test]
async fn a_server_that_never_syncs_is_refused_unless_a_test_allows_it() {
    let schema = Schema::new();
    let strict = PostgresOptions::default();
    let error = Catalog::open_postgres(&schema.url(), strict).unwrap_err();
    assert!(
        matches!(&error, Error::Unsafe { setting: "fsync", .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_with_a_reason() {
    for url in ["postgres://[", "postgres://127.0.0.1/x?sslmode=require"] {
        let error = Catalog::open_postgres(url, postgres_options()).unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{url}: {error:?}");
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let error = Catalog::open_postgres(&url, postgres_options()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("catalog.url"), "{error}");
}

#[tokio::test]
async fn two_processes_that_start_at_once_make_one_schema() {
    let schema = Schema::new();
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = schema.url();
            std::thread::spawn(move || Catalog::open_postgres(&url, postgres_options()).unwrap())
        })
        .collect();
    for catalog in opening {
        catalog.join().unwrap().close().await;
    }
    schema.run("INSERT INTO migrations VALUES (7, 'later', '\\x00', 0, '9.9.0')");
    let error = Catalog::open_postgres(&schema.url(), postgres_options()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 7, .. }), "{error:?}");
}

fn conflict() -> Error {
    Error::Conflict {
        source: Arc::new(std::io::Error::other("somebody was first")),
    }
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_in_the_end_reported() {
    let house = House::on_postgres();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let blob = house.blob("a", "layer");
    let published = house.catalog.write(move |tx| {
        let published = catalog::publish_blob(tx, &blob)?;
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            Err(conflict())
        } else {
            Ok(published)
        }
    });
    assert_eq!(
        published.await.unwrap(),
        catalog::Published::New,
        "the first try left nothing behind"
    );
    assert_eq!(tries.swap(0, Ordering::SeqCst), 2);

    let counted = Arc::clone(&tries);
    let always = house.catalog.write(move |_| -> Result<(), Error> {
        counted.fetch_add(1, Ordering::SeqCst);
        Err(conflict())
    });
    assert!(matches!(always.await, Err(Error::Conflict { .. })));
    assert_eq!(tries.load(Ordering::SeqCst), 4, "once, and three times again");
    house.close().await;
}

#[tokio::test]
async fn a_connection_that_was_cut_is_replaced() {
    let house = House::on_postgres();
    for n in 0..10 {
        house.push_blob("a", &format!("before {n}")).await;
    }
    // Only this story's connections: each has its schema in the options that it was opened with, and its own name.
    let name = house.schema().connection_name();
    house.schema().run(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
    ));
    for n in 0..10 {
        house.push_blob("a", &format!("after {n}")).await;
    }
    house.close().await;
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let house = House::on_postgres();
    house.push_image("a", "layer", &["latest"]).await;
    for forbidden in [
        "UPDATE tag_events SET at = 0",
        "DELETE FROM tag_events",
        "TRUNCATE changes",
        "UPDATE ops SET actor = NULL",
        "DELETE FROM ops",
    ] {
        let error = house.schema().try_run(forbidden).unwrap_err();
        assert!(error.contains("append-only"), "{forbidden}: {error}");
    }
    house
        .schema()
        .run("UPDATE ops SET undone_by = 1, cursor = 'x', state = 1");
    house.close().await;
}

/// Every statement of the journey runs on the server too, so none is in one engine's own words.
#[tokio::test]
async fn every_operation_runs_on_the_server() {
    let house = House::on_postgres();
    crate::journey::everything(&house).await;
    house.close().await;
}

/// The push begins while the delete has been done, but not committed: it must wait, and then see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_waits_for_a_delete_that_is_under_way() {
    let house = House::on_postgres();
    let layer = house.push_blob("a", "layer").await;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (deleted, told) = tokio::sync::oneshot::channel();
    let (wanted, now, catalog) = (layer.clone(), house.now(), house.catalog.clone());
    let (mut deleted, wait) = (Some(deleted), std::sync::Mutex::new(wait));
    let unlink = tokio::spawn(async move {
        catalog
            .write(move |tx| {
                let unlinked = catalog::unlink_blob(tx, &repo("a"), &wanted, now, UNDO, None)?;
                if let Some(deleted) = deleted.take() {
                    deleted.send(()).unwrap();
                    wait.lock().unwrap().recv().unwrap();
                }
                Ok(unlinked)
            })
            .await
    });
    told.await.unwrap();
    let mut new = house.manifest("a", "image", &[]);
    new.blobs = vec![edge(0, &layer)];
    let catalog = house.catalog.clone();
    let put = tokio::spawn(async move { catalog.write(move |tx| catalog::put_manifest(tx, &new)).await });
    while !house.schema().is_somebody_waiting() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    assert_eq!(unlink.await.unwrap().unwrap(), Unlinked::Hidden);
    assert_eq!(put.await.unwrap().unwrap(), PutManifest::Missing(vec![layer]));
    house.close().await;
}
