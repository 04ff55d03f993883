//! What is told of the collection: what waits, until when, why something is kept, and whether it rests.

use catalog::{GcStatus, Orphan, Pause, PauseCause, Pending, WhyKept};
use oci::Digest;

use super::{push_image_file, restore, trash};
use crate::harness::{DAY, GRACE, House, KEEP, LEASE, UNDO, digest, edge, repo, story, tag};

async fn status(house: &House) -> GcStatus {
    let now = house.now();
    house.read(move |tx| catalog::gc_status(tx, now)).await
}

async fn why(house: &House, kept: &Digest) -> WhyKept {
    let (kept, now) = (kept.clone(), house.now());
    house
        .read(move |tx| catalog::why_kept(tx, &kept, "here/", now))
        .await
}

story!(
    the_status_follows_garbage_from_the_trash_to_the_sweeper,
    async |house: &House| {
        assert_eq!(status(house).await, GcStatus::default());
        let image = push_image_file(house, "a", "layer", "here/layer", &["latest"]).await;
        push_image_file(house, "a", "other", "here/other", &["other"]).await;
        // What an edge holds is no garbage, although its lease runs.
        assert_eq!(status(house).await, GcStatus::default());
        trash(house, &image).await;
        let pending = |at: i64| Pending {
            count: 1,
            bytes: 5,
            first_at: Some(at),
            last_at: Some(at),
        };
        let purge_at = house.now() + UNDO;
        assert_eq!(status(house).await.trash, pending(purge_at));
        house.pass(UNDO);
        house.collect().await;
        let free_at = house.now() + LEASE;
        let expected = GcStatus {
            leased: pending(free_at),
            ..GcStatus::default()
        };
        assert_eq!(status(house).await, expected);
        assert_eq!(house.read(catalog::next_due).await, Some(free_at));
        house.pass(LEASE);
        house.collect().await;
        let expected = GcStatus {
            tombstones: pending(house.now() + GRACE),
            ..GcStatus::default()
        };
        assert_eq!(status(house).await, expected);
        house.pass(GRACE);
        assert_eq!(house.collect().await, ["here/layer"]);
        assert_eq!(status(house).await, GcStatus::default());
        assert_eq!(house.read(catalog::next_due).await, None);
    }
);

story!(
    layers_that_a_live_image_shares_are_not_counted_as_trash,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/layer", &["latest"]).await;
        let mut second = house.manifest("a", "second", &["second"]);
        second.blobs = vec![edge(0, &digest("layer"))];
        house.put_stored(second).await;
        trash(house, &image).await;
        let trash = status(house).await.trash;
        assert_eq!((trash.count, trash.bytes), (1, 0));
    }
);

story!(whatever_holds_a_blob_is_named, async |house: &House| {
    assert_eq!(why(house, &digest("layer")).await, WhyKept::default());
    let image = push_image_file(house, "a", "layer", "here/layer", &["latest"]).await;
    house.push_blob("b", "layer").await;
    let lease = house.now() + LEASE;
    let kept = why(house, &digest("layer")).await.blob.unwrap();
    assert_eq!(kept.size, 5);
    let of = |name: &str| {
        kept.links
            .iter()
            .find(|link| *link.repository == *name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("a").named_by, [(image.clone(), None)]);
    assert_eq!(of("b").named_by, []);
    assert_eq!(
        (of("a").lease_until, of("b").lease_until),
        (Some(lease), Some(lease))
    );
    trash(house, &image).await;
    let purge_at = house.now() + UNDO;
    house.pass(LEASE);
    house.collect().await;
    let kept = why(house, &digest("layer")).await.blob.unwrap();
    assert_eq!(kept.links.len(), 1, "the lease of b is over");
    assert_eq!(kept.links[0].named_by, [(image, Some(purge_at))]);
    assert_eq!((kept.links[0].lease_until, kept.links[0].hidden), (None, false));
    for wait in [UNDO, LEASE] {
        house.pass(wait);
        house.collect().await;
    }
    let gone = why(house, &digest("layer")).await;
    assert_eq!(gone.blob, None);
    assert_eq!(gone.tombstones, [("here/layer".to_owned(), house.now() + GRACE)]);
});

story!(whatever_holds_a_manifest_is_named, async |house: &House| {
    let child = push_image_file(house, "a", "layer", "here/layer", &["child"]).await;
    let index = house
        .put_stored(house.index("a", "index", &["latest"], &[&child]))
        .await;
    let signature = catalog::NewManifest {
        subject: Some(child.clone()),
        ..house.manifest("a", "signature", &[])
    };
    let signature = house.put_stored(signature).await;
    let kept = why(house, &child).await.manifests.remove(0);
    assert_eq!(
        (kept.repository, kept.tags, kept.listed_by),
        (repo("a"), vec![tag("child")], vec![(index.clone(), None)])
    );
    assert_eq!(kept.lease_until, Some(house.now() + KEEP));
    assert_eq!(
        why(house, &signature).await.manifests[0].subject,
        Some(child.clone())
    );
    let now = house.now();
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("child"), now, KEEP, UNDO, None))
        .await;
    let op = trash(house, &index).await;
    let kept = why(house, &child).await.manifests.remove(0);
    assert_eq!(
        (kept.op, kept.purge_at),
        (Some(op), None),
        "it follows its index when its lease ends"
    );
    let kept = why(house, &index).await.manifests.remove(0);
    assert_eq!(
        (kept.op, kept.purge_at, kept.held),
        (Some(op), Some(now + UNDO), false)
    );
    restore(house, op).await;
    assert_eq!(why(house, &child).await.manifests[0].op, None);
});

story!(
    a_pause_is_known_to_all_and_ends_by_itself,
    async |house: &House| {
        let now = house.now();
        let asked = Pause {
            cause: PauseCause::Operator,
            by: "bee".to_owned(),
            until: now + DAY,
        };
        let noticed = Pause {
            cause: PauseCause::Clock,
            by: "host".to_owned(),
            until: now + 2 * DAY,
        };
        for pause in [asked.clone(), noticed.clone()] {
            house.write(move |tx| catalog::pause_gc(tx, &pause)).await;
        }
        assert_eq!(status(house).await.pause, Some(noticed));
        house.pass(2 * DAY);
        assert_eq!(status(house).await.pause, None);
        let now = house.now();
        assert!(!house.write(move |tx| catalog::resume_gc(tx, now)).await);
        let again = Pause {
            until: now + DAY,
            ..asked
        };
        house.write(move |tx| catalog::pause_gc(tx, &again)).await;
        assert!(house.write(move |tx| catalog::resume_gc(tx, now)).await);
        assert_eq!(status(house).await.pause, None);
    }
);

story!(
    an_orphan_keeps_the_time_when_it_was_first_seen,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        house.push_file("b", "layer", "here/2").await;
        let all: Vec<String> = (1..=3).map(|n| format!("here/{n}")).collect();
        let unknown = house.read(move |tx| catalog::unknown_locations(tx, &all)).await;
        assert_eq!(unknown, ["here/3"], "one is served, one waits for the sweeper");
        let orphan = Orphan {
            location: "here/3".to_owned(),
            size: 7,
            first_seen: house.now(),
            incarnation: 1,
        };
        let later = Orphan {
            first_seen: house.now() + 1,
            ..orphan.clone()
        };
        for one in [orphan.clone(), later] {
            let noted = house.write(move |tx| catalog::note_orphan(tx, &one)).await;
            assert_eq!(noted, orphan);
        }
        assert_eq!(house.read(|tx| catalog::list_orphans(tx, "", 10)).await, [orphan]);
        let orphans = status(house).await.orphans;
        assert_eq!((orphans.count, orphans.bytes), (1, 7));
        house
            .write(|tx| catalog::forget_orphans(tx, &["here/3".to_owned()]))
            .await;
        assert!(
            house
                .read(|tx| catalog::list_orphans(tx, "", 10))
                .await
                .is_empty()
        );
    }
);
