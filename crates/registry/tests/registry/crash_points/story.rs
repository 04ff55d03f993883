//! What is done, one write path after the other, and what was promised at any moment of it.
//!
//! Shape: a step takes what it touches out of the facts, asks, and puts the answer in; so whoever looks meanwhile finds only
//! what is certain. The collector takes turns without pause beside all of it.
//! Units: milliseconds of a clock that only the story moves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use catalog::{Catalog, RestoreWish, Restored, SqliteOptions, Tx};
use oci::{Digest, Reference};
use registry::{Chunk, Clock, MountFrom, Registry, Rules};
use store::testing::FaultyFiles;
use store::{Files, FsOptions, FsStore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::facts::{Facts, Moment};
use crate::house::{
    StoppedClock, body, delete, digest_of, image, noise, pull, push, push_in_parts, push_manifest,
};

/// Where the store lies on its disk.
pub(super) const ROOT: &str = "/data";
/// Longer than every window.
pub(super) const ALL_WINDOWS: i64 = 1_000;

/// All steps, in their order.
pub(super) const STEPS: [&str; 14] = [
    "P-UPLOAD",
    "P-PUBLISH",
    "P-MOUNT",
    "P-PUT",
    "P-TAG",
    "P-UNTAG",
    "P-TRASH",
    "P-RESTORE",
    "repository deleted",
    "repository restored",
    "P-UNLINK",
    "P-PURGE",
    "P-ORPHAN",
    "P-REAP",
];

pub(super) fn rules() -> Rules {
    Rules {
        lease_ms: 100,
        undo_window_ms: 200,
        read_grace_ms: 50,
        orphan_hold_ms: 100,
        untagged_keep_ms: 0,
        gc_start_delay_ms: 0,
        upload_idle_ms: Some(500),
        ..Rules::default()
    }
}

pub(super) fn options() -> FsOptions {
    FsOptions {
        buffers: 4,
        buffer_bytes: 64 * 1024,
        ..FsOptions::default()
    }
}

pub(super) struct Story {
    registry: Registry,
    catalog: Catalog,
    files: FaultyFiles,
    moment: Moment,
}

/// An image of one large layer and a small config.
struct Image {
    layer: Digest,
    document: Vec<u8>,
    digest: Digest,
}

impl Story {
    pub(super) async fn open(files: &FaultyFiles, catalog: &Path) -> Self {
        let clock = Arc::new(StoppedClock::default());
        clock.set(1_800_000_000_000);
        let store = FsStore::open(Path::new(ROOT), Arc::new(files.clone()), options()).unwrap();
        let catalog = Catalog::open_sqlite(catalog, SqliteOptions { readers: 2 }).unwrap();
        let ticking: Arc<dyn Clock> = clock.clone();
        let registry = Registry::open(store, catalog.clone(), ticking, rules())
            .await
            .unwrap();
        let moment = Moment {
            facts: Arc::default(),
            step: Arc::new(Mutex::new("nothing")),
            clock,
        };
        Self {
            registry,
            catalog,
            files: files.clone(),
            moment,
        }
    }

    pub(super) fn moment(&self) -> Moment {
        self.moment.clone()
    }

    fn begin(&self, step: &'static str) {
        *self.moment.step.lock().unwrap() = step;
    }

    fn facts<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        change(&mut self.moment.facts.lock().unwrap())
    }

    /// All of it, beside a collector that never rests. `after` is called after each step.
    pub(super) async fn run(&self, after: impl Fn()) {
        let stop = CancellationToken::new();
        let collector = {
            let (registry, stop) = (self.registry.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    registry.gc_run().await.unwrap();
                    registry.scan_orphans().await.unwrap();
                    registry.reap(false).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            })
        };
        self.pushes(&after).await;
        self.deletes(&after).await;
        self.leftovers(&after).await;
        stop.cancel();
        collector.await.unwrap();
        self.registry.close().await;
    }

    async fn pushes(&self, after: &impl Fn()) {
        self.begin("P-UPLOAD");
        let (one, two) = (self.image(1), self.image(2));
        self.push_blobs("a", &one).await;
        after();
        self.begin("P-PUBLISH");
        // Again: the same bytes, of which the second copy loses.
        self.push_blobs("a", &one).await;
        self.push_blobs("a", &two).await;
        after();
        self.begin("P-PUT");
        self.put("a", "one", &one).await;
        self.put("a", "two", &two).await;
        after();
        self.begin("P-MOUNT");
        let from = pull("a");
        for blob in self.facts(|facts| facts.named[&one.digest].clone()) {
            let mounted = self
                .registry
                .mount_blob(&push("b"), MountFrom::Repository(&from), blob.clone())
                .await;
            assert!(mounted.unwrap());
            self.facts(|facts| facts.blobs.insert(("b".to_owned(), blob), true));
        }
        self.put("b", "one", &one).await;
        after();
        self.begin("P-TAG");
        self.put("a", "latest", &one).await;
        self.put("a", "latest", &two).await;
        after();
        self.begin("P-UNTAG");
        let tag = ("a".to_owned(), "latest".to_owned());
        self.facts(|facts| facts.tags.remove(&tag));
        let latest: Reference = "latest".parse().unwrap();
        self.registry
            .delete_manifest(&delete("a"), &latest)
            .await
            .unwrap();
        self.facts(|facts| facts.tags.insert(tag, None));
        after();
    }

    async fn deletes(&self, after: &impl Fn()) {
        let (one, two) = (self.image(1), self.image(2));
        self.begin("P-TRASH");
        self.trash("a", "one", &one).await;
        self.trash("a", "two", &two).await;
        after();
        self.begin("P-RESTORE");
        self.restore("a", "two", &two).await;
        after();
        self.whole_repository("b", "one", &one, after).await;
        self.begin("P-UNLINK");
        let loose = ("a".to_owned(), self.content(noise(9, 40_000)));
        push_in_parts(&self.registry, "a", &noise(9, 40_000))
            .await
            .unwrap();
        self.facts(|facts| facts.blobs.insert(loose.clone(), true));
        self.facts(|facts| facts.blobs.remove(&loose));
        self.registry.delete_blob(&delete("a"), &loose.1).await.unwrap();
        self.facts(|facts| facts.blobs.insert(loose, false));
        after();
        self.begin("P-PURGE");
        // P-REVIEW and P-SWEEP with it: each as soon as the window before it has ended.
        self.trash("a", "two", &two).await;
        // What no manifest names has had its time.
        self.facts(|facts| facts.blobs.retain(|(repository, _), _| repository != "a"));
        for _ in 0..4 {
            self.moment.clock.advance(250);
            self.registry.gc_run().await.unwrap();
            after();
        }
        let gone = self.registry.blob_size(&pull("a"), &two.layer).await;
        assert!(gone.is_err(), "the story has collected what it deleted");
    }

    /// Deletes a repository with its one image, and takes that back.
    async fn whole_repository(&self, name: &str, tag: &str, image: &Image, after: &impl Fn()) {
        let doubt = |facts: &mut Facts| {
            facts.manifests.retain(|(repository, _), _| repository != name);
            facts.tags.retain(|(repository, _), _| repository != name);
            facts.blobs.retain(|(repository, _), _| repository != name);
        };
        let settle = |facts: &mut Facts, is_there: bool| {
            let blobs = facts.named[&image.digest].clone();
            let here = |digest| (name.to_owned(), digest);
            facts
                .blobs
                .extend(blobs.into_iter().map(|blob| (here(blob), is_there)));
            facts.manifests.insert(here(image.digest.clone()), is_there);
            let leads_to = is_there.then(|| image.digest.clone());
            facts.tags.insert((name.to_owned(), tag.to_owned()), leads_to);
        };
        self.begin("repository deleted");
        self.facts(doubt);
        self.registry.delete_repository(&delete(name)).await.unwrap();
        self.facts(|facts| settle(facts, false));
        after();
        self.begin("repository restored");
        let op = self.registry.find_in_trash(&pull(name), None).await.unwrap();
        self.facts(doubt);
        let wish = RestoreWish::default();
        let restored = self.registry.restore(&push(name), op.unwrap(), wish, None).await;
        assert!(matches!(restored, Ok(Restored::Repository(_))), "{restored:?}");
        self.facts(|facts| settle(facts, true));
        after();
    }

    async fn leftovers(&self, after: &impl Fn()) {
        self.begin("P-ORPHAN");
        let digest = digest_of(&noise(5, 30_000));
        let folder = Path::new(ROOT)
            .join("landfall/blobs/sha256")
            .join(&digest.hex()[..3]);
        if self.files.list(&folder).is_err() {
            self.files.mkdir(&folder).unwrap();
        }
        let name = format!("{}.{}", digest.hex(), Uuid::now_v7().as_simple());
        let orphan = self.files.create_new(&folder.join(name)).unwrap();
        orphan.write_at(&noise(5, 10_000), 0).unwrap();
        for _ in 0..3 {
            self.registry.scan_orphans().await.unwrap();
            after();
            self.moment.clock.advance(100);
        }
        self.begin("P-REAP");
        let permit = push("a");
        let session = self
            .registry
            .begin_upload(&permit, oci::Algorithm::Sha256)
            .await
            .unwrap();
        self.facts(|facts| facts.upload = Some((session.id, 200_000)));
        self.registry
            .append(&permit, session.id, Chunk::default(), body(&noise(6, 200_000)))
            .await
            .unwrap();
        after();
        self.facts(|facts| facts.upload = None);
        self.moment.clock.advance(ALL_WINDOWS);
        self.registry.reap(false).await.unwrap();
        after();
    }

    fn content(&self, bytes: Vec<u8>) -> Digest {
        let digest = digest_of(&bytes);
        self.facts(|facts| facts.contents.insert(digest.clone(), bytes));
        digest
    }

    fn image(&self, seed: u64) -> Image {
        let layer = self.content(noise(seed, 150_000));
        let config = self.content(format!("{{\"n\":{seed}}}").into_bytes());
        let document = image(&config, std::slice::from_ref(&layer));
        let digest = digest_of(&document);
        self.facts(|facts| facts.named.insert(digest.clone(), vec![config, layer.clone()]));
        Image {
            layer,
            document,
            digest,
        }
    }

    async fn push_blobs(&self, repository: &str, image: &Image) {
        for blob in self.facts(|facts| facts.named[&image.digest].clone()) {
            let bytes = self.facts(|facts| facts.contents[&blob].clone());
            push_in_parts(&self.registry, repository, &bytes).await.unwrap();
            self.facts(|facts| facts.blobs.insert((repository.to_owned(), blob), true));
        }
    }

    async fn put(&self, repository: &str, tag: &str, image: &Image) {
        let manifest = (repository.to_owned(), image.digest.clone());
        let tagged = (repository.to_owned(), tag.to_owned());
        self.facts(|facts| facts.tags.remove(&tagged));
        push_manifest(
            &self.registry,
            &format!("{repository}:{tag}"),
            image.document.clone(),
        )
        .await
        .unwrap();
        self.facts(|facts| {
            facts.manifests.insert(manifest, true);
            facts.tags.insert(tagged, Some(image.digest.clone()));
        });
    }

    async fn trash(&self, repository: &str, tag: &str, image: &Image) {
        let manifest = (repository.to_owned(), image.digest.clone());
        let tagged = (repository.to_owned(), tag.to_owned());
        self.facts(|facts| {
            facts.manifests.remove(&manifest);
            facts.tags.remove(&tagged);
        });
        let reference = Reference::Digest(image.digest.clone());
        self.registry
            .delete_manifest(&delete(repository), &reference)
            .await
            .unwrap();
        self.facts(|facts| {
            facts.manifests.insert(manifest, false);
            facts.tags.insert(tagged, None);
        });
    }

    async fn restore(&self, repository: &str, tag: &str, image: &Image) {
        let manifest = (repository.to_owned(), image.digest.clone());
        let tagged = (repository.to_owned(), tag.to_owned());
        let kept = self.registry.why_kept(&image.digest).await.unwrap().manifests;
        let here = kept.iter().find(|kept| kept.repository.to_string() == repository);
        let op = here.and_then(|kept| kept.op).unwrap();
        self.facts(|facts| {
            facts.manifests.remove(&manifest);
            facts.tags.remove(&tagged);
        });
        let now = self.moment.clock.now_ms();
        let back = move |tx: &mut Tx<'_>| {
            catalog::restore(
                tx,
                op,
                &catalog::RestoreWish::default(),
                now,
                rules().lease_ms,
                None,
            )
        };
        let restored = self.catalog.write(back).await.unwrap();
        assert!(matches!(restored, Restored::Done { .. }), "{restored:?}");
        self.facts(|facts| {
            facts.manifests.insert(manifest, true);
            facts.tags.insert(tagged, Some(image.digest.clone()));
        });
    }
}
