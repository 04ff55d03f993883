//! What rules let go can be brought back, and nothing goes that is not as it was when the rules were asked.

use catalog::{Removal, Removed, RestoreWish, Restored, Retaining, Tx, WouldFree};
use oci::Digest;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, edge, repo, story, tag};

/// Lets go of these tags of `from`, if the turn is still `owner`'s.
async fn retain(
    house: &House,
    from: &'static str,
    names: &'static [&'static str],
    owner: &'static str,
) -> Option<Removed> {
    let now = house.now();
    house
        .write(move |tx| {
            let (states, _) = catalog::tag_states(tx, &repo(from), None, 100)?;
            let going: Vec<_> = states
                .into_iter()
                .filter(|state| names.contains(&&*state.tag))
                .collect();
            let batch: Vec<_> = going
                .into_iter()
                .map(|one| Removal::Tag {
                    tag: one.tag,
                    event: one.event,
                    ranked_at: one.ranked_at,
                    pulled_at: one.pulled_at,
                    reason: "rule old".to_owned(),
                })
                .collect();
            apply(tx, from, owner, now, &batch)
        })
        .await
}

fn apply(
    tx: &mut Tx<'_>,
    from: &str,
    owner: &str,
    now: i64,
    batch: &[Removal],
) -> Result<Option<Removed>, catalog::Error> {
    let turn = catalog::take_turn(tx, "retention", "us", now, now + DAY)?.unwrap();
    let with = Retaining {
        repo: repo(from),
        turn: catalog::Turn {
            owner: owner.to_owned(),
            ..turn
        },
        now,
        keep_ms: LEASE,
        undo_ms: UNDO,
        actor: None,
    };
    catalog::retain(tx, &with, batch)
}

async fn restore(house: &House, op: i64) -> Restored {
    let now = house.now();
    house
        .write(move |tx| catalog::restore(tx, op, &RestoreWish::default(), now, KEEP, None))
        .await
}

async fn a_manifest_follows_its_last_tag_when_the_lease_ends_and_comes_back_whole(house: &House) {
    let image = house.push_image("a", "one", &["x", "y"]).await;
    let child = house.push_image("a", "child", &[]).await;
    let index = house
        .put_stored(house.index("a", "index", &["z"], &[&child]))
        .await;
    let mut signature = house.manifest("a", "signature", &[]);
    signature.subject = Some(index.clone());
    let signature = house.put_stored(signature).await;
    house.pass(3 * DAY);
    let removed = retain(house, "a", &["x", "z"], "us").await.unwrap();
    assert_eq!(
        (removed.tags, removed.manifests, removed.untagged.len()),
        (2, 0, 1),
        "y still leads to the image"
    );
    let untagged = removed.untagged.clone();
    let counted = house
        .read(move |tx| {
            let mut going = WouldFree::default();
            going.lost_tags(untagged.clone());
            loop {
                if let Some(counted) = going.count(tx, 1)? {
                    return Ok(counted);
                }
            }
        })
        .await;
    assert_eq!(counted, 3, "what it lists and what signs it go with it");
    assert_eq!(house.find("a", "z").await, None);
    assert!(
        house.find("a", &index.to_string()).await.is_some(),
        "somebody may have been told that it is here"
    );
    house.pass(4 * DAY);
    house.collect().await;
    for gone in [&index, &child, &signature] {
        assert_eq!(house.find("a", &gone.to_string()).await, None);
    }
    assert!(house.find("a", &image.to_string()).await.is_some());
    for op in removed.ops {
        assert!(matches!(restore(house, op).await, Restored::Done { .. }));
    }
    for back in [&index, &child, &signature] {
        assert!(house.find("a", &back.to_string()).await.is_some());
    }
    assert_eq!(house.find("a", "z").await, Some(index));
    assert_eq!(house.find("a", "x").await, Some(image));
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(
    follows,
    a_manifest_follows_its_last_tag_when_the_lease_ends_and_comes_back_whole
);

async fn each_of_two_tags_of_one_image_can_be_brought_back_alone(house: &House) {
    let image = house.push_image("a", "one", &["x", "y"]).await;
    house.pass(3 * DAY);
    let removed = retain(house, "a", &["x", "y"], "us").await.unwrap();
    house.pass(4 * DAY);
    house.collect().await;
    assert_eq!(house.find("a", &image.to_string()).await, None);
    for (op, name) in removed.ops.iter().zip(["y", "x"]) {
        assert!(matches!(restore(house, *op).await, Restored::Done { .. }));
        assert_eq!(house.find("a", name).await, Some(image.clone()));
    }
}
story!(alone, each_of_two_tags_of_one_image_can_be_brought_back_alone);

async fn after_the_window_nothing_is_left_to_bring_back(house: &House) {
    house.push_image("a", "one", &["x"]).await;
    let removed = retain(house, "a", &["x"], "us").await.unwrap();
    for _ in 0..3 {
        house.pass(KEEP + UNDO);
        house.collect().await;
    }
    assert_eq!(restore(house, removed.ops[0]).await, Restored::Gone);
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(window, after_the_window_nothing_is_left_to_bring_back);

async fn what_changed_since_the_rules_were_asked_stays(house: &House) {
    let image = house.push_image("a", "one", &["x"]).await;
    let now = house.now();
    let (states, _) = house
        .read(move |tx| catalog::tag_states(tx, &repo("a"), None, 10))
        .await;
    let state = states.into_iter().next().unwrap();
    let removal = |event: i64, pulled_at: Option<i64>| Removal::Tag {
        tag: tag("x"),
        event,
        ranked_at: state.ranked_at,
        pulled_at,
        reason: String::new(),
    };
    for stale in [removal(state.event - 1, None), removal(state.event, Some(now))] {
        let removed = house
            .write(move |tx| apply(tx, "a", "us", now, std::slice::from_ref(&stale)))
            .await
            .unwrap();
        assert_eq!((removed.tags, removed.changed), (0, 1));
    }
    assert_eq!(retain(house, "a", &["x"], "somebody who slept").await, None);
    assert_eq!(house.find("a", "x").await, Some(image));
}
story!(changed, what_changed_since_the_rules_were_asked_stays);

async fn what_nothing_holds_is_found_and_what_something_holds_is_not(house: &House) {
    let loose = house.push_image("a", "loose", &[]).await;
    let child = house.push_image("a", "child", &[]).await;
    house
        .put_stored(house.index("a", "index", &["z"], &[&child]))
        .await;
    let mut signature = house.manifest("a", "signature", &[]);
    signature.subject = Some(child.clone());
    house.put_stored(signature).await;
    let found = |until| house.read(move |tx| catalog::list_loose(tx, &repo("a"), until, None, 10));
    assert!(found(house.now()).await.manifests.is_empty(), "its lease runs");
    house.pass(KEEP);
    let before = found(house.now()).await.manifests;
    house.collect().await;
    assert_eq!(
        before,
        found(house.now()).await.manifests,
        "the collector's look changes nothing"
    );
    let page = found(i64::MAX).await;
    let digests: Vec<_> = page.manifests.iter().map(|one| one.digest.clone()).collect();
    assert_eq!(digests, std::slice::from_ref(&loose));
    // A pusher who is told that it is here may count on it.
    let (now, wanted) = (house.now(), loose.clone());
    let renew = move |tx: &mut Tx<'_>| {
        let reference = oci::Reference::Digest(wanted.clone());
        let record = catalog::stat_manifest(tx, &repo("a"), &reference, now, KEEP)?.unwrap();
        assert!(record.renew);
        catalog::touch_manifest(tx, &repo("a"), &wanted, now, KEEP)
    };
    assert!(house.write(renew).await);
    assert!(found(now).await.manifests.is_empty());
    let stale = page.manifests[0].loose_at;
    let removal = Removal::Untagged {
        digest: loose.clone(),
        loose_at: stale,
        reason: String::new(),
    };
    let removed = house
        .write(move |tx| apply(tx, "a", "us", now, std::slice::from_ref(&removal)))
        .await
        .unwrap();
    assert_eq!(removed.changed, 1);
    assert!(house.find("a", &loose.to_string()).await.is_some());
}
story!(loose, what_nothing_holds_is_found_and_what_something_holds_is_not);

async fn tags_come_newest_first_page_by_page(house: &House) {
    for name in ["c", "a", "b"] {
        house.push_image("a", name, &[name]).await;
        house.pass(1000);
    }
    let image = house.find("a", "a").await.unwrap();
    let signature = format!("sha256-{}.sig", image.to_string().trim_start_matches("sha256:"));
    house
        .put_stored(house.manifest("a", "a signature of old", &[&signature]))
        .await;
    let (mut after, mut names, mut describes) = (None, Vec::new(), Vec::new());
    loop {
        let from = after.clone();
        let (page, more) = house
            .read(move |tx| catalog::tag_states(tx, &repo("a"), from.as_ref(), 2))
            .await;
        let last = page.last().unwrap();
        after = Some(catalog::TagsAfter {
            ranked_at: last.ranked_at,
            event: last.event,
        });
        describes.extend(page.iter().filter_map(|state| state.describes.clone()));
        names.extend(page.into_iter().map(|state| state.tag.to_string()));
        if !more {
            break;
        }
    }
    assert_eq!(names, [signature.as_str(), "b", "a", "c"]);
    assert_eq!(describes, [image]);
}
story!(newest, tags_come_newest_first_page_by_page);

/// Bytes and manifests that would be freed, if these tags of `a` went.
async fn freed(house: &House, names: &'static [&'static str]) -> (u64, u64) {
    house
        .read(move |tx| {
            let (mut freeing, mut freed) = (WouldFree::default(), catalog::Freed::default());
            for name in names {
                freeing.tag(tx, &repo("a"), &tag(name))?;
            }
            while freeing.step(tx, 1)? {}
            while freeing.sum(tx, &mut freed, 1)? {}
            Ok((freed.manifests, freed.bytes))
        })
        .await
}

async fn what_would_be_freed_is_what_nothing_else_needs(house: &House) {
    house.push_image("a", "0123456789", &["x", "y"]).await;
    house.push_image("a", "shared with b", &["z"]).await;
    house.push_image("b", "shared with b", &["z"]).await;
    let layer = |content: &str| digest(content);
    let mut both = house.manifest("a", "both", &["both"]);
    house.push_blob("a", "only here").await;
    both.blobs = vec![edge(0, &layer("0123456789")), edge(1, &layer("only here"))];
    let both: Digest = house.put_stored(both).await;
    house
        .put_stored(house.index("a", "index", &["index"], &[&both]))
        .await;
    assert_eq!(freed(house, &["x"]).await, (0, 0), "y leads to it");
    assert_eq!(freed(house, &["x", "y"]).await, (1, 0), "both has its layer");
    assert_eq!(freed(house, &["z"]).await, (1, 0), "b has it");
    assert_eq!(freed(house, &["both"]).await, (0, 0), "the index lists it");
    assert_eq!(freed(house, &["index", "both"]).await, (2, 9));
    assert_eq!(freed(house, &["both", "x", "index", "y"]).await, (3, 19));
    let before = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
        .await;
    retain(house, "a", &["index", "both"], "us").await.unwrap();
    for _ in 0..4 {
        house.pass(KEEP + UNDO + LEASE);
        house.collect().await;
    }
    let after = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
        .await;
    assert_eq!(before.bytes - after.bytes, 9, "as was said before");
}
story!(would_be_freed, what_would_be_freed_is_what_nothing_else_needs);
