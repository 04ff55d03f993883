//! A registry in a folder of its own, that can be closed, or left as a crash leaves it, and opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use access::{Caller, Delete, Permit, Pull, Push};
use bytes::Bytes;
use catalog::{Catalog, SqliteOptions};
use oci::{Digest, Reference};
use registry::{Body, BodyCut, Chunk, Clock, Content, Error, ManifestPush, Precondition, Registry, Rules};
use sha2::{Digest as _, Sha256};
use store::testing::FaultyFiles;
use store::{FsOptions, FsStore, HostFiles};
use tempfile::TempDir;

/// Time that stands still until the test moves it.
#[derive(Default)]
pub(crate) struct StoppedClock {
    now: AtomicI64,
    boot: AtomicI64,
}

impl Clock for StoppedClock {
    fn now_ms(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn boot_ms(&self) -> i64 {
        self.boot.load(Ordering::SeqCst)
    }
}

impl StoppedClock {
    /// Time goes by.
    pub(crate) fn advance(&self, ms: i64) {
        self.boot.fetch_add(ms, Ordering::SeqCst);
        self.set(ms);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set(&self, by_ms: i64) {
        self.now.fetch_add(by_ms, Ordering::SeqCst);
    }
}

/// The folder, its clock and its disk; the registry in it comes and goes.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) clock: Arc<StoppedClock>,
    pub(crate) disk: FaultyFiles,
}

impl House {
    pub(crate) fn new() -> Self {
        let clock = StoppedClock::default();
        clock.set(1_800_000_000_000);
        let disk = FaultyFiles::new(Arc::new(HostFiles));
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(clock),
            disk,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn open(&self) -> Registry {
        self.open_with(Rules::default()).await
    }

    pub(crate) async fn open_with(&self, rules: Rules) -> Registry {
        self.open_beside(rules).await.0
    }

    /// A registry, and its catalog for a story that gets in its way.
    pub(crate) async fn open_beside(&self, rules: Rules) -> (Registry, Catalog) {
        let options = FsOptions {
            inline_max: usize::try_from(rules.inline_bytes_max).unwrap(),
            ..FsOptions::default()
        };
        let disk = Arc::new(self.disk.clone());
        let store = FsStore::open(self.path(), disk, options).unwrap();
        let catalog = Catalog::open_sqlite(
            &store.folder().join("catalog/landfall.db"),
            SqliteOptions::default(),
        )
        .unwrap();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let registry = Registry::open(store, catalog.clone(), clock, rules)
            .await
            .unwrap();
        (registry, catalog)
    }
}

/// A body that a test wrote.
pub(crate) struct Pieces(pub(crate) std::vec::IntoIter<Result<Bytes, BodyCut>>);

impl Body for Pieces {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        self.0.next()
    }
}

/// The bytes in pieces of 64 KiB.
pub(crate) fn body(bytes: &[u8]) -> Pieces {
    let pieces: Vec<_> = bytes
        .chunks(64 * 1024)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Pieces(pieces.into_iter())
}

/// The bytes, and then the client is gone.
pub(crate) fn cut_body(bytes: &[u8]) -> Pieces {
    Pieces(vec![Ok(Bytes::copy_from_slice(bytes)), Err(BodyCut)].into_iter())
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::Sha256(Sha256::digest(bytes).into())
}

/// Bytes that compress badly and repeat exactly.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn pull(repository: &str) -> Permit<Pull> {
    Caller::anybody().may(Pull, &repository.parse().unwrap()).unwrap()
}

pub(crate) fn push(repository: &str) -> Permit<Push> {
    Caller::anybody().may(Push, &repository.parse().unwrap()).unwrap()
}

pub(crate) fn delete(repository: &str) -> Permit<Delete> {
    Caller::anybody()
        .may(Delete, &repository.parse().unwrap())
        .unwrap()
}

/// An upload in two PATCHes and a PUT, as docker does it.
pub(crate) async fn push_in_parts(
    registry: &Registry,
    repository: &str,
    bytes: &[u8],
) -> Result<Digest, Error> {
    let permit = push(repository);
    let digest = digest_of(bytes);
    let session = registry.begin_upload(&permit, oci::Algorithm::Sha256).await?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    registry
        .append(&permit, session.id, Chunk::default(), body(first))
        .await?;
    registry
        .append(&permit, session.id, Chunk::default(), body(second))
        .await?;
    registry
        .finish_upload(&permit, session.id, digest.clone(), Chunk::default(), body(&[]))
        .await?;
    Ok(digest)
}

/// The document of an image with this config and these layers.
pub(crate) fn image(config: &Digest, layers: &[Digest]) -> Vec<u8> {
    let descriptor = |digest: &Digest| serde_json::json!({"mediaType": "application/octet-stream", "digest": digest.to_string(), "size": 1});
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(config),
        "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
    }))
    .unwrap()
}

pub(crate) async fn push_manifest(registry: &Registry, at: &str, document: Vec<u8>) -> Result<Digest, Error> {
    let (repository, reference) = at.split_once('@').or_else(|| at.split_once(':')).unwrap();
    let manifest = ManifestPush {
        reference: reference.parse::<Reference>().unwrap(),
        content_type: None,
        body: document.into(),
        tags: Vec::new(),
        precondition: Precondition::None,
    };
    Ok(registry.push_manifest(&push(repository), manifest).await?.digest)
}

/// Every byte of a blob, as a client would get it.
pub(crate) async fn read(registry: &Registry, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
    let blob = registry.open_blob(&pull(repository), digest).await?;
    Ok(match blob.content {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::File(file) => {
            let mut all = Vec::new();
            while (all.len() as u64) < blob.size {
                all.extend_from_slice(&file.read_at(all.len() as u64, 256 * 1024).await.unwrap());
            }
            all
        }
    })
}

/// Every file below a folder, which need not exist.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}
