//! Imports: what another registry held comes once, in its own order of time, and never over what happened here since.

use catalog::{AdoptedBlob, AdoptedManifest, AdoptedTag, BlobState, HeldTag, Place, TagOutcome, Trashed};
use oci::Digest;

use crate::harness::{DAY, GRACE, House, UNDO, digest, edge, repo, story, tag};

/// Longer than any lease of a push.
const SAFE: i64 = 30 * DAY;

impl House {
    async fn adopt_blob(&self, to: &'static str, content: &str, place: Option<Place>) -> Vec<Digest> {
        let blob = AdoptedBlob {
            digest: digest(content),
            size: content.len() as u64,
            place,
            verified: false,
        };
        let now = self.now();
        let adopt = move |tx: &mut catalog::Tx<'_>| {
            catalog::adopt_blobs(tx, &repo(to), std::slice::from_ref(&blob), now, SAFE, GRACE)
        };
        self.write(adopt).await
    }

    async fn state(&self, of: &'static str, content: &str) -> BlobState {
        let digest = digest(content);
        let states = move |tx: &mut catalog::Tx<'_>| {
            catalog::blob_states(tx, &repo(of), std::slice::from_ref(&digest))
        };
        self.read(states).await[0]
    }

    /// An adopted manifest that names a layer which need not be there.
    async fn adopt_manifest(&self, to: &str, body: &str, layer: &str, at: i64) -> AdoptedManifest {
        let mut new = self.manifest(to, body, &[]);
        new.blobs = vec![catalog::Edge {
            required: false,
            ..edge(0, &digest(layer))
        }];
        self.write(move |tx| catalog::adopt_manifest(tx, &new, at)).await
    }

    async fn adopt_tag(&self, current: (&str, i64), before: &[(&str, i64)], is_dated: bool) -> TagOutcome {
        let new = AdoptedTag {
            repo: repo("a"),
            tag: tag("latest"),
            current: (digest(current.0), current.1),
            before: before.iter().map(|(body, at)| (digest(body), *at)).collect(),
            is_dated,
        };
        self.write(move |tx| catalog::adopt_tag(tx, &new)).await
    }

    async fn history(&self) -> Vec<(i64, Option<Digest>, Option<Digest>)> {
        let events = self
            .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 10))
            .await;
        events
            .into_iter()
            .map(|event| (event.at, event.old, event.new))
            .collect()
    }
}

story!(
    an_import_is_taken_up_where_it_ended_and_once_it_is_done_a_new_one_begins,
    async |house: &House| {
        let begin = async || house.write(|tx| catalog::begin_import(tx, "/old", 5)).await;
        let first = begin().await;
        assert_eq!(first.cursor, None);
        let id = first.id;
        house
            .write(move |tx| catalog::advance_import(tx, id, "team/api"))
            .await;
        let again = begin().await;
        assert_eq!((again.id, again.cursor.as_deref()), (id, Some("team/api")));
        assert!(!house.read(|tx| catalog::is_imported(tx, "/old")).await);
        house
            .write(move |tx| catalog::finish_import(tx, id, "{}", 6))
            .await;
        assert!(house.read(|tx| catalog::is_imported(tx, "/old")).await);
        assert!(!house.read(|tx| catalog::is_imported(tx, "/other")).await);
        let next = begin().await;
        assert!(next.id > id && next.cursor.is_none(), "{next:?}");
    }
);

story!(
    blobs_are_brought_once_and_linked_wherever_they_were,
    async |house: &House| {
        assert_eq!(house.state("a", "layer").await, BlobState::Absent);
        let place = || Some(Place::File("sha256/abc/one".to_owned()));
        assert!(house.adopt_blob("a", "layer", place()).await.is_empty());
        assert_eq!(house.state("a", "layer").await, BlobState::Linked);
        assert_eq!(house.state("b", "layer").await, BlobState::Stored);
        assert!(house.adopt_blob("b", "layer", None).await.is_empty());
        assert!(house.serves("b", &digest("layer")).await);
        assert_eq!(house.adopt_blob("b", "nowhere", None).await, [digest("nowhere")]);
        // A crash between bytes and row makes the next run bring them again: what comes second is left to the sweeper.
        let second = Some(Place::File("sha256/abc/two".to_owned()));
        assert!(house.adopt_blob("a", "layer", second).await.is_empty());
        let now = house.now();
        let due = house.due(now).await;
        assert_eq!(due.len(), 1, "{due:?}");
    }
);

story!(
    a_manifest_comes_with_its_own_time_and_not_twice,
    async |house: &House| {
        house
            .adopt_blob("a", "layer", Some(Place::Inline(b"layer".to_vec())))
            .await;
        assert_eq!(
            house.adopt_manifest("a", "one", "layer", 77).await,
            AdoptedManifest::Added
        );
        assert_eq!(
            house.adopt_manifest("a", "one", "layer", 78).await,
            AdoptedManifest::Known
        );
        // One that names what is nowhere is served as it is.
        assert_eq!(
            house.adopt_manifest("a", "two", "gone", 77).await,
            AdoptedManifest::Added
        );
        assert_eq!(
            house.find("a", &digest("two").to_string()).await,
            Some(digest("two"))
        );
        let now = house.now();
        let trash = move |tx: &mut catalog::Tx<'_>| {
            catalog::trash_manifest(tx, &repo("a"), &digest("two"), now, UNDO, None)
        };
        assert!(matches!(house.write(trash).await, Trashed::Done { .. }));
        assert_eq!(
            house.adopt_manifest("a", "two", "gone", 77).await,
            AdoptedManifest::Deleted,
            "what was deleted here does not come back"
        );
        let held = house
            .read(|tx| catalog::held_manifests(tx, &repo("a"), 0, 10))
            .await;
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].body, b"one");
        let blobs = house.read(|tx| catalog::held_blobs(tx, &repo("a"), 0, 10)).await;
        assert_eq!(blobs[0].inline.as_deref(), Some(&b"layer"[..]));
        let unlink = move |tx: &mut catalog::Tx<'_>| {
            catalog::unlink_blob(tx, &repo("a"), &digest("layer"), now, UNDO, None)
        };
        assert!(
            matches!(house.write(unlink).await, catalog::Unlinked::Referenced { .. }),
            "the adopted manifest holds its layer"
        );
    }
);

story!(
    a_tag_brings_its_history_and_moves_only_with_the_source,
    async |house: &House| {
        for body in ["one", "two", "three"] {
            house.adopt_manifest("a", body, "gone", 1).await;
        }
        assert_eq!(
            house.adopt_tag(("two", 200), &[("one", 100)], true).await,
            TagOutcome::Set
        );
        assert_eq!(
            house.history().await,
            [
                (200, Some(digest("one")), Some(digest("two"))),
                (100, None, Some(digest("one")))
            ]
        );
        assert_eq!(
            house.adopt_tag(("two", 200), &[("one", 100)], true).await,
            TagOutcome::Same
        );
        assert_eq!(house.history().await.len(), 2);
        // The source moved it on.
        let before = [("one", 100), ("two", 200)];
        assert_eq!(
            house.adopt_tag(("three", 300), &before, true).await,
            TagOutcome::Set
        );
        assert_eq!(
            house.history().await[0],
            (300, Some(digest("two")), Some(digest("three")))
        );
        assert_eq!(house.history().await.len(), 3);
        // A push here is later than anything at the source.
        let pushed = house.push_image("a", "new", &["latest"]).await;
        assert_eq!(house.adopt_tag(("two", 400), &[], true).await, TagOutcome::Kept);
        assert_eq!(house.find("a", "latest").await, Some(pushed));
        assert_eq!(
            house.adopt_tag(("nothing", 500), &[], true).await,
            TagOutcome::NoManifest
        );
        let held = house.read(|tx| catalog::held_tags(tx, &repo("a"), "", 10)).await;
        assert_eq!(
            held.iter()
                .map(|held: &HeldTag| held.tag.to_string())
                .collect::<Vec<_>>(),
            ["latest"]
        );
    }
);

story!(
    a_tag_without_a_time_follows_its_source_until_somebody_here_moves_it,
    async |house: &House| {
        for body in ["one", "two", "three"] {
            house.adopt_manifest("a", body, "gone", 1).await;
        }
        let now = house.now();
        assert_eq!(house.adopt_tag(("one", now), &[], false).await, TagOutcome::Set);
        assert_eq!(
            house.adopt_tag(("two", now + 1), &[], false).await,
            TagOutcome::Set
        );
        house.pass(DAY);
        let pushed = house.push_image("a", "new", &["latest"]).await;
        house.pass(DAY);
        let later = house.now();
        assert_eq!(
            house.adopt_tag(("three", later), &[], false).await,
            TagOutcome::Kept
        );
        assert_eq!(house.find("a", "latest").await, Some(pushed));
    }
);
