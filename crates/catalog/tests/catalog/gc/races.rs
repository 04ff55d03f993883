//! The collector and a client at the same moment, on the same thing: whoever is first, what was acknowledged is whole.
//!
//! The collector's clock is far ahead here, so nothing but the order of things keeps it from what is needed.

use catalog::{MountSource, NewBlob, Place, PutManifest};

use super::trash;
use crate::harness::{DAY, House, LEASE, digest, edge, repo, story};

const ROUNDS: i64 = 30;
const AHEAD: i64 = 60 * DAY;

/// Reviews links until none is due; the blobs that went.
async fn collect_links(house: &House) -> usize {
    let now = house.now() + AHEAD;
    let links = house
        .catalog
        .write(move |tx| catalog::review_links(tx, now, 0, 10));
    links.await.unwrap().blobs
}

story!(
    a_layer_is_not_lost_between_its_collection_and_a_manifest,
    async |house: &House| {
        for round in 0..ROUNDS {
            let layer = house.push_blob("a", &format!("layer {round}")).await;
            let mut new = house.manifest("a", &format!("image {round}"), &[]);
            new.blobs = vec![edge(0, &layer)];
            let put = house.catalog.write(move |tx| catalog::put_manifest(tx, &new));
            let (put, gone) = tokio::join!(put, collect_links(house));
            match put.unwrap() {
                PutManifest::Stored { .. } => {
                    assert!(house.serves("a", &layer).await, "round {round}");
                    assert_eq!(gone, 0, "round {round}");
                }
                put => assert_eq!(put, PutManifest::Missing(vec![layer])),
            }
            assert!(house.read(catalog::audit).await.is_empty());
        }
    }
);

story!(
    a_layer_is_not_lost_between_its_collection_and_a_mount,
    async |house: &House| {
        for round in 0..ROUNDS {
            let layer = house.push_blob("a", &format!("layer {round}")).await;
            let (wanted, now) = (layer.clone(), house.now() + 2 * AHEAD);
            let mount = house
                .catalog
                .write(move |tx| catalog::mount_blob(tx, &MountSource::Any, &repo("b"), &wanted, now, LEASE));
            let (mounted, _) = tokio::join!(mount, collect_links(house));
            assert_eq!(house.serves("b", &layer).await, mounted.unwrap(), "round {round}");
            assert!(house.read(catalog::audit).await.is_empty());
        }
    }
);

story!(
    a_layer_is_not_lost_between_its_collection_and_an_upload,
    async |house: &House| {
        for round in 0..ROUNDS {
            let content = format!("layer {round}");
            house.push_file("a", &content, &format!("old/{round}")).await;
            let new = NewBlob {
                place: Place::File(format!("new/{round}")),
                now: house.now() + 2 * AHEAD,
                ..house.blob("a", &content)
            };
            let publish = house.catalog.write(move |tx| catalog::publish_blob(tx, &new));
            let (published, _) = tokio::join!(publish, collect_links(house));
            published.unwrap();
            let now = house.now();
            let found = house
                .read(move |tx| catalog::find_blob(tx, &repo("a"), &digest(&content), now, LEASE))
                .await;
            let location = found.and_then(|found| found.location).unwrap();
            assert!(!house.due(i64::MAX).await.contains(&location), "round {round}");
            assert!(house.read(catalog::audit).await.is_empty());
        }
    }
);

story!(
    an_image_is_not_lost_between_its_purge_and_a_push,
    async |house: &House| {
        for round in 0..ROUNDS {
            let content = format!("layer {round}");
            let image = house.push_image("a", &content, &["latest"]).await;
            trash(house, &image).await;
            let mut again = house.manifest("a", &format!("image of {content}"), &["latest"]);
            again.blobs = vec![edge(0, &digest(&content))];
            let put = house.catalog.write(move |tx| catalog::put_manifest(tx, &again));
            let now = house.now() + AHEAD;
            let purge = house.catalog.write(move |tx| catalog::purge(tx, now, LEASE, 10));
            let (put, purged) = tokio::join!(put, purge);
            purged.unwrap();
            assert!(
                matches!(put.unwrap(), PutManifest::Stored { .. }),
                "the layer has its lease: round {round}"
            );
            assert_eq!(house.find("a", "latest").await, Some(image));
            assert!(house.read(catalog::audit).await.is_empty());
        }
    }
);
