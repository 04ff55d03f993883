//! Many clients at once, on the same few things: whoever wins, the rules hold.

use catalog::{Catalog, Error, MountSource, NewManifest};
use oci::Digest;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, child, digest, edge, repo, story, tag};

const CLIENTS: u64 = 8;
const STEPS: u64 = 60;
const REPOS: [&str; 2] = ["team/one", "team/two"];

/// A small generator, so that a run can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn image(n: u64) -> Digest {
    digest(&format!("image {n}"))
}

/// One of four images of two layers, or one of two indexes of two images.
fn document(house: &House, to: &str, n: u64, tags: &[&str]) -> NewManifest {
    let layer = |n: u64| digest(&format!("layer {}", n % 4));
    let mut new = house.manifest(to, &format!("image {n}"), tags);
    if n < 4 {
        new.blobs = vec![edge(0, &layer(n)), edge(1, &layer(n + 1))];
        new.subject = (n == 3).then(|| image(0));
    } else {
        new.children = vec![child(0, &image(n - 4)), child(1, &image(n - 3))];
    }
    new.keep_ms = 0;
    new
}

async fn client(catalog: Catalog, plan: Vec<Step>) {
    for step in plan {
        let done = catalog
            .write(move |tx| match &step {
                Step::Push(blob) => catalog::publish_blob(tx, blob).map(|_| ()),
                Step::Mount(into, layer, now) => {
                    catalog::mount_blob(tx, &MountSource::Any, &repo(into), layer, *now, LEASE).map(|_| ())
                }
                Step::Put(new) => catalog::put_manifest(tx, new).map(|_| ()),
                Step::Untag(from, name, now) => {
                    catalog::delete_tag(tx, &repo(from), &tag(name), *now, KEEP, UNDO, None).map(|_| ())
                }
                Step::Trash(from, manifest, now) => {
                    catalog::trash_manifest(tx, &repo(from), manifest, *now, UNDO, Some("bee")).map(|_| ())
                }
                Step::Unlink(from, layer, now) => {
                    catalog::unlink_blob(tx, &repo(from), layer, *now, UNDO, None).map(|_| ())
                }
                Step::Restore(op, now) => {
                    catalog::restore(tx, *op, &catalog::RestoreWish::default(), *now, KEEP, None).map(|_| ())
                }
                Step::Review(now) => catalog::review_manifests(tx, *now, UNDO, 5).map(|_| ()),
                Step::Purge(now) => catalog::purge(tx, *now, LEASE, 5).map(|_| ()),
                Step::DeleteRepo(name, now) => {
                    catalog::delete_repository(tx, &repo(name), *now, UNDO, None).map(|_| ())
                }
                Step::Rename(old, new, now) => {
                    catalog::rename_repository(tx, &repo(old), &repo(new), *now, None).map(|_| ())
                }
                Step::Rollback(moving) => catalog::move_tag(tx, moving).map(|_| ()),
                Step::Pulled(pulls) => catalog::record_pulls(tx, pulls),
                Step::Empty(now) => catalog::empty_trash(tx, None, *now, *now, None, 5).map(|_| ()),
                Step::PurgeRepositories(now) => catalog::purge_repositories(tx, *now, 5).map(|_| ()),
                Step::ReviewLinks(now) => catalog::review_links(tx, *now, 0, 5).map(|_| ()),
            })
            .await;
        // After four tries in a crowd this is an honest answer: the client tries again.
        assert!(matches!(done, Ok(()) | Err(Error::Conflict { .. })), "{done:?}");
    }
}

enum Step {
    Push(Box<catalog::NewBlob>),
    Mount(&'static str, Digest, i64),
    Put(Box<NewManifest>),
    Untag(&'static str, &'static str, i64),
    DeleteRepo(&'static str, i64),
    Rename(&'static str, &'static str, i64),
    Rollback(Box<catalog::TagMove>),
    Pulled(Vec<catalog::Pulls>),
    Empty(i64),
    PurgeRepositories(i64),
    Trash(&'static str, Digest, i64),
    Unlink(&'static str, Digest, i64),
    Restore(i64, i64),
    Review(i64),
    Purge(i64),
    ReviewLinks(i64),
}

fn plan(house: &House, seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let steps = (0..STEPS).map(|at| {
        let now = house.now() + i64::try_from(at).unwrap();
        let to = REPOS[usize::try_from(dice.roll(2)).unwrap()];
        let name = ["x", "y"][usize::try_from(dice.roll(2)).unwrap()];
        let n = dice.roll(4);
        // A collector whose clock is far ahead: what is safe must not hang on the time.
        let ahead = now + 60 * DAY;
        match dice.roll(23) {
            0..=2 => Step::Push(Box::new(house.blob(to, &format!("layer {n}")))),
            3 => Step::Mount(to, digest(&format!("layer {n}")), now),
            4..=6 => Step::Put(Box::new(document(house, to, dice.roll(6), &[name]))),
            7 => Step::Put(Box::new(document(house, to, dice.roll(6), &[]))),
            8 => Step::Untag(to, name, now),
            9 => Step::Trash(to, image(dice.roll(6)), now),
            10 => Step::Unlink(to, digest(&format!("layer {n}")), now),
            11 => Step::Restore(1 + i64::try_from(dice.roll(200)).unwrap(), now),
            12 | 13 => Step::Review(ahead),
            14 | 15 => Step::Purge(ahead),
            16 => Step::PurgeRepositories(ahead),
            17 if dice.roll(3) == 0 => Step::DeleteRepo(to, now),
            17 => Step::Rename(
                to,
                ["a", "b", "other/c"][usize::try_from(dice.roll(3)).unwrap()],
                now,
            ),
            18 => Step::Rollback(Box::new(catalog::TagMove {
                repo: repo(to),
                tag: tag(name),
                to: catalog::MoveTo::Before,
                actor: None,
                now,
                keep_ms: 0,
                dry_run: false,
            })),
            19 => Step::Pulled(vec![catalog::Pulls {
                repo: repo(to),
                digest: image(dice.roll(6)),
                tag: Some(name.to_owned()),
                count: 1,
                last_at: now,
            }]),
            20 => Step::Empty(now),
            _ => Step::ReviewLinks(ahead),
        }
    });
    steps.collect()
}

story!(
    a_crowd_of_clients_and_collectors_breaks_no_rule,
    async |house: &House| {
        for round in 0..2 {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|one| {
                    tokio::spawn(client(
                        house.catalog.clone(),
                        plan(house, round * CLIENTS + one + 1),
                    ))
                })
                .collect();
            for one in clients {
                one.await.unwrap();
            }
            let wrong = house.read(catalog::audit).await;
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
);

story!(
    a_child_is_not_lost_between_an_index_that_goes_and_one_that_comes,
    async |house: &House| {
        for round in 0..30 {
            let child = house.push_image("a", &format!("layer {round}"), &[]).await;
            let old = house
                .put_stored(house.index("a", &format!("old {round}"), &[], &[&child]))
                .await;
            house.pass(KEEP + 1);
            let (now, new) = (
                house.now(),
                house.index("a", &format!("new {round}"), &[], &[&child]),
            );
            let (index, was) = (new.digest.clone(), child.clone());
            let trash = house
                .catalog
                .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &old, now, UNDO, None));
            let put = house.catalog.write(move |tx| catalog::put_manifest(tx, &new));
            let (trashed, put) = tokio::join!(trash, put);
            trashed.unwrap();
            match put.unwrap() {
                catalog::PutManifest::Stored { .. } => {
                    assert!(house.find("a", &index.to_string()).await.is_some());
                    assert!(
                        house.find("a", &was.to_string()).await.is_some(),
                        "round {round}: the index lost its child"
                    );
                }
                catalog::PutManifest::Missing(missing) => assert_eq!(missing, [was]),
                catalog::PutManifest::PreconditionFailed => panic!("there was no condition"),
            }
        }
        assert!(house.read(catalog::audit).await.is_empty());
    }
);

story!(
    a_layer_is_not_lost_between_a_delete_and_a_push,
    async |house: &House| {
        for round in 0..30 {
            let layer = house.push_blob("a", &format!("layer {round}")).await;
            let mut new = house.manifest("a", &format!("image {round}"), &[]);
            new.blobs = vec![edge(0, &layer)];
            let (wanted, now) = (layer.clone(), house.now());
            let unlink = house
                .catalog
                .write(move |tx| catalog::unlink_blob(tx, &repo("a"), &wanted, now, UNDO, None));
            let put = house.catalog.write(move |tx| catalog::put_manifest(tx, &new));
            let (unlinked, put) = tokio::join!(unlink, put);
            match put.unwrap() {
                catalog::PutManifest::Stored { .. } => {
                    assert!(matches!(unlinked.unwrap(), catalog::Unlinked::Referenced { .. }));
                }
                put => {
                    assert_eq!(put, catalog::PutManifest::Missing(vec![layer]));
                    assert_eq!(unlinked.unwrap(), catalog::Unlinked::Hidden);
                }
            }
        }
        assert!(house.read(catalog::audit).await.is_empty());
    }
);
