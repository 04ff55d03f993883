//! Manifests: what hung on a deleted one goes with it, now or when its lease ends, and returns with it.

use catalog::{NewBlob, NewManifest, Place, Restored};

use super::{long_after, push_image_file, restore, trash, untag};
use crate::harness::{House, KEEP, LEASE, UNDO, digest, edge, repo, story, tag};

story!(
    an_untagged_manifest_stays_until_somebody_deletes_it,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        untag(house, "latest").await;
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", &image.to_string()).await.is_some());
        trash(house, &image).await;
        assert_eq!(long_after(house).await, ["here/1"]);
    }
);

story!(
    children_that_only_a_lease_holds_follow_their_index_when_it_ends,
    async |house: &House| {
        let child = push_image_file(house, "a", "child", "here/1", &[]).await;
        let tagged = push_image_file(house, "a", "tagged", "here/2", &["keep"]).await;
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &[&child, &tagged]))
            .await;
        let op = trash(house, &index).await;
        house.pass(KEEP - 1);
        house.collect().await;
        assert!(house.find("a", &child.to_string()).await.is_some());
        house.pass(1);
        house.collect().await;
        assert_eq!(house.find("a", &child.to_string()).await, None);
        assert_eq!(
            restore(house, op).await,
            Restored::Gone,
            "its window has passed with that of the index"
        );
        assert_eq!(long_after(house).await, ["here/1"]);
        assert!(house.find("a", "keep").await.is_some());
    }
);

story!(
    a_child_that_follows_its_index_comes_back_with_it,
    async |house: &House| {
        let child = push_image_file(house, "a", "child", "here/1", &[]).await;
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &[&child]))
            .await;
        house.pass(KEEP / 2);
        let op = trash(house, &index).await;
        house.pass(KEEP / 2);
        house.collect().await;
        assert_eq!(house.find("a", &child.to_string()).await, None);
        assert!(matches!(restore(house, op).await, Restored::Done { .. }));
        assert_eq!(house.find("a", "latest").await, Some(index));
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", &child.to_string()).await.is_some());
    }
);

story!(
    a_child_that_found_another_holder_meanwhile_does_not_follow,
    async |house: &House| {
        let children = ["pushed", "tagged", "listed", "restored"];
        let mut digests = Vec::new();
        for (one, n) in children.into_iter().zip(0..) {
            digests.push(push_image_file(house, "a", one, &format!("here/{n}"), &[]).await);
        }
        let listed: Vec<_> = digests.iter().collect();
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &listed[..3]))
            .await;
        let other = house
            .put_stored(house.index("a", "other", &["other"], &listed[3..]))
            .await;
        trash(house, &index).await;
        let op = trash(house, &other).await;
        push_image_file(house, "a", "pushed", "again/0", &[]).await;
        push_image_file(house, "a", "tagged", "again/1", &["for-a-while"]).await;
        untag(house, "for-a-while").await;
        house
            .put_stored(house.index("a", "third", &["third"], &[&digests[2]]))
            .await;
        restore(house, op).await;
        let mut swept = long_after(house).await;
        swept.retain(|location| location.starts_with("here"));
        assert!(swept.is_empty(), "{swept:?}");
        for one in &digests {
            assert!(house.find("a", &one.to_string()).await.is_some());
        }
    }
);

story!(
    a_child_that_got_its_tag_back_and_lost_it_again_does_not_follow,
    async |house: &House| {
        let child = push_image_file(house, "a", "child", "here/1", &["x"]).await;
        push_image_file(house, "a", "other", "here/2", &["x"]).await;
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &[&child]))
            .await;
        trash(house, &index).await;
        let back = catalog::TagMove {
            repo: repo("a"),
            tag: tag("x"),
            to: catalog::MoveTo::Before,
            actor: None,
            now: house.now(),
            keep_ms: KEEP,
            dry_run: false,
        };
        house.write(move |tx| catalog::move_tag(tx, &back)).await;
        assert_eq!(house.find("a", "x").await, Some(child.clone()));
        untag(house, "x").await;
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", &child.to_string()).await.is_some());
    }
);

story!(
    a_signature_goes_with_its_image_and_returns_with_it,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        house.push_file("a", "proof", "here/2").await;
        let signature = NewManifest {
            subject: Some(image.clone()),
            blobs: vec![edge(0, &digest("proof"))],
            ..house.manifest("a", "signature", &[])
        };
        let signature = house.put_stored(signature).await;
        assert!(long_after(house).await.is_empty(), "a live subject holds it");
        let op = trash(house, &image).await;
        house.pass(UNDO - 1);
        house.collect().await;
        restore(house, op).await;
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", &signature.to_string()).await.is_some());
        trash(house, &image).await;
        assert_eq!(long_after(house).await, ["here/1", "here/2"]);
    }
);

story!(
    what_was_restored_in_time_stays_and_what_was_purged_is_gone,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        let op = trash(house, &image).await;
        house.pass(UNDO);
        house.collect().await;
        assert_eq!(restore(house, op).await, Restored::Gone);
        // The link has its lease still: a pusher need not send the layer again.
        let mut again = house.manifest("a", "image of layer", &["latest"]);
        again.blobs = vec![edge(0, &digest("layer"))];
        house.put_stored(again).await;
        let op = trash(house, &image).await;
        house.pass(UNDO - 1);
        restore(house, op).await;
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", "latest").await.is_some());
    }
);

story!(
    an_index_entry_that_was_a_blob_and_became_a_manifest_lets_the_blob_go,
    async |house: &House| {
        house.push_file("a", "child", "here/1").await;
        let index = || house.index("a", "index", &["latest"], &[&digest("child")]);
        house.put_stored(index()).await;
        house.pass(LEASE);
        house.collect().await;
        house.put_stored(house.manifest("a", "child", &[])).await;
        house.put_stored(index()).await;
        assert_eq!(long_after(house).await, ["here/1"]);
        assert!(house.find("a", &digest("child").to_string()).await.is_some());
    }
);

story!(
    a_large_index_and_its_children_go_in_many_small_steps,
    async |house: &House| {
        let now = house.now();
        let mut children = Vec::new();
        for n in 0..40 {
            let blob = NewBlob {
                place: Place::File(format!("many/{n}")),
                ..house.blob("a", &format!("layer {n}"))
            };
            house.write(move |tx| catalog::publish_blob(tx, &blob)).await;
            let mut image = house.manifest("a", &format!("image {n}"), &[]);
            image.blobs = vec![edge(0, &digest(&format!("layer {n}")))];
            image.keep_ms = 0;
            children.push(house.put_stored(image).await);
        }
        let listed: Vec<_> = children.iter().collect();
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &listed))
            .await;
        house.pass(1);
        trash(house, &index).await;
        house.pass(UNDO);
        let now = now + 1 + UNDO;
        // An index goes before its children, so the first step can take nothing else.
        let first = house.write(move |tx| catalog::purge(tx, now, LEASE, 3)).await;
        assert_eq!(first.manifests, 1);
        let next = house.write(move |tx| catalog::purge(tx, now, LEASE, 3)).await;
        assert_eq!(next.manifests, 3);
        assert_eq!(long_after(house).await.len(), 40);
    }
);
