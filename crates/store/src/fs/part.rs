//! The file of an upload: `uploads/<2 hex>/<uid>.part`, made with the first bytes that need it.
//!
//! Large writes go past the page cache where the disk allows: the blocks in the middle of a piece directly, what sticks
//! out at both ends through the cache, one after the other, so that no block is written both ways at once. A part that
//! nobody can come back to removes its file when the last of its writers is done.
//! Blocks: every method but `keep` is for blocking threads. Fails: `NoRoom`, `Io`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::io::Errno;
use uuid::Uuid;

use super::Inner;
use super::sessions::Seat;
use crate::error::Error;
use crate::files::{Access, File, Reserve};

/// The least that is worth going past the page cache: below, one larger write-back later is cheaper.
const DIRECT_MIN: usize = 1024 * 1024;
/// The least file for which space is set aside at once.
const RESERVE_MIN: u64 = 1024 * 1024;

/// See the file.
#[derive(Debug)]
pub(super) struct Part {
    store: Arc<Inner>,
    path: PathBuf,
    /// What the file will probably hold in the end.
    size_hint: Option<u64>,
    cached: OnceLock<Arc<dyn File>>,
    direct: OnceLock<Option<Arc<dyn File>>>,
    /// One opener at a time.
    opening: Mutex<()>,
    /// Space was set aside beyond the bytes.
    reserved: AtomicBool,
    /// The file outlives us.
    kept: AtomicBool,
    seat: Arc<Seat>,
}

/// Where the file of upload `id` lies.
pub(super) fn path_of(store: &Inner, id: Uuid) -> PathBuf {
    let name = id.as_simple().to_string();
    store.uploads.join(&name[..2]).join(format!("{name}.part"))
}

impl Part {
    /// A part without a file yet.
    pub(super) fn new(store: Arc<Inner>, seat: Seat, size_hint: Option<u64>) -> Self {
        let path = path_of(&store, seat.id());
        Self {
            store,
            path,
            size_hint,
            cached: OnceLock::new(),
            direct: OnceLock::new(),
            opening: Mutex::new(()),
            reserved: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            seat: Arc::new(seat),
        }
    }

    /// The part whose file is there already.
    pub(super) fn reopen(store: Arc<Inner>, seat: Seat) -> Result<Self, Error> {
        let part = Self::new(store, seat, None);
        part.keep(true);
        let file = match part.store.files.open(&part.path, Access::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::UploadGone { id: part.seat.id() });
            }
            Err(error) => return Err(Error::io("open", &part.path, error)),
        };
        let _ = part.cached.set(file);
        Ok(part)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(super) fn has_file(&self) -> bool {
        self.cached.get().is_some()
    }

    /// Whether the file outlives this part.
    pub(super) fn keep(&self, kept: bool) {
        self.kept.store(kept, Ordering::Release);
    }

    /// The file, made if there is none.
    pub(super) fn file(&self) -> Result<&Arc<dyn File>, Error> {
        if let Some(file) = self.cached.get() {
            return Ok(file);
        }
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.cached.get() {
            return Ok(file);
        }
        let file = self
            .create()
            .map_err(|error| Error::io("create", &self.path, error))?;
        self.set_space_aside(&*file);
        Ok(self.cached.get_or_init(|| file))
    }

    fn create(&self) -> io::Result<Arc<dyn File>> {
        match self.store.files.create_new(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        match self.store.files.mkdir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.store.files.create_new(&self.path),
        }
    }

    fn set_space_aside(&self, file: &dyn File) {
        let Some(size) = self.size_hint.filter(|size| *size >= RESERVE_MIN) else {
            return;
        };
        // A promise of bytes must not starve those who have theirs; without it the file just grows.
        let Ok(room) = self.store.room() else { return };
        if size > room.free.saturating_sub(room.low_water()) {
            return;
        }
        self.reserved.store(true, Ordering::Release);
        if file.reserve(size, Reserve::KeepSize).is_err() {
            let _ = file.truncate(0); // gives back what a refusal half-way left
        }
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        let file = self.file()?;
        self.write_somehow(file, bytes, offset)
            .map_err(|error| Error::io("write", &self.path, error))
    }

    fn write_somehow(&self, file: &Arc<dyn File>, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some((direct, block)) = self.direct(bytes, offset) else {
            return file.write_all_at(bytes, offset);
        };
        let head = usize::try_from(offset.next_multiple_of(block) - offset).unwrap_or(bytes.len());
        let (head, rest) = bytes.split_at(head.min(bytes.len()));
        file.write_all_at(head, offset)?;
        let mut at = offset + head.len() as u64;
        let mut rest = rest;
        let block_bytes = usize::try_from(block).unwrap_or(usize::MAX);
        while rest.len() >= block_bytes {
            let (middle, _) = rest.split_at(rest.len() - rest.len() % block_bytes);
            match direct.write_at(middle, at) {
                Ok(written) => {
                    // A short write goes on from a block boundary; one of no whole block, through the cache.
                    let whole = written - written % block_bytes;
                    if whole == 0 {
                        break;
                    }
                    rest = &rest[whole..];
                    at += whole as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_refusal(&error) => {
                    self.store.give_up_direct(&error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        file.write_all_at(rest, at)
    }

    /// The descriptor for direct writes, if `bytes` are fit for it.
    fn direct(&self, bytes: &[u8], offset: u64) -> Option<(&Arc<dyn File>, u64)> {
        let block = self.store.direct_block()?;
        let aligned_alike = bytes.as_ptr().addr() as u64 % block == offset % block;
        if bytes.len() < DIRECT_MIN || !aligned_alike {
            return None;
        }
        let direct = self
            .direct
            .get_or_init(|| match self.store.files.open(&self.path, Access::Direct) {
                Ok(file) => Some(file),
                Err(error) => {
                    if is_refusal(&error) {
                        self.store.give_up_direct(&error);
                    }
                    None
                }
            });
        direct.as_ref().map(|file| (file, block))
    }

    /// Cuts the file to its `size` bytes, if it may have room beyond.
    pub(super) fn trim(&self, size: u64) -> Result<(), Error> {
        if self.size_hint != Some(size) && self.reserved.load(Ordering::Acquire) {
            self.file()?
                .truncate(size)
                .map_err(|error| Error::io("trim", &self.path, error))?;
        }
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> Result<(), Error> {
        self.keep(true); // nothing left to remove
        match self.store.files.unlink(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Direct writes are not possible here, as against: this one failed.
fn is_refusal(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::OPNOTSUPP))
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.has_file() || self.kept.load(Ordering::Acquire) {
            return;
        }
        let (store, seat, path) = (
            Arc::clone(&self.store),
            Arc::clone(&self.seat),
            std::mem::take(&mut self.path),
        );
        let remove = move || {
            let _until_removed = seat;
            if let Err(error) = store.files.unlink(&path) {
                tracing::warn!(path = %path.display(), %error, "an abandoned upload stays until the next start");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
