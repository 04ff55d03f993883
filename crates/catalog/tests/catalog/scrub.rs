//! Damage and scrub as the catalog keeps them: whose turn it is, what is damaged and who needs it, and what heals it.

use catalog::{DamageCause, Damaged, Health, Kept, Owner, Place, Published, Tx, Walk};
use oci::Digest;

use crate::harness::{DAY, GRACE, House, LEASE, UNDO, digest, edge, repo, story};

impl House {
    async fn mark_bad(
        &self,
        content: &'static str,
        location: Option<&'static str>,
        cause: DamageCause,
    ) -> bool {
        let now = self.now();
        self.write(move |tx| catalog::mark_bad(tx, &digest(content), location, cause, now))
            .await
    }

    async fn damages(&self) -> Vec<Damaged> {
        self.read(|tx| catalog::list_damages(tx, 0, 100)).await
    }

    async fn due_for_scrub(&self, before: i64) -> Vec<String> {
        let due = move |tx: &mut Tx<'_>| catalog::due_for_scrub(tx, before, (i64::MIN, i64::MIN), 100);
        let due = self.read(due).await;
        due.into_iter().map(|one| one.location).collect()
    }

    async fn owner(&self, location: &'static str) -> Owner {
        self.read(move |tx| catalog::owners(tx, &[location.to_owned()]))
            .await[0]
    }
}

/// Content of this length exactly is small.
fn is_right(digest_of: &Digest, bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| digest(text) == *digest_of)
}

story!(
    the_file_that_was_read_longest_ago_is_next_and_a_suspect_before_all,
    async |house: &House| {
        for (content, location) in [("one", "here/1"), ("two", "here/2"), ("three", "here/3")] {
            house.push_file("a", content, location).await;
            house.pass(1);
        }
        house.push_blob("a", "small").await;
        assert_eq!(
            house.due_for_scrub(i64::MAX).await,
            ["here/1", "here/2", "here/3"]
        );
        assert_eq!(house.due_for_scrub(house.now() - 2).await, ["here/1"]);
        assert!(house.write(|tx| catalog::suspect(tx, "here/3")).await);
        assert!(!house.write(|tx| catalog::suspect(tx, "nowhere")).await);
        assert_eq!(house.read(catalog::count_suspects).await, 1);
        assert_eq!(
            house.due_for_scrub(i64::MAX).await,
            ["here/3", "here/1", "here/2"]
        );
        assert_eq!(house.due_for_scrub(0).await, ["here/3"]);
        let now = house.now() + DAY;
        house
            .write(move |tx| {
                let due = catalog::due_for_scrub(tx, i64::MAX, (i64::MIN, i64::MIN), 2)?;
                catalog::mark_good(tx, &due, now)
            })
            .await;
        assert_eq!(house.read(catalog::count_suspects).await, 0);
        assert_eq!(house.due_for_scrub(now).await, ["here/2"]);
        let oldest = house.read(catalog::oldest_verified).await.unwrap();
        assert!(oldest < now);
        // One after the other, from where the last step ended.
        let page = house
            .read(move |tx| {
                let first = catalog::due_for_scrub(tx, i64::MAX, (i64::MIN, i64::MIN), 1)?.remove(0);
                catalog::due_for_scrub(tx, i64::MAX, (first.verified_at, first.id), 10)
            })
            .await;
        assert_eq!(page.len(), 2);
    }
);

story!(
    damage_is_listed_with_who_needs_it_until_it_is_healed,
    async |house: &House| {
        house.push_file("team/app", "layer", "here/1").await;
        let mut image = house.manifest("team/app", "image", &["latest"]);
        image.blobs = vec![edge(0, &digest("layer"))];
        let image = house.put_stored(image).await;
        house
            .put_stored(house.index("team/app", "index", &["all"], &[&image]))
            .await;
        let mut gone = house.manifest("team/app", "deleted", &["old"]);
        gone.blobs = vec![edge(0, &digest("layer"))];
        let gone = house.put_stored(gone).await;
        let now = house.now();
        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("team/app"), &gone, now, UNDO, None))
            .await;
        assert!(
            house
                .mark_bad("layer", Some("here/1"), DamageCause::Changed)
                .await
        );
        assert!(
            !house
                .mark_bad("layer", Some("here/1"), DamageCause::Missing)
                .await,
            "it is known"
        );
        assert!(
            !house
                .mark_bad("layer", Some("here/9"), DamageCause::Missing)
                .await,
            "it is not there"
        );
        let damages = house.damages().await;
        assert_eq!(damages.len(), 1);
        let known = (
            damages[0].cause,
            damages[0].location.as_deref(),
            damages[0].is_manifest,
        );
        assert_eq!(known, (DamageCause::Changed, Some("here/1"), false));
        assert_eq!(house.owner("here/1").await, Owner::Blob(Health::Bad));
        let needs = house.read(|tx| catalog::who_needs(tx, &digest("layer"))).await;
        assert_eq!(needs.len(), 1, "what is in the trash needs nothing");
        let tags: Vec<_> = needs[0].tags.iter().map(ToString::to_string).collect();
        assert_eq!(
            (&needs[0].manifest, tags),
            (&image, vec!["latest".to_owned(), "all".to_owned()])
        );
        // It is not read back again, and no second damage.
        assert!(house.due_for_scrub(i64::MAX).await.is_empty());
        assert_eq!(
            house.push_file("other", "layer", "here/2").await,
            Published::Repaired
        );
        assert!(house.damages().await.is_empty());
        assert_eq!(house.owner("here/1").await, Owner::Tombstone);
        assert_eq!(house.owner("here/2").await, Owner::Blob(Health::Good));
        assert_eq!(house.owner("here/3").await, Owner::Nobody);
        assert_eq!(house.read(catalog::audit).await, Vec::<String>::new());
    }
);

story!(a_suspect_is_replaced_by_the_next_push, async |house: &House| {
    house.push_file("a", "layer", "here/1").await;
    house.write(|tx| catalog::suspect(tx, "here/1")).await;
    assert_eq!(house.push_file("a", "layer", "here/2").await, Published::Repaired);
    assert_eq!(house.read(catalog::count_suspects).await, 0);
    // The same bytes at the same place are not buried by themselves.
    house.write(|tx| catalog::suspect(tx, "here/2")).await;
    assert_eq!(house.push_file("a", "layer", "here/2").await, Published::Repaired);
    assert_eq!(house.owner("here/2").await, Owner::Blob(Health::Good));
    assert_eq!(house.due(i64::MAX).await, ["here/1"]);
});

story!(
    a_source_heals_what_is_damaged_and_nothing_else,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        house.push_blob("a", "small").await;
        let now = house.now();
        let heal = async |content: &'static str, place: Place| {
            let heal = move |tx: &mut Tx<'_>| catalog::heal_blob(tx, &digest(content), &place, now, GRACE);
            house.write(heal).await
        };
        let file = |location: &str| Place::File(location.to_owned());
        assert!(!heal("layer", file("here/2")).await, "nothing is wrong with it");
        assert!(!heal("unknown", file("here/2")).await);
        house
            .mark_bad("layer", Some("here/1"), DamageCause::Missing)
            .await;
        house.mark_bad("small", None, DamageCause::Changed).await;
        assert_eq!(house.damages().await.len(), 2);
        assert!(heal("layer", file("here/2")).await);
        assert!(heal("small", Place::Inline(b"small".to_vec())).await);
        assert!(house.damages().await.is_empty());
        assert_eq!(house.due(now + GRACE).await, ["here/1"]);
        assert_eq!(house.read(catalog::audit).await, Vec::<String>::new());
    }
);

story!(
    a_damaged_manifest_is_known_and_the_next_push_heals_it,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let now = house.now();
        let mark = {
            let image = image.clone();
            move |tx: &mut Tx<'_>| catalog::mark_manifest_bad(tx, &image, now)
        };
        assert!(house.write(mark.clone()).await);
        assert!(!house.write(mark).await, "it is known");
        let stat = async || {
            let stat = move |tx: &mut Tx<'_>| {
                catalog::stat_manifest(tx, &repo("a"), &"latest".parse().unwrap(), now, LEASE)
            };
            house.read(stat).await.unwrap().is_damaged
        };
        assert!(stat().await);
        let needs = {
            let image = image.clone();
            house.read(move |tx| catalog::who_needs(tx, &image)).await
        };
        assert_eq!(needs[0].tags.len(), 1);
        house.push_image("a", "layer", &["latest"]).await;
        assert!(!stat().await);
        assert!(house.damages().await.is_empty());
    }
);

story!(what_is_collected_takes_its_damage_along, async |house: &House| {
    let image = house.push_image("a", "layer", &[]).await;
    let now = house.now();
    let marked = image.clone();
    house
        .write(move |tx| catalog::mark_manifest_bad(tx, &marked, now))
        .await;
    house.mark_bad("layer", None, DamageCause::Changed).await;
    house
        .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &image, now, UNDO, None))
        .await;
    house.pass(UNDO + 3 * LEASE);
    house.collect().await;
    house.pass(2 * LEASE);
    house.collect().await;
    assert!(house.damages().await.is_empty());
    assert_eq!(house.read(catalog::audit).await, Vec::<String>::new());
});

story!(
    what_lies_in_the_catalog_is_walked_through_in_steps,
    async |house: &House| {
        for content in ["one", "two", "three"] {
            house.push_image("a", content, &[content]).await;
        }
        let mut wrong = house.blob("a", "right");
        wrong.place = Place::Inline(b"wrong".to_vec());
        house.write(move |tx| catalog::publish_blob(tx, &wrong)).await;
        for (what, count, bad) in [
            (Kept::Blobs, 4, vec![digest("right")]),
            (Kept::Manifests, 3, vec![]),
        ] {
            let (mut after, mut seen, mut found) = (0, 0, Vec::new());
            loop {
                let sifted = house
                    .read(move |tx| catalog::sift(tx, what, after, 2, is_right))
                    .await;
                seen += sifted.count;
                found.extend(sifted.wrong);
                match sifted.last {
                    Some(last) => after = last,
                    None => break,
                }
            }
            assert_eq!((seen, found), (count, bad));
            assert_eq!(
                house.read(move |tx| catalog::find_walk(tx, what)).await,
                Walk::default()
            );
            let walk = Walk { after, ended_at: 77 };
            house.write(move |tx| catalog::save_walk(tx, what, walk)).await;
            house.write(move |tx| catalog::save_walk(tx, what, walk)).await;
            assert_eq!(house.read(move |tx| catalog::find_walk(tx, what)).await, walk);
        }
    }
);

story!(a_pause_of_the_scrub_ends_by_itself, async |house: &House| {
    let now = house.now();
    house
        .write(move |tx| catalog::pause_scrub(tx, "bee", now + DAY))
        .await;
    let pause = async |now| house.read(move |tx| catalog::scrub_pause(tx, now)).await;
    assert_eq!(pause(now).await, Some(("bee".to_owned(), now + DAY)));
    assert_eq!(pause(now + DAY).await, None);
    assert!(house.write(move |tx| catalog::resume_scrub(tx, now)).await);
    assert!(!house.write(move |tx| catalog::resume_scrub(tx, now)).await);
    assert_eq!(pause(now).await, None);
});
