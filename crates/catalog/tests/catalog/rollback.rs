//! Moving a tag back to what it was, and to where somebody wants it.

use catalog::{EventKind, MoveTo, RestoreWish, Restored, TagMove, TagMoved, Trashed};
use oci::{Digest, Reference};

use crate::harness::{House, KEEP, LEASE, UNDO, repo, story, tag};

async fn move_tag(house: &House, to: MoveTo) -> TagMoved {
    let moving = TagMove {
        repo: repo("a"),
        tag: tag("latest"),
        to,
        actor: Some("ann".to_owned()),
        now: house.now(),
        keep_ms: KEEP,
        dry_run: false,
    };
    house
        .write(move |tx| {
            tx.asked_from(Some("192.0.2.7"));
            catalog::move_tag(tx, &moving)
        })
        .await
}

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

story!(a_tag_goes_back_to_what_it_was, async |house: &House| {
    let good = house.push_image("a", "good", &["latest"]).await;
    let wrong = house.push_image("a", "wrong", &["latest", "twin"]).await;
    let moved = move_tag(house, MoveTo::Before).await;
    let done = TagMoved::Done {
        from: Some(wrong.clone()),
        to: good.clone(),
        restored: vec![],
    };
    assert_eq!(moved, done);
    assert_eq!(house.find("a", "latest").await, Some(good.clone()));
    assert_eq!(house.find("a", "twin").await, Some(wrong.clone()), "twins stay");
    let history = house
        .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 10))
        .await;
    let kinds: Vec<_> = history.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::RolledBack, EventKind::Set, EventKind::Set]);
    assert_eq!(
        (history[0].actor.as_deref(), history[0].remote.as_deref()),
        (Some("ann"), Some("192.0.2.7"))
    );
    assert_eq!(move_tag(house, MoveTo::Event(history[1].seq)).await, {
        TagMoved::Done {
            from: Some(good.clone()),
            to: wrong.clone(),
            restored: vec![],
        }
    });
    assert_eq!(
        move_tag(house, MoveTo::Past(good.hex()[..12].to_owned())).await,
        TagMoved::Done {
            from: Some(wrong.clone()),
            to: good.clone(),
            restored: vec![],
        }
    );
    let other = move_tag(house, MoveTo::Reference(Reference::Tag(tag("twin")))).await;
    assert!(matches!(other, TagMoved::Done { to, .. } if to == wrong));
});

story!(a_deleted_tag_goes_back_too, async |house: &House| {
    let image = house.push_image("a", "layer", &["latest"]).await;
    let now = house.now();
    let untagged = house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
        .await
        .unwrap();
    assert_eq!((untagged.digest, untagged.until), (image.clone(), now + UNDO));
    let moved = move_tag(house, MoveTo::Before).await;
    assert!(matches!(moved, TagMoved::Done { from: None, to, .. } if to == image));
});

story!(
    what_is_in_the_trash_comes_back_for_it_and_what_is_purged_is_named,
    async |house: &House| {
        let good = house.push_image("a", "good", &["latest"]).await;
        let signature = catalog::NewManifest {
            subject: Some(good.clone()),
            ..house.manifest("a", "signature", &[])
        };
        let signature = house.put_stored(signature).await;
        house.push_image("a", "wrong", &["latest"]).await;
        trash(house, &good).await;
        assert_eq!(house.find("a", &signature.to_string()).await, None);
        let TagMoved::Done { restored, .. } = move_tag(house, MoveTo::Before).await else {
            panic!()
        };
        assert_eq!(restored, [good.clone(), signature.clone()]);
        assert!(house.find("a", &signature.to_string()).await.is_some());

        move_tag(house, MoveTo::Before).await;
        trash(house, &good).await;
        house.pass(UNDO + LEASE);
        house.collect().await;
        assert_eq!(
            move_tag(house, MoveTo::Before).await,
            TagMoved::Purged(good.clone())
        );
        assert_eq!(
            move_tag(house, MoveTo::Past("0".to_owned() + &"f".repeat(63))).await,
            TagMoved::NoTarget
        );
        assert_eq!(move_tag(house, MoveTo::Event(999)).await, TagMoved::NoTarget);
    }
);

story!(where_nothing_was_before_nothing_is_done, async |house: &House| {
    assert_eq!(move_tag(house, MoveTo::Before).await, TagMoved::NoRepository);
    let image = house.push_image("a", "layer", &[]).await;
    assert_eq!(move_tag(house, MoveTo::Before).await, TagMoved::NoTag);
    let to = MoveTo::Reference(Reference::Digest(image.clone()));
    assert!(matches!(move_tag(house, to.clone()).await, TagMoved::Done { .. }));
    assert_eq!(move_tag(house, to).await, TagMoved::Same(image));
    assert_eq!(move_tag(house, MoveTo::Before).await, TagMoved::NothingThere);
});

story!(
    a_tag_that_was_taken_since_comes_back_by_force_or_by_another_name,
    async |house: &House| {
        let old = house.push_image("a", "old", &["latest"]).await;
        let now = house.now();
        let op = house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
            .await
            .unwrap()
            .op;
        let new = house.push_image("a", "new", &["latest"]).await;
        let restore = async |wish: RestoreWish| {
            house
                .write(move |tx| catalog::restore(tx, op, &wish, now, KEEP, None))
                .await
        };
        let Restored::Taken(taken) = restore(RestoreWish::default()).await else {
            panic!()
        };
        assert_eq!((&taken[0].now, &taken[0].wanted), (&new, &old));
        let wish = RestoreWish {
            as_tag: Some(tag("previous")),
            dry_run: true,
            ..RestoreWish::default()
        };
        for (dry_run, there) in [(true, None), (false, Some(old.clone()))] {
            let wish = RestoreWish {
                dry_run,
                ..wish.clone()
            };
            let Restored::Done { tags, taken, .. } = restore(wish).await else {
                panic!()
            };
            assert_eq!((tags, taken), (vec![tag("previous")], vec![]));
            assert_eq!(house.find("a", "previous").await, there);
        }
        assert_eq!(house.find("a", "latest").await, Some(new.clone()));
        assert_eq!(restore(RestoreWish::default()).await, Restored::AlreadyUndone);

        let op = trash(house, &old).await;
        house.push_image("a", "newer", &["previous"]).await;
        let wish = RestoreWish {
            force: true,
            ..RestoreWish::default()
        };
        let restored = house
            .write(move |tx| catalog::restore(tx, op, &wish, now, KEEP, None))
            .await;
        assert!(matches!(restored, Restored::Done { .. }), "{restored:?}");
        assert_eq!(house.find("a", "previous").await, Some(old));
    }
);
