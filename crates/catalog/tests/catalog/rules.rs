//! What operators forbid is held where it would be done: immutable tags stay, and no crowd passes a quota.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{
    Error, Guard, Limited, NewBlob, Policy, PolicyKind, Precondition, Quota, RestoreWish, Restored, Tx,
};

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, repo, story, tag};

/// Tags that begin with `v` are immutable everywhere but in `free`; quotas are by name.
#[derive(Default)]
struct Strict {
    quotas: BTreeMap<&'static str, Quota>,
}

impl Guard for Strict {
    fn has_immutable(&self) -> bool {
        true
    }

    fn immutable_by(&self, repository: &str, tag: &str) -> Option<String> {
        (repository != "free" && tag.starts_with('v')).then(|| "versions".to_owned())
    }

    fn has_quotas(&self) -> bool {
        !self.quotas.is_empty()
    }

    fn quotas_of(&self, repository: &str) -> Vec<Quota> {
        let about = |name: &str| repository == name || name.ends_with('/') && repository.starts_with(name);
        let quotas = self.quotas.iter().filter(|(name, _)| about(name));
        quotas.map(|(_, quota)| quota.clone()).collect()
    }
}

pub(crate) fn quota(name: &'static str, bytes: Option<i64>, tags: Option<i64>) -> (&'static str, Quota) {
    let quota = Quota {
        name: name.to_owned(),
        is_namespace: name.ends_with('/'),
        bytes,
        tags,
    };
    (name, quota)
}

pub(crate) fn limit(house: &House, quotas: impl IntoIterator<Item = (&'static str, Quota)>) {
    let quotas = quotas.into_iter().collect();
    house.catalog.set_guard(Arc::new(Strict { quotas }));
}

pub(crate) async fn refused<T: Send + 'static + std::fmt::Debug>(
    house: &House,
    operation: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
) -> Error {
    house.catalog.write(operation).await.unwrap_err()
}

async fn an_immutable_tag_is_neither_moved_nor_deleted(house: &House) {
    limit(house, []);
    let image = house.push_image("a", "one", &["v1", "latest"]).await;
    let other = house.manifest("a", "another", &["v1"]);
    let error = refused(house, move |tx| catalog::put_manifest(tx, &other)).await;
    assert!(
        matches!(&error, Error::Immutable { tag, rule, .. } if tag == "v1" && rule == "versions"),
        "{error:?}"
    );
    let now = house.now();
    let untag = move |tx: &mut Tx<'_>| catalog::delete_tag(tx, &repo("a"), &tag("v1"), now, KEEP, UNDO, None);
    assert!(matches!(refused(house, untag).await, Error::Immutable { .. }));
    let gone = image.clone();
    let trash = move |tx: &mut Tx<'_>| catalog::trash_manifest(tx, &repo("a"), &gone, now, UNDO, None);
    assert!(matches!(refused(house, trash).await, Error::Immutable { .. }));
    // The push that set it cannot be taken back either.
    let undone = house
        .write(move |tx| catalog::restore(tx, 1, &RestoreWish::default(), now, KEEP, None))
        .await;
    assert_eq!(undone, Restored::NotInTrash);
    assert_eq!(house.find("a", "v1").await, Some(image.clone()));
    assert_eq!(house.find("a", "latest").await, Some(image));
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(
    #[doc = "A release stays what it was."]
    immutable,
    an_immutable_tag_is_neither_moved_nor_deleted
);

async fn a_repository_with_immutable_tags_stays_where_they_are_immutable(house: &House) {
    limit(house, []);
    for tag in ["v1", "v2", "v3", "v4", "v5", "v6", "latest"] {
        house.push_image("a", tag, &[tag]).await;
    }
    house.push_image("b", "one", &["latest"]).await;
    let now = house.now();
    let delete = move |tx: &mut Tx<'_>| catalog::delete_repository(tx, &repo("a"), now, UNDO, None);
    let rename = move |new: &'static str| {
        move |tx: &mut Tx<'_>| catalog::rename_repository(tx, &repo("a"), &repo(new), now, None)
    };
    for error in [refused(house, delete).await, refused(house, rename("free")).await] {
        let text = error.to_string();
        assert!(
            text.starts_with(
                "6 immutable tags of a must stay as they are (v1, v2, v3, v4, v5, …; by rule versions)"
            ),
            "{text}"
        );
    }
    // Under this name they are as safe.
    house.write(rename("other")).await;
    assert!(house.find("other", "v1").await.is_some());
    let gone = house
        .write(move |tx| catalog::delete_repository(tx, &repo("b"), now, UNDO, None))
        .await;
    assert!(gone.is_some(), "no tag of it is immutable");
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(
    #[doc = "Neither does a release go with its repository."]
    repositories,
    a_repository_with_immutable_tags_stays_where_they_are_immutable
);

async fn the_same_image_and_other_tags_are_still_taken(house: &House) {
    limit(house, []);
    let image = house.push_image("a", "one", &["v1"]).await;
    assert_eq!(house.push_image("a", "one", &["v1", "latest"]).await, image);
    house.push_image("a", "two", &["latest"]).await;
    house.push_image("free", "one", &["v1"]).await;
    house.push_image("free", "two", &["v1"]).await;
    let mut new = house.manifest("a", "first of its tag", &["v2"]);
    new.precondition = Precondition::TagAbsent;
    house.put_stored(new).await;
}
story!(same, the_same_image_and_other_tags_are_still_taken);

async fn what_was_deleted_before_the_rule_comes_back(house: &House) {
    let image = house.push_image("a", "one", &["v1"]).await;
    let now = house.now();
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("v1"), now, KEEP, UNDO, None))
        .await;
    limit(house, []);
    let restored = house
        .write(move |tx| catalog::restore(tx, 2, &RestoreWish::default(), now, KEEP, None))
        .await;
    assert!(matches!(restored, Restored::Done { .. }), "{restored:?}");
    assert_eq!(house.find("a", "v1").await, Some(image));
}
story!(comes_back, what_was_deleted_before_the_rule_comes_back);

/// Blobs of ten bytes each.
fn ten_bytes(house: &House, to: &str, n: usize) -> NewBlob {
    house.blob(to, &format!("blob {n:05}"))
}

/// Many pushers at once: as many get in as fit, and no more.
async fn no_crowd_passes_a_quota_and_none_is_turned_away_below_it(house: &House) {
    limit(
        house,
        [
            quota("team/", Some(200), None),
            quota("team/b", Some(50), None),
            quota("c", None, Some(7)),
        ],
    );
    let mut pushers = Vec::new();
    for n in 0..60 {
        let to = if n % 3 == 0 { "team/b" } else { "team/a" };
        let (catalog, blob) = (house.catalog.clone(), ten_bytes(house, to, n));
        let pushed = async move {
            catalog
                .write(move |tx| catalog::publish_blob(tx, &blob))
                .await
                .map(drop)
        };
        pushers.push((to, tokio::spawn(pushed)));
    }
    let mut taken = BTreeMap::<&str, usize>::new();
    for (to, pusher) in pushers {
        match pusher.await.unwrap() {
            Ok(()) => *taken.entry(to).or_default() += 1,
            Err(Error::OverQuota(over)) => {
                assert!(over.used + over.wanted > over.limit, "{over:?}");
                assert_eq!(over.limited, Limited::Bytes);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(taken["team/b"], 5, "50 bytes");
    assert_eq!(taken.values().sum::<usize>(), 20, "200 bytes");
    let mut pushers = Vec::new();
    for n in 0..20 {
        let mut new = house.manifest("c", "one document", &[&format!("t{n}")]);
        new.now += n;
        let catalog = house.catalog.clone();
        pushers.push(tokio::spawn(async move {
            catalog.write(move |tx| catalog::put_manifest(tx, &new)).await
        }));
    }
    let mut tags = 0;
    for pusher in pushers {
        match pusher.await.unwrap() {
            Ok(_) => tags += 1,
            Err(Error::OverQuota(over)) => assert_eq!((over.used, over.limit, over.wanted), (7, 7, 1)),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(tags, 7);
    assert!(house.read(catalog::audit).await.is_empty());
}
story!(crowd, no_crowd_passes_a_quota_and_none_is_turned_away_below_it);

async fn what_is_there_costs_nothing_and_mounts_and_restores_count(house: &House) {
    limit(house, [quota("a", Some(20), Some(1))]);
    let first = house.push_blob("a", "0123456789").await;
    house.push_blob("a", "0123456789").await;
    house.push_blob("a", "9876543210").await;
    house.push_blob("b", "another blob").await;
    let now = house.now();
    let mount = move |tx: &mut Tx<'_>| {
        catalog::mount_blob(
            tx,
            &catalog::MountSource::Any,
            &repo("a"),
            &digest("another blob"),
            now,
            LEASE,
        )
    };
    assert!(matches!(refused(house, mount).await, Error::OverQuota(_)));
    assert!(house.serves("a", &first).await);
    house.put_stored(house.manifest("a", "one", &["x"])).await;
    house
        .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("x"), now, KEEP, UNDO, None))
        .await;
    house.put_stored(house.manifest("a", "two", &["y"])).await;
    // The tag that was deleted would be the second.
    let undo = move |tx: &mut Tx<'_>| catalog::restore(tx, 2, &RestoreWish::default(), now, KEEP, None);
    assert!(matches!(refused(house, undo).await, Error::OverQuota(_)));
    limit(house, [quota("a", Some(20), Some(2))]);
    house
        .write(move |tx| catalog::restore(tx, 2, &RestoreWish::default(), now, KEEP, None))
        .await;
    assert!(house.find("a", "x").await.is_some());
}
story!(counted, what_is_there_costs_nothing_and_mounts_and_restores_count);

async fn a_refusal_knows_what_is_biggest(house: &House) {
    house
        .push_image("team/a", "a large layer of an image", &["big", "pr-1", "pr-2"])
        .await;
    house.push_image("team/b", "small", &["x"]).await;
    let over = |is_namespace, limited| catalog::OverQuota {
        quota: "q".to_owned(),
        is_namespace,
        limited,
        used: 1,
        limit: 1,
        wanted: 1,
    };
    for (asked, expected) in [
        (over(true, Limited::Bytes), ("team/a", 25)),
        (over(true, Limited::Tags), ("team/a", 3)),
        (over(false, Limited::Bytes), ("a layer of big", 25)),
        (over(false, Limited::Tags), ("pr-*", 2)),
    ] {
        let biggest = house
            .read(move |tx| catalog::biggest(tx, &repo("team/a"), &asked))
            .await;
        assert_eq!(biggest[0], (expected.0.to_owned(), expected.1));
    }
}
story!(biggest, a_refusal_knows_what_is_biggest);

async fn rules_are_kept_by_kind_and_name(house: &House) {
    let policy = |kind, name: &str, body: &str| Policy {
        kind,
        name: name.to_owned(),
        body: body.to_owned(),
        set_at: 5,
        set_by: "bee".to_owned(),
    };
    for (kind, name, body, made) in [
        (PolicyKind::Retention, "b", "1", true),
        (PolicyKind::Retention, "a", "2", true),
        (PolicyKind::Quota, "a", "3", true),
        (PolicyKind::Retention, "b", "4", false),
    ] {
        let one = policy(kind, name, body);
        assert_eq!(house.write(move |tx| catalog::set_policy(tx, &one)).await, made);
    }
    let all = house.read(catalog::list_policies).await;
    let bodies: Vec<_> = all.iter().map(|one| one.body.as_str()).collect();
    assert_eq!(bodies, ["2", "4", "3"]);
    let remove = |tx: &mut Tx<'_>| catalog::remove_policy(tx, PolicyKind::Retention, "a");
    assert!(house.write(remove).await && !house.write(remove).await);
}
story!(kept, rules_are_kept_by_kind_and_name);

async fn a_turn_is_one_owners_until_it_ends(house: &House) {
    let take = |owner: &'static str, now| {
        house.write(move |tx| catalog::take_turn(tx, "retention", owner, now, now + DAY))
    };
    let first = take("one", 0).await.unwrap();
    assert_eq!(take("two", DAY - 1).await, None);
    assert_eq!(take("one", DAY - 1).await.unwrap().epoch, first.epoch, "renewed");
    let second = take("two", 2 * DAY).await.unwrap();
    assert!(second.epoch > first.epoch);
    // Who was asleep for long ends nothing that is not theirs.
    let late = first.clone();
    house.write(move |tx| catalog::end_turn(tx, &late)).await;
    assert_eq!(take("one", 2 * DAY).await, None);
    house.write(move |tx| catalog::end_turn(tx, &second)).await;
    assert!(take("one", 2 * DAY).await.is_some());
}
story!(turns, a_turn_is_one_owners_until_it_ends);
