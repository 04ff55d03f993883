//! Where the bytes are: what deleting would free, held against a count by hand over random catalogs.
//!
//! Units: bytes. A world is made by the catalog's own operations and remembered as plain lists; its seed is in every failure.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{BlobSums, Freeable, Trashed};
use oci::Digest;

use crate::harness::{House, LEASE, UNDO, child, digest, edge, repo, story, tag};

/// What was pushed.
#[derive(Clone, Default)]
struct World {
    manifests: Vec<Pushed>,
    blobs: BTreeMap<(String, Digest), u64>,
}

#[derive(Clone)]
struct Pushed {
    repo: String,
    digest: Digest,
    blobs: Vec<Digest>,
    children: Vec<Digest>,
    subject: Option<Digest>,
    tags: BTreeSet<String>,
    trashed: bool,
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len() as u64);
        &all[usize::try_from(at).unwrap()]
    }
}

const REPOS: [&str; 3] = ["a", "b", "team/c"];

async fn grow(house: &House, dice: &mut Dice) -> World {
    let mut world = World::default();
    for step in 0..40 {
        let to = *dice.one_of(&REPOS);
        match dice.below(10) {
            0..2 => {
                world
                    .push_blob(house, to, &format!("loose {}", dice.below(12)))
                    .await;
            }
            8 => world.trash_one(house, dice, to).await,
            _ => world.push_one(house, dice, to, step).await,
        }
    }
    world
}

impl World {
    async fn push_blob(&mut self, house: &House, to: &str, content: &str) -> Digest {
        let blob = house.push_blob(to, content).await;
        self.blobs
            .insert((to.to_owned(), blob.clone()), content.len() as u64);
        blob
    }

    async fn push_one(&mut self, house: &House, dice: &mut Dice, to: &str, step: u64) {
        let mut new = house.manifest(to, &format!("manifest {step} {}", dice.0), &[]);
        let mut blobs = Vec::new();
        for ord in 0..dice.below(4) {
            let content = "x".repeat(1 << dice.below(8));
            let blob = self.push_blob(house, to, &content).await;
            new.blobs.push(edge(i32::try_from(ord).unwrap().into(), &blob));
            blobs.push(blob);
        }
        let live: Vec<Digest> = self.live_in(to).map(|one| one.digest.clone()).collect();
        let mut children = Vec::new();
        if !live.is_empty() && dice.below(3) == 0 {
            for ord in 0..=dice.below(2) {
                let one = dice.one_of(&live).clone();
                new.children
                    .push(child(i32::try_from(ord + 10).unwrap().into(), &one));
                children.push(one);
            }
        }
        let subject = (!live.is_empty() && dice.below(4) == 0).then(|| dice.one_of(&live).clone());
        new.subject = subject.clone();
        let mut tags = BTreeSet::new();
        for _ in 0..dice.below(3) {
            let name = format!("t{}", dice.below(6));
            new.tags.push(tag(&name));
            tags.insert(name);
        }
        new.tags.sort();
        new.tags.dedup();
        for other in &mut self.manifests {
            if other.repo == to {
                other.tags.retain(|name| !tags.contains(name));
            }
        }
        let digest = house.put_stored(new).await;
        self.manifests.push(Pushed {
            repo: to.to_owned(),
            digest,
            blobs,
            children,
            subject,
            tags,
            trashed: false,
        });
    }

    /// Whatever the catalog says goes, goes here too: that it says the right thing is held by other stories.
    async fn trash_one(&mut self, house: &House, dice: &mut Dice, from: &str) {
        let live: Vec<Digest> = self.live_in(from).map(|one| one.digest.clone()).collect();
        if live.is_empty() {
            return;
        }
        let wanted = dice.one_of(&live).clone();
        for gone in trash(house, from, &wanted).await {
            for one in &mut self.manifests {
                if one.repo == from && one.digest == gone {
                    one.trashed = true;
                    one.tags.clear();
                }
            }
        }
    }

    fn live_in<'a>(&'a self, repo: &'a str) -> impl Iterator<Item = &'a Pushed> {
        self.manifests
            .iter()
            .filter(move |one| one.repo == repo && !one.trashed)
    }

    /// By hand: blobs of the set, and those that nobody outside of it names.
    fn freeable(&self, set: &BTreeSet<(String, Digest)>) -> Freeable {
        let is_in = |one: &&Pushed| set.contains(&(one.repo.clone(), one.digest.clone()));
        let names = |one: &Pushed| one.blobs.clone();
        let inside: BTreeSet<Digest> = self.manifests.iter().filter(is_in).flat_map(names).collect();
        let outside: BTreeSet<Digest> = self
            .manifests
            .iter()
            .filter(|one| !is_in(one))
            .flat_map(names)
            .collect();
        let mut all = Freeable::default();
        for blob in inside {
            all.add(self.size(&blob), outside.contains(&blob));
        }
        all
    }

    fn size(&self, blob: &Digest) -> u64 {
        let found = self.blobs.iter().find(|((_, known), _)| known == blob);
        *found.unwrap().1
    }

    fn sums(&self, repo: &str) -> BlobSums {
        let mut sums = BlobSums::default();
        for ((of, blob), &size) in &self.blobs {
            if of != repo {
                continue;
            }
            let naming = |one: &&Pushed| one.blobs.contains(blob);
            let here: Vec<&Pushed> = self
                .manifests
                .iter()
                .filter(naming)
                .filter(|one| one.repo == repo)
                .collect();
            let elsewhere = self.manifests.iter().filter(naming).any(|one| one.repo != repo);
            if here.is_empty() {
                sums.pending += size;
                if !elsewhere {
                    sums.pending_alone += size;
                }
            } else if elsewhere {
                sums.shared += size;
            } else {
                sums.unique += size;
                if here.iter().all(|one| one.trashed) {
                    sums.trash += size;
                }
            }
        }
        sums
    }

    fn find(&self, repo: &str, digest: &Digest) -> &Pushed {
        let mut found = self
            .manifests
            .iter()
            .filter(|one| one.repo == repo && &one.digest == digest);
        found.next().unwrap()
    }

    /// By hand: what the image of a manifest is.
    fn whole(&self, repo: &str, root: &Digest) -> BTreeSet<(String, Digest)> {
        let mut all = BTreeSet::from([(repo.to_owned(), root.clone())]);
        loop {
            let before = all.len();
            for one in self.live_in(repo) {
                let listed =
                    |(_, parent): &(String, Digest)| self.find(repo, parent).children.contains(&one.digest);
                let refers = one
                    .subject
                    .iter()
                    .any(|subject| all.contains(&(repo.to_owned(), subject.clone())));
                if refers || all.iter().any(listed) {
                    all.insert((repo.to_owned(), one.digest.clone()));
                }
            }
            if all.len() == before {
                return all;
            }
        }
    }

    fn is_held(&self, repo: &str, one: &Pushed, by_tags: usize) -> bool {
        one.tags.len() > by_tags
            || self
                .live_in(repo)
                .any(|other| other.children.contains(&one.digest))
            || one
                .subject
                .iter()
                .any(|subject| self.live_in(repo).any(|other| &other.digest == subject))
    }
}

/// Deletes a manifest; all that went.
async fn trash(house: &House, from: &str, wanted: &Digest) -> Vec<Digest> {
    let (from, wanted, now) = (repo(from), wanted.clone(), house.now());
    match house
        .write(move |tx| catalog::trash_manifest(tx, &from, &wanted, now, UNDO, None))
        .await
    {
        Trashed::Done { manifests, .. } => manifests,
        Trashed::ListedBy(_) => Vec::new(),
        Trashed::Unknown => panic!("it was there"),
    }
}

async fn hold_against(house: &House, seed: u64) {
    let mut dice = Dice(seed);
    let world = grow(house, &mut dice).await;
    // No lease runs any more, so what is deleted takes all that hangs on it at once.
    house.pass(2 * LEASE + UNDO);
    for _ in 0..10 {
        let mut set = BTreeSet::new();
        for one in &world.manifests {
            if dice.below(3) == 0 {
                set.insert((one.repo.clone(), one.digest.clone()));
            }
        }
        let asked: Vec<_> = set
            .iter()
            .map(|(of, digest)| (repo(of), digest.clone()))
            .collect();
        let found = house.read(move |tx| catalog::freeable(tx, &asked)).await;
        assert_eq!(found, world.freeable(&set), "seed {seed}: {set:?}");
    }
    for name in REPOS {
        let of = repo(name);
        let sums = house.read(move |tx| catalog::sum_blobs(tx, &of, 0, 3)).await;
        let Some(mut sums) = sums else { continue };
        while let Some(last) = sums.last {
            let of = repo(name);
            let next = house.read(move |tx| catalog::sum_blobs(tx, &of, last, 3)).await;
            sums.add(&next.unwrap());
        }
        sums.pending_until = None;
        assert_eq!(sums, world.sums(name), "seed {seed}: {name}");
        tags_of(house, &world, name, seed).await;
    }
}

async fn tags_of(house: &House, world: &World, name: &str, seed: u64) {
    let of = repo(name);
    let tags = house
        .read(move |tx| catalog::space_of_tags(tx, &of, "", 100))
        .await
        .unwrap();
    let mut known: Vec<(&String, &Digest)> = world
        .live_in(name)
        .flat_map(|one| one.tags.iter().map(move |tag| (tag, &one.digest)))
        .collect();
    known.sort();
    let found: Vec<(String, Digest)> = tags
        .iter()
        .map(|one| (one.tag.to_string(), one.digest.clone()))
        .collect();
    assert!(
        found.iter().map(|(tag, digest)| (tag, digest)).eq(known),
        "seed {seed}: {found:?}"
    );
    for one in &tags {
        let image = world.whole(name, &one.digest);
        let by_hand = world.freeable(&image);
        assert_eq!(
            one.manifests,
            image.len() as u64,
            "seed {seed}: {name}:{}",
            one.tag
        );
        assert_eq!(
            (one.bytes, one.unique),
            (by_hand.bytes, by_hand.freed_bytes),
            "seed {seed}: {name}:{}",
            one.tag
        );
    }
    // What one of them would free is what really goes when it is deleted.
    let Some(one) = tags.get(usize::try_from(seed).unwrap() % tags.len().max(1)) else {
        return;
    };
    let would_free = if world.is_held(name, world.find(name, &one.digest), 1) {
        0
    } else {
        let gone = trash(house, name, &one.digest).await;
        let set = gone.into_iter().map(|digest| (name.to_owned(), digest)).collect();
        world.freeable(&set).freed_bytes
    };
    assert_eq!(
        one.would_free, would_free,
        "seed {seed}: {name}:{} {}",
        one.tag, one.digest
    );
}

story!(
    what_is_said_to_be_freed_is_what_nothing_else_names,
    async |house: &House| {
        hold_against(house, 1).await;
    }
);

/// More worlds on the engine that is quick to make.
#[tokio::test]
async fn many_random_catalogs_agree_with_a_count_by_hand() {
    for seed in 2..40 {
        let house = House::on_sqlite();
        hold_against(&house, seed).await;
        house.close().await;
    }
}

story!(what_is_not_there_frees_nothing, async |house: &House| {
    house.push_image("a", "layer", &["latest"]).await;
    let set = vec![(repo("a"), digest("nothing")), (repo("b"), digest("layer"))];
    let found = house.read(move |tx| catalog::freeable(tx, &set)).await;
    assert_eq!(found, Freeable::default());
    let sums = house.read(|tx| catalog::sum_blobs(tx, &repo("b"), 0, 10)).await;
    assert_eq!(sums, None);
    let tags = house
        .read(|tx| catalog::space_of_tags(tx, &repo("b"), "", 10))
        .await;
    assert_eq!(tags, None);
    let trash = house.read(|tx| catalog::trash_of(tx, &repo("b"))).await;
    assert_eq!((trash.manifests, trash.last_purge_at), (0, None));
});

story!(
    counters_are_listed_in_the_order_of_repositories,
    async |house: &House| {
        for name in ["a/b", "a-b", "c"] {
            house.push_image(name, "layer", &["latest", "1"]).await;
        }
        let all = house.read(|tx| catalog::list_usage(tx, "", 10)).await;
        let names: Vec<&str> = all.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["a/b", "a-b", "c"]);
        assert_eq!((all[0].bytes, all[0].manifests, all[0].tags), (5, 1, 2));
        let rest = house.read(|tx| catalog::list_usage(tx, "a/b", 1)).await;
        assert_eq!(&*rest[0].name, "a-b");
    }
);
