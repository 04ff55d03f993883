//! Upload sessions: they survive restarts, expire when nobody uses them, and leave no files behind.

use bytes::Bytes;
use oci::Algorithm;
use registry::{Chunk, Error, Rules};

use crate::house::{House, Pieces, body, cut_body, digest_of, noise, push, read};

const HOUR_MS: i64 = 3_600_000;

fn files_in(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map_while(Result::ok);
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                files_in(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_restart() {
    let house = House::new();
    let permit = push("a");
    let bytes = noise(1, 3_000_000);
    let registry = house.open().await;
    let session = registry.begin_upload(&permit, Algorithm::Sha256).await.unwrap();
    let untouched = registry.begin_upload(&permit, Algorithm::Sha512).await.unwrap();
    let status = registry
        .append(&permit, session.id, Chunk::default(), body(&bytes[..1_234_567]))
        .await
        .unwrap();
    assert_eq!(status.offset, 1_234_567);
    registry.close().await;
    drop(registry);

    let registry = house.open().await;
    assert_eq!(
        registry.upload_status(&permit, session.id).await.unwrap().offset,
        1_234_567
    );
    assert_eq!(
        registry
            .upload_status(&permit, untouched.id)
            .await
            .unwrap()
            .offset,
        0
    );
    let chunk = Chunk {
        at: Some(1_234_567),
        length: None,
    };
    registry
        .finish_upload(
            &permit,
            session.id,
            digest_of(&bytes),
            chunk,
            body(&bytes[1_234_567..]),
        )
        .await
        .unwrap();
    assert!(read(&registry, "a", &digest_of(&bytes)).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_finds_what_had_arrived() {
    let house = House::new();
    let permit = push("a");
    let bytes = noise(2, 2_000_000);
    let registry = house.open().await;
    let session = registry.begin_upload(&permit, Algorithm::Sha256).await.unwrap();
    let cut = registry
        .append(
            &permit,
            session.id,
            Chunk::default(),
            cut_body(&bytes[..1_000_000]),
        )
        .await;
    assert!(matches!(cut, Err(Error::BodyCut)));
    let status = registry.upload_status(&permit, session.id).await.unwrap();
    assert_eq!(status.offset, 1_000_000);
    // Also a PUT that is cut leaves the session alive.
    let chunk = Chunk {
        at: Some(1_000_000),
        length: None,
    };
    let cut = registry
        .finish_upload(
            &permit,
            session.id,
            digest_of(&bytes),
            chunk,
            cut_body(&bytes[1_000_000..1_500_000]),
        )
        .await;
    assert!(matches!(cut, Err(Error::BodyCut)));
    let chunk = Chunk {
        at: Some(1_500_000),
        length: None,
    };
    registry
        .finish_upload(
            &permit,
            session.id,
            digest_of(&bytes),
            chunk,
            body(&bytes[1_500_000..]),
        )
        .await
        .unwrap();
    assert!(read(&registry, "a", &digest_of(&bytes)).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_upload_expires_and_a_busy_one_does_not() {
    let house = House::new();
    let rules = Rules {
        upload_idle_ms: Some(HOUR_MS),
        ..Rules::default()
    };
    let registry = house.open_with(rules).await;
    let permit = push("a");
    let busy = registry
        .begin_upload(&permit, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    let idle = registry
        .begin_upload(&permit, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    for id in [busy, idle] {
        registry
            .append(&permit, id, Chunk::default(), body(&noise(3, 100_000)))
            .await
            .unwrap();
    }
    house.clock.advance(HOUR_MS / 2);
    registry
        .append(&permit, busy, Chunk::default(), body(&noise(4, 100_000)))
        .await
        .unwrap();
    house.clock.advance(HOUR_MS / 2 + 1);
    assert!(matches!(
        registry.upload_status(&permit, idle).await,
        Err(Error::UploadUnknown)
    ));
    registry.reap(false).await.unwrap();
    assert_eq!(
        files_in(&house.path().join("landfall/uploads")),
        1,
        "the idle one's file is gone, the other's is not"
    );
    assert_eq!(
        registry.upload_status(&permit, busy).await.unwrap().offset,
        200_000
    );
    house.clock.advance(HOUR_MS);
    registry.reap(false).await.unwrap();
    assert_eq!(files_in(&house.path().join("landfall/uploads")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_uploads_and_no_more() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            upload_sessions_max: Some(2),
            ..Rules::default()
        })
        .await;
    let permit = push("a");
    let first = registry
        .begin_upload(&permit, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    registry
        .append(&permit, first, Chunk::default(), body(&noise(5, 100_000)))
        .await
        .unwrap();
    registry.begin_upload(&permit, Algorithm::Sha256).await.unwrap();
    let third = registry.begin_upload(&permit, Algorithm::Sha256).await;
    assert!(matches!(third, Err(Error::TooManyUploads { max: 2 })));
    registry.cancel_upload(&permit, first).await.unwrap();
    registry.begin_upload(&permit, Algorithm::Sha256).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_over_the_limit_ends_its_session() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            blob_bytes_max: Some(100_000),
            ..Rules::default()
        })
        .await;
    let permit = push("a");
    let bytes = noise(6, 100_001);
    let refused = registry
        .push_blob(&permit, digest_of(&bytes), None, body(&bytes))
        .await;
    assert!(matches!(refused, Err(Error::BlobTooLarge { max: 100_000 })));
    registry
        .push_blob(&permit, digest_of(&bytes[1..]), None, body(&bytes[1..]))
        .await
        .unwrap();
    assert_eq!(files_in(&house.path().join("landfall/uploads")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writer_at_a_time_and_nothing_interleaves() {
    let house = House::new();
    let registry = house.open().await;
    let permit = push("a");
    let id = registry
        .begin_upload(&permit, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    let writers = (0..20_u8).map(|n| {
        let (registry, permit) = (registry.clone(), permit.clone());
        tokio::spawn(async move {
            let pieces: Vec<_> = (0..50).map(|_| Ok(Bytes::from(vec![n; 1000]))).collect();
            registry
                .append(&permit, id, Chunk::default(), Pieces(pieces.into_iter()))
                .await
                .unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(
        registry.upload_status(&permit, id).await.unwrap().offset,
        20 * 50 * 1000
    );
    // Whatever the order of the writers, each one's bytes lie together.
    let first = registry
        .append(
            &permit,
            id,
            Chunk {
                at: Some(0),
                length: None,
            },
            body(b"x"),
        )
        .await;
    assert!(matches!(first, Err(Error::OutOfOrder(status)) if status.offset == 1_000_000));
}
