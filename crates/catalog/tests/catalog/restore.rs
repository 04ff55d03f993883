//! Taking a delete back: everything that went comes back, and nothing new is overwritten.

use catalog::{EventKind, NewManifest, Restored, Trashed, Unlinked};
use oci::Digest;

use crate::harness::{House, KEEP, UNDO, repo, story, tag};

async fn trash(house: &House, manifest: &Digest) -> i64 {
    let (manifest, now) = (manifest.clone(), house.now());
    let trashed = house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &manifest, now, UNDO, None))
        .await;
    let Trashed::Done { op, .. } = trashed else {
        panic!("{trashed:?}")
    };
    op
}

async fn restore(house: &House, op: i64) -> Restored {
    let now = house.now();
    house
        .write(move |tx| catalog::restore(tx, op, &catalog::RestoreWish::default(), now, KEEP, Some("bee")))
        .await
}

story!(
    an_image_comes_back_with_its_tags_its_layers_and_its_signature,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["1.0", "latest"]).await;
        let signature = NewManifest {
            subject: Some(image.clone()),
            ..house.manifest("a", "signature", &[])
        };
        let signature = house.put_stored(signature).await;
        let op = trash(house, &image).await;
        let now = house.now();
        let layer = crate::harness::digest("layer");
        let unlink = {
            let layer = layer.clone();
            move |tx: &mut catalog::Tx<'_>| catalog::unlink_blob(tx, &repo("a"), &layer, now, UNDO, None)
        };
        assert_eq!(house.write(unlink).await, Unlinked::Hidden);

        let Restored::Done {
            mut manifests,
            tags,
            taken,
            gone,
        } = restore(house, op).await
        else {
            panic!()
        };
        manifests.sort();
        let mut expected = vec![image.clone(), signature];
        expected.sort();
        assert_eq!(
            (manifests, tags, taken, gone),
            (expected, vec![tag("1.0"), tag("latest")], vec![], vec![])
        );
        assert_eq!(house.find("a", "latest").await, Some(image));
        assert!(house.serves("a", &layer).await);
        let history = house
            .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 1))
            .await;
        assert_eq!(
            (history[0].kind, history[0].actor.as_deref()),
            (EventKind::Restored, Some("bee"))
        );
        let usage = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Repository(repo("a"))))
            .await;
        assert_eq!((usage.manifests, usage.tags, usage.trashed), (2, 2, 0));

        assert_eq!(restore(house, op).await, Restored::AlreadyUndone);
        assert_eq!(restore(house, 999_999).await, Restored::Unknown);
    }
);

story!(a_tag_that_was_set_anew_meanwhile_stays, async |house: &House| {
    let old = house.push_image("a", "old", &["latest", "old"]).await;
    let op = trash(house, &old).await;
    let new = house.push_image("a", "new", &["latest"]).await;
    let Restored::Done { tags, taken, .. } = restore(house, op).await else {
        panic!()
    };
    assert_eq!(tags, [tag("old")]);
    let taken = &taken[0];
    assert_eq!((&taken.tag, &taken.wanted), (&tag("latest"), &old));
    assert_eq!((&taken.now, taken.by.as_deref()), (&new, Some("bee")));
    assert_eq!(house.find("a", "latest").await, Some(new));
    assert_eq!(house.find("a", "old").await, Some(old));
});

story!(
    an_index_brings_back_the_children_it_needs_whoever_deleted_them,
    async |house: &House| {
        let image = house.push_image("a", "layer", &[]).await;
        let index = house
            .put_stored(house.index("a", "index", &["latest"], &[&image]))
            .await;
        let first = trash(house, &index).await;
        assert!(
            house.find("a", &image.to_string()).await.is_some(),
            "its lease keeps the child for now"
        );
        trash(house, &image).await;
        assert!(matches!(restore(house, first).await, Restored::Done { .. }));
        assert_eq!(house.find("a", &image.to_string()).await, Some(image));
        assert_eq!(house.find("a", "latest").await, Some(index));
    }
);

story!(
    what_a_push_brought_back_cannot_be_restored_again,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let op = trash(house, &image).await;
        house.push_image("a", "layer", &["latest"]).await;
        assert_eq!(restore(house, op).await, Restored::Gone);

        let op = trash(house, &image).await;
        house.push_image("a", "layer", &[]).await;
        assert!(matches!(restore(house, op).await, Restored::Done { .. }));
        assert_eq!(
            house.find("a", "latest").await,
            Some(image),
            "the tag that it took is not back by the push"
        );
    }
);

story!(
    a_deleted_tag_comes_back_and_no_push_is_taken_back,
    async |house: &House| {
        let good = house.push_image("a", "good", &["latest"]).await;
        let wrong = house.push_image("a", "wrong", &["latest", "wrong"]).await;
        // The operations are numbered from 1: the push of `good`, the push of `wrong`.
        for push in [1, 2] {
            assert_eq!(restore(house, push).await, Restored::NotInTrash);
        }
        assert_eq!(house.find("a", "latest").await, Some(wrong.clone()));
        assert_eq!(house.find("a", "wrong").await, Some(wrong.clone()));
        let now = house.now();
        house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
            .await;
        let op = house
            .read(move |tx| catalog::list_trash(tx, None, now, None, 2))
            .await
            .items[0]
            .op;
        assert!(matches!(restore(house, op).await, Restored::Done { .. }));
        assert_eq!(house.find("a", "latest").await, Some(wrong));
        assert_eq!(restore(house, op + 1).await, Restored::NotInTrash);
        assert!(house.find("a", &good.to_string()).await.is_some());
    }
);

story!(
    what_the_trash_lists_no_more_does_not_come_back,
    async |house: &House| {
        house.push_image("a", "good", &["latest"]).await;
        let now = house.now();
        house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
            .await;
        house.pass(UNDO);
        assert_eq!(restore(house, 2).await, Restored::Gone);
        assert_eq!(house.find("a", "latest").await, None);
    }
);

story!(a_deleted_blob_is_served_again, async |house: &House| {
    let blob = house.push_blob("a", "layer").await;
    let (wanted, now) = (blob.clone(), house.now());
    house
        .write(move |tx| catalog::unlink_blob(tx, &repo("a"), &wanted, now, UNDO, None))
        .await;
    assert!(!house.serves("a", &blob).await);
    assert!(matches!(restore(house, 1).await, Restored::Done { .. }));
    assert!(house.serves("a", &blob).await);
});
