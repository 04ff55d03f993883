//! What both engines promise about transactions: alone, whole, answered after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use catalog::Error;

use crate::harness::{House, digest, repo, story};

story!(
    an_operation_that_fails_is_undone_and_its_neighbours_are_not,
    async |house: &House| {
        let (before, after) = (house.blob("a", "before"), house.blob("a", "after"));
        let broken = house.blob("a", "broken");
        let failing = house.catalog.write(move |tx| {
            catalog::publish_blob(tx, &broken)?;
            Err::<(), _>(Error::UploadUnknown)
        });
        let (first, failed, last) = tokio::join!(
            house.catalog.write(move |tx| catalog::publish_blob(tx, &before)),
            failing,
            house.catalog.write(move |tx| catalog::publish_blob(tx, &after)),
        );
        assert!(first.is_ok() && last.is_ok());
        assert!(matches!(failed, Err(Error::UploadUnknown)));
        assert!(house.serves("a", &digest("before")).await && house.serves("a", &digest("after")).await);
        assert!(!house.serves("a", &digest("broken")).await);
    }
);

story!(
    a_panic_is_an_error_of_its_operation_and_of_nothing_else,
    async |house: &House| {
        let blob = house.blob("a", "half");
        let panicked = house.catalog.write(move |tx| -> Result<(), Error> {
            catalog::publish_blob(tx, &blob)?;
            panic!("a defect")
        });
        let error = panicked.await.unwrap_err();
        assert!(
            matches!(&error, Error::Panicked(words) if words == "a defect"),
            "{error:?}"
        );
        assert!(error.is_surely_not_committed());
        assert!(!house.serves("a", &digest("half")).await);
        let error = house
            .catalog
            .read(|_| -> Result<(), Error> { panic!("a defect") })
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Panicked(_)));
        house.push_blob("a", "next").await;
        assert!(house.serves("a", &digest("next")).await);
    }
);

story!(a_read_cannot_write, async |house: &House| {
    let blob = house.blob("a", "layer");
    let error = house
        .catalog
        .read(move |tx| catalog::publish_blob(tx, &blob))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error:?}");
    assert!(!house.serves("a", &digest("layer")).await);
});

story!(nothing_is_taken_in_after_the_close, async |house: &House| {
    house.push_blob("a", "layer").await;
    house.catalog.close().await;
    let error = house.catalog.write(|_| Ok(())).await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
    assert!(matches!(house.catalog.read(|_| Ok(())).await, Err(Error::Closed)));
    house.catalog.close().await;
});

story!(
    maintenance_and_clients_share_the_catalog,
    async |house: &House| {
        let ran = Arc::new(AtomicU32::new(0));
        let all: Vec<_> = (0..40)
            .map(|n| {
                let (catalog, ran) = (house.catalog.clone(), Arc::clone(&ran));
                tokio::spawn(async move {
                    let work = move |_: &mut catalog::Tx<'_>| {
                        ran.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    };
                    if n % 2 == 0 {
                        catalog.write(work).await
                    } else {
                        catalog.maintain(work).await
                    }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
        assert_eq!(ran.load(Ordering::Relaxed), 40);
    }
);

story!(
    pushes_to_many_repositories_at_once_lose_nothing,
    async |house: &House| {
        let pushes: Vec<_> = (0..60)
            .map(|n| {
                let blob = house.blob(&format!("team/repo-{}", n % 5), &format!("blob {}", n % 20));
                let catalog = house.catalog.clone();
                tokio::spawn(async move { catalog.write(move |tx| catalog::publish_blob(tx, &blob)).await })
            })
            .collect();
        for push in pushes {
            push.await.unwrap().unwrap();
        }
        let everything = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
            .await;
        assert_eq!(everything.blobs, 20);
        let team = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Namespace("team".to_owned())))
            .await;
        assert_eq!(
            team.blobs, 20,
            "each of the twenty went to one repository, three times"
        );
        assert!(
            house
                .read(|tx| catalog::repo_exists(tx, &repo("team/repo-4")))
                .await
        );
    }
);
