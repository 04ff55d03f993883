//! The store on a file system: `<root>/landfall/{uploads,blobs}`, owned by one process.
//!
//! `folder` opens it, `upload`, `flight`, `part` and `pool` take bytes in, `verified` and `publish` make them durable,
//! `blob` and `cached` give them out, `orphans` puts aside what nobody remembers, `reread` and `suspects` see to
//! bytes that changed, `survey` looks at what is there, `room` watches the disk. Nothing here blocks
//! an async thread: file operations run by
//! `spawn_blocking`, and none of them waits for another, so any number of blocking threads will do.
//! Order of a write (P-UPLOAD): write, rename into place (U5), sync the file (U6), sync its folder (U7); only then may
//! the caller commit the location to its catalog.

mod blob;
mod bring;
mod cached;
mod chain;
mod dir_sync;
mod flight;
mod folder;
mod forecast;
mod orphans;
mod part;
mod pool;
mod publish;
mod reread;
mod revival;
mod room;
mod sessions;
mod survey;
mod suspects;
mod upload;
mod verified;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::error::Error;
use crate::files::Files;
use crate::hash::Hasher;
use part::Part;

pub use blob::{BlobFile, BlobReader};
pub use bring::{Brought, Trust};
pub use forecast::{Forecast, existing};
pub use orphans::Shard;
pub use publish::{InFlight, Published};
pub use reread::{Reread, STEP as REREAD_STEP, Step, Verdict};
pub use revival::{Revival, Revived, unfinished_revival};
pub use room::Room;
pub use survey::{Seen, UploadFile};
pub use upload::{Checkpoint, Intake, Plan, Upload};
pub use verified::{Inlined, Verified};

/// How the store uses the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FsOptions {
    /// Take a network file system.
    pub allow_network: bool,
    /// Memory for all uploads together, in buffers of `buffer_bytes`.
    pub buffers: usize,
    /// The largest piece that is written at once.
    pub buffer_bytes: usize,
    /// Up to here an upload stays in memory until it is published or taken `into_inline`.
    pub inline_max: usize,
    /// Write large bodies past the page cache, where the disk allows.
    pub direct: bool,
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            allow_network: false,
            buffers: 32,
            buffer_bytes: 1024 * 1024,
            inline_max: 16 * 1024,
            direct: true,
        }
    }
}

/// One life of the page cache over our folder: it ends with a boot and with an unmount. What was written without a
/// sync is certain to be there only within one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).as_simple().fmt(f)
    }
}

/// What a start found in `uploads`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reconciled {
    /// Files of uploads that nobody knows: removed.
    pub removed: u64,
    /// Known uploads that have a file.
    pub found: HashSet<Uuid>,
}

/// The store. A clone is the same store.
#[derive(Clone, Debug)]
pub struct FsStore {
    inner: Arc<Inner>,
}

/// What all parts of the store share.
#[derive(Debug)]
struct Inner {
    files: Arc<dyn Files>,
    folder: PathBuf,
    uploads: PathBuf,
    blobs: PathBuf,
    boot_id: BootId,
    store_id: Uuid,
    incarnation: u64,
    pool: Arc<pool::Pool>,
    sessions: Arc<sessions::Sessions>,
    in_flight: Arc<publish::InFlightSet>,
    syncs: dir_sync::DirSyncs,
    shards: publish::Shards,
    open_blobs: blob::OpenBlobs,
    suspects: Arc<suspects::Suspects>,
    room: room::Gauge,
    /// Block size of direct writes; none if the disk or the options exclude them.
    direct_block: Option<u64>,
    direct_refused: AtomicBool,
    _owned: folder::Owned,
}

impl FsStore {
    /// Opens `<root>/landfall`, making what is missing, and owns it until the last clone is dropped. Blocks: call it at
    /// start.
    pub fn open(root: &Path, files: Arc<dyn Files>, options: FsOptions) -> Result<Self, Error> {
        folder::open(root, files, options).map(|inner| Self {
            inner: Arc::new(inner),
        })
    }

    /// The life of the page cache that we are in.
    #[must_use]
    pub fn boot_id(&self) -> BootId {
        self.inner.boot_id
    }

    /// `<root>/landfall`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The name that this store got when it was made.
    #[must_use]
    pub fn store_id(&self) -> Uuid {
        self.inner.store_id
    }

    /// Whether large bodies are written past the page cache.
    #[must_use]
    pub fn writes_directly(&self) -> bool {
        self.inner.direct_block().is_some()
    }

    /// U0: a new upload. Nothing is on disk until bytes need it.
    pub async fn begin(&self, id: Uuid, plan: Plan) -> Result<Upload, Error> {
        let seat = self.inner.sessions.enter(id).await?;
        let part = Part::new(Arc::clone(&self.inner), seat, plan.size_hint);
        Ok(Upload::new(
            Arc::clone(&self.inner),
            part,
            plan.algorithm,
            Hasher::new(plan.algorithm),
            0,
        ))
    }

    /// Goes on with an upload from its last checkpoint. What came after that is cut off. In another life of the page
    /// cache the bytes are read back, and must be those that the checkpoint saw. `UploadGone`: they are not.
    pub async fn resume(&self, id: Uuid, from: Checkpoint) -> Result<Upload, Error> {
        let seat = self.inner.sessions.enter(id).await?;
        let store = Arc::clone(&self.inner);
        blocking(move || {
            if from.offset == 0 {
                let part = Part::new(Arc::clone(&store), seat, None);
                part.remove()?;
                return Ok(Upload::new(
                    store,
                    part,
                    from.algorithm,
                    Hasher::new(from.algorithm),
                    0,
                ));
            }
            let part = Part::reopen(Arc::clone(&store), seat)?;
            let hasher = resumed_hasher(&store, &part, &from)?;
            Ok(Upload::new(store, part, from.algorithm, hasher, from.offset))
        })
        .await
    }

    /// Removes what an upload without an owner left behind; nothing there is fine.
    pub async fn discard_upload(&self, id: Uuid) -> Result<(), Error> {
        let seat = self.inner.sessions.enter(id).await?;
        let part = Part::new(Arc::clone(&self.inner), seat, None);
        blocking(move || part.remove()).await
    }

    /// At start: removes the files of uploads that are not in `known` (nor open by now), and says which are there.
    pub async fn reconcile_uploads(&self, known: HashSet<Uuid>) -> Result<Reconciled, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || store.reconcile(&known)).await
    }
}

/// The hasher of `from`, once the bytes in `part` are trusted and cut to it.
fn resumed_hasher(store: &Inner, part: &Part, from: &Checkpoint) -> Result<Hasher, Error> {
    let gone = || {
        part.remove()?;
        Err(Error::UploadGone { id: part.seat().id() })
    };
    let file = part.file()?;
    let size = file
        .size()
        .map_err(|error| Error::io("measure", part.path(), error))?;
    if size < from.offset {
        return gone();
    }
    file.truncate(from.offset)
        .map_err(|error| Error::io("cut", part.path(), error))?;
    if from.boot_id == store.boot_id
        && let Some(hasher) = Hasher::from_state(from.algorithm, &from.hash_state)
    {
        return Ok(hasher);
    }
    let mut hasher = Hasher::new(from.algorithm);
    flight::hash_file(part, from.offset, &mut hasher)?;
    if hasher.state() == from.hash_state {
        Ok(hasher)
    } else {
        gone()
    }
}

impl Inner {
    /// The block of direct writes, while they are possible.
    fn direct_block(&self) -> Option<u64> {
        self.direct_block
            .filter(|_| !self.direct_refused.load(Ordering::Relaxed))
    }

    /// From now on everything goes through the page cache.
    fn give_up_direct(&self, error: &io::Error) {
        if !self.direct_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(folder = %self.folder.display(), %error, "no direct writes here: using the page cache");
        }
    }

    fn reconcile(&self, known: &HashSet<Uuid>) -> Result<Reconciled, Error> {
        let mut reconciled = Reconciled::default();
        let list = |path: &Path| {
            self.files
                .list(path)
                .map_err(|error| Error::io("list", path, error))
        };
        for shard in list(&self.uploads)? {
            let shard = self.uploads.join(shard);
            for name in list(&shard)? {
                let path = shard.join(&name);
                let id = name.to_str().and_then(|name| name.strip_suffix(".part"));
                let Some(id) = id.and_then(|id| Uuid::try_parse(id).ok()) else {
                    tracing::warn!(path = %path.display(), "not a file of ours: left alone");
                    continue;
                };
                if known.contains(&id) {
                    reconciled.found.insert(id);
                } else if !self.sessions.contains(id) {
                    self.files
                        .unlink(&path)
                        .map_err(|error| Error::io("remove", &path, error))?;
                    reconciled.removed += 1;
                }
            }
        }
        Ok(reconciled)
    }
}

/// Runs `work` where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Stopping), // the runtime ends, or the worker panicked and said so
    }
}
