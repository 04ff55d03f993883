//! What the trash says it frees is what goes: the same as `du` says before, and all of what `gc status` counts.

use catalog::{Removal, Retaining};

use crate::finality::{list, trash};
use crate::harness::{House, KEEP, LEASE, UNDO, edge, repo, story, tag};

async fn would_free(house: &House, name: &'static str) -> u64 {
    let space = house
        .read(|tx| catalog::space_of_tags(tx, &repo("a"), "", 10))
        .await;
    let space = space.unwrap().into_iter().find(|one| one.tag == tag(name));
    space.unwrap().would_free
}

/// What the collector says is in the trash: manifests, bytes.
async fn in_trash(house: &House) -> (u64, u64) {
    let now = house.now();
    let status = house.read(move |tx| catalog::gc_status(tx, now)).await;
    (status.trash.count, status.trash.bytes)
}

/// What the list of the trash adds up to.
async fn listed(house: &House) -> (u64, u64) {
    let all = list(house, None).await;
    let frees = all.iter().map(|entry| entry.frees.unwrap()).sum();
    (all.iter().map(|entry| entry.manifests).sum(), frees)
}

/// An image with one layer that refers to another one.
async fn referrer(house: &House, content: &str, subject: &oci::Digest) -> oci::Digest {
    let layer = house.push_blob("a", content).await;
    let new = catalog::NewManifest {
        subject: Some(subject.clone()),
        blobs: vec![edge(0, &layer)],
        ..house.manifest("a", &format!("manifest of {content}"), &[])
    };
    house.put_stored(new).await
}

story!(what_refers_to_a_leased_child_counts, async |house: &House| {
    let child = house.push_image("a", "the child's layer", &[]).await;
    let inventory = referrer(house, "what the child consists of", &child).await;
    referrer(house, "who says so", &inventory).await;
    let index = house
        .put_stored(house.index("a", "index", &["x"], &[&child]))
        .await;
    let before = would_free(house, "x").await;
    assert_eq!(before, 17 + 26 + 11);
    trash(house, &index, UNDO).await;
    assert_eq!(listed(house).await.1, before);
    // A week later all of it has followed.
    house.pass(KEEP - 1);
    assert_eq!(listed(house).await.1, before);
    house.pass(1);
    house.collect().await;
    house.pass(LEASE);
    house.collect().await;
    let usage = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Repository(repo("a"))))
        .await;
    assert_eq!((usage.manifests, usage.bytes), (0, 0));
});

story!(each_byte_in_the_trash_counts_once, async |house: &House| {
    let first = house.push_image("a", "shared", &["1"]).await;
    let mut second = house.manifest("a", "second", &["2"]);
    let own = house.push_blob("a", "its own").await;
    second.blobs = vec![edge(0, &crate::harness::digest("shared")), edge(1, &own)];
    let second = house.put_stored(second).await;
    trash(house, &first, UNDO).await;
    trash(house, &second, UNDO).await;
    let frees: Vec<_> = list(house, None).await.iter().map(|one| one.frees).collect();
    assert_eq!(
        frees,
        [Some(13), Some(0)],
        "the later delete frees what both have"
    );
    assert_eq!(listed(house).await, in_trash(house).await);
});

story!(what_followed_a_tag_counts, async |house: &House| {
    let image = house.push_image("a", "layer of a tag", &["x"]).await;
    referrer(house, "signature", &image).await;
    let (now, short) = (house.now(), LEASE);
    let removed = house
        .write(move |tx| {
            let turn = catalog::take_turn(tx, "retention", "story", now, now + LEASE)?.unwrap();
            let with = Retaining {
                repo: repo("a"),
                turn,
                now,
                keep_ms: short,
                undo_ms: 3 * UNDO,
                actor: None,
            };
            let (states, _) = catalog::tag_states(tx, &repo("a"), None, 10)?;
            let batch: Vec<_> = states
                .into_iter()
                .map(|one| Removal::Tag {
                    tag: one.tag,
                    event: one.event,
                    ranked_at: one.ranked_at,
                    pulled_at: one.pulled_at,
                    reason: "a rule".to_owned(),
                })
                .collect();
            catalog::retain(tx, &with, &batch)
        })
        .await;
    assert_eq!(removed.unwrap().tags, 1);
    assert_eq!(listed(house).await, (0, 23), "it goes when its lease ends");
    house.pass(KEEP);
    house.collect().await;
    assert_eq!(in_trash(house).await, (2, 23));
    assert_eq!(listed(house).await, (2, 23));
});
