//! What was pushed last, whatever the clock says and whatever became of it since.

use catalog::{MoveTo, Removal, RestoreWish, Restored, Retaining, TagMove, TagMoved, TagState};
use oci::Digest;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, repo, story, tag};

const MINUTE: i64 = 60 * 1000;

async fn states(house: &House) -> Vec<TagState> {
    house
        .read(|tx| catalog::tag_states(tx, &repo("a"), None, 100))
        .await
        .0
}

async fn newest_first(house: &House) -> Vec<String> {
    let states = states(house).await;
    states.iter().map(|state| state.tag.to_string()).collect()
}

/// When a tag was pushed, and by whom, as people are told.
async fn pushed(house: &House, wanted: &str) -> (i64, Option<String>) {
    let views = house
        .read(|tx| catalog::tag_views(tx, &repo("a"), None, 100))
        .await;
    let mut views = views.items.into_iter().filter(|view| view.tag == wanted);
    let view = views.next().unwrap();
    (view.pushed_at, view.pushed_by)
}

async fn last_push(house: &House) -> Option<i64> {
    let view = house.read(|tx| catalog::repository_view(tx, &repo("a"))).await;
    view.unwrap().last_push_at
}

async fn push_as(house: &House, who: &str, body: &str, tags: &[&str]) -> Digest {
    let mut image = house.manifest("a", body, tags);
    image.actor = Some(who.to_owned());
    house.put_stored(image).await
}

story!(
    the_newest_tag_is_the_one_that_was_set_last_also_after_the_clock_went_back,
    async |house: &House| {
        let now = house.now();
        house.set(now + 365 * DAY);
        for name in ["z-old", "b-old"] {
            house.push_image("a", name, &[name]).await;
        }
        house.set(now);
        // In the same millisecond, so that no time tells them apart.
        for name in ["new-2", "new-1", "new-3"] {
            house.push_image("a", name, &[name]).await;
        }
        assert_eq!(
            newest_first(house).await,
            ["new-3", "new-1", "new-2", "b-old", "z-old"]
        );
        // A tag that moves is the newest, and its time is the true one.
        push_as(house, "bee", "another", &["z-old"]).await;
        let first = states(house).await.remove(0);
        assert_eq!((&*first.tag, first.set_at), ("z-old", now));
    }
);

story!(what_is_adopted_stands_where_its_time_is, async |house: &House| {
    for (name, at) in [("alpha", 30), ("beta", 10), ("gamma", 20)] {
        let image = house.manifest("a", name, &[]);
        let adopted = catalog::AdoptedTag {
            repo: repo("a"),
            tag: tag(name),
            current: (image.digest.clone(), at),
            before: Vec::new(),
            is_dated: true,
        };
        house
            .write(move |tx| {
                catalog::adopt_manifest(tx, &image, at)?;
                catalog::adopt_tag(tx, &adopted)
            })
            .await;
    }
    assert_eq!(newest_first(house).await, ["alpha", "gamma", "beta"]);
    assert_eq!(last_push(house).await, Some(30), "not when it was adopted");
    house.push_image("a", "beta", &["delta"]).await;
    assert_eq!(newest_first(house).await, ["delta", "alpha", "gamma", "beta"]);
    assert_eq!(last_push(house).await, Some(house.now()));
});

story!(
    an_image_that_is_pushed_to_its_tag_again_counts_as_pushed_and_is_no_step,
    async |house: &House| {
        push_as(house, "ann", "nightly", &["nightly"]).await;
        house.pass(DAY);
        push_as(house, "ann", "other", &["other"]).await;
        let before = states(house)
            .await
            .into_iter()
            .find(|state| *state.tag == *tag("nightly"));
        let before = before.unwrap();
        house.pass(DAY);
        push_as(house, "bob", "nightly", &["nightly"]).await;
        let now = house.now();
        let first = states(house).await.remove(0);
        assert_eq!(
            (&*first.tag, first.set_at, first.event),
            ("nightly", now, before.event)
        );
        assert_eq!(pushed(house, "nightly").await, (now, Some("bob".to_owned())));
        assert_eq!(last_push(house).await, Some(now));
        let history = house
            .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("nightly"), None, 10))
            .await;
        assert_eq!(history.len(), 1);
        // What a run had decided before does not hold any more.
        let stale = Removal::Tag {
            tag: before.tag,
            event: before.event,
            ranked_at: before.ranked_at,
            pulled_at: None,
            reason: String::new(),
        };
        let removed = house
            .write(move |tx| {
                let turn = catalog::take_turn(tx, "retention", "us", now, now + DAY)?.unwrap();
                let with = Retaining {
                    repo: repo("a"),
                    turn,
                    now,
                    keep_ms: LEASE,
                    undo_ms: UNDO,
                    actor: None,
                };
                catalog::retain(tx, &with, std::slice::from_ref(&stale))
            })
            .await
            .unwrap();
        assert_eq!((removed.tags, removed.changed), (0, 1));
        // Who pushes all the time does not write all the time.
        house.pass(MINUTE - 1);
        push_as(house, "ann", "nightly", &["nightly"]).await;
        assert_eq!(pushed(house, "nightly").await, (now, Some("bob".to_owned())));
    }
);

story!(a_restore_or_rollback_is_no_push, async |house: &House| {
    let (at, ann) = (house.now(), Some("ann".to_owned()));
    push_as(house, "ann", "one", &["latest"]).await;
    house.pass(DAY);
    push_as(house, "bob", "two", &["latest"]).await;
    let last = Some(house.now());
    house.pass(DAY);
    let back = TagMove {
        repo: repo("a"),
        tag: tag("latest"),
        to: MoveTo::Before,
        actor: Some("root".to_owned()),
        now: house.now(),
        keep_ms: KEEP,
        dry_run: false,
    };
    let moved = house.write(move |tx| catalog::move_tag(tx, &back)).await;
    assert!(matches!(moved, TagMoved::Done { .. }), "{moved:?}");
    assert_eq!(pushed(house, "latest").await, (at, ann.clone()));
    house.pass(DAY);
    let now = house.now();
    let deleted = house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, Some("root")))
        .await
        .unwrap();
    assert_eq!(last_push(house).await, last, "also while no tag is there");
    let restored = house
        .write(move |tx| catalog::restore(tx, deleted.op, &RestoreWish::default(), now, KEEP, Some("root")))
        .await;
    assert!(matches!(restored, Restored::Done { .. }), "{restored:?}");
    assert_eq!(house.find("a", "latest").await, Some(digest("one")));
    assert_eq!(pushed(house, "latest").await, (at, ann));
    assert_eq!(last_push(house).await, last);
    let state = states(house).await.remove(0);
    assert_eq!(state.set_at, now, "rules count from when it came back");
});
