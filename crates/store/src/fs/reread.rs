//! Reading a stored blob back, to know that its bytes are still those that its digest names.
//!
//! Shape: `FsStore::reread` -> `Reread` --step--> `Reread` … -> [`Verdict`]. A step reads and hashes at most [`STEP`] bytes on
//! a blocking thread, so whoever asks decides how fast it goes, and one reading holds one buffer, however large the blob is.
//! The bytes come past the page cache where the disk allows it: it is the disk that is to be asked, and what pulls have in
//! the cache is not pushed out. Elsewhere what was not in the cache before is dropped from it again.
//! Units: bytes. Fails: `Missing`, `Io`; see `Error::is_damage`. Source: open(2) `O_DIRECT`, posix_fadvise(2).

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use oci::Digest;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;

use super::{FsStore, Inner, blocking};
use crate::error::Error;
use crate::files::{Access, File};
use crate::hash::Hasher;
use crate::location::Location;

/// What one step reads: a large request to the disk, and little memory.
pub const STEP: u64 = 1024 * 1024;
/// One byte in so many is looked at, to know what the page cache has.
const LOOK: u64 = 256 * 1024;

/// A blob that is being read back.
#[derive(Debug)]
pub struct Reread {
    store: Arc<Inner>,
    path: PathBuf,
    digest: Digest,
    size: u64,
    file: Arc<dyn File>,
    /// What direct reads are multiples of; none: through the page cache.
    block: Option<u64>,
    hasher: Hasher,
    offset: u64,
    buffer: Vec<u8>,
}

/// What became of a step.
#[derive(Debug)]
pub enum Step {
    /// There is more; so many bytes were read.
    More(Box<Reread>, u64),
    /// That was all; so many bytes were read.
    End(Verdict, u64),
}

/// What the bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Those that they should be.
    Whole,
    /// More of them, or fewer.
    WrongSize {
        /// How many there are.
        found: u64,
    },
    /// Others.
    Changed {
        /// What they are instead.
        actual: Digest,
    },
}

impl FsStore {
    /// Begins to read the blob at `location`, which the catalog says is of `size` bytes.
    pub async fn reread(&self, location: &Location, size: u64) -> Result<Reread, Error> {
        let (store, location) = (Arc::clone(&self.inner), location.clone());
        blocking(move || {
            let path = location.path(&store.blobs);
            let (file, block) = match store.open_past_cache(&path) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(Error::Missing { location });
                }
                Err(error) => return Err(Error::io("open", &path, error)),
            };
            let digest = location.digest().clone();
            Ok(Reread {
                hasher: Hasher::new(digest.algorithm()),
                buffer: Vec::new(),
                offset: 0,
                store,
                path,
                digest,
                size,
                file,
                block,
            })
        })
        .await
    }
}

impl Reread {
    /// Reads and hashes some more.
    pub async fn step(self) -> Result<Step, Error> {
        blocking(move || self.step_now()).await
    }

    fn step_now(mut self) -> Result<Step, Error> {
        let found = self.file.size().map_err(|error| self.io("measure", error))?;
        if found != self.size {
            return Ok(Step::End(Verdict::WrongSize { found }, 0));
        }
        let read = match self.fill() {
            // A disk that opens for direct reads need not give any.
            Err(error) if self.block.is_some() && is_refusal(&error) => {
                self.through_cache()?;
                self.fill()
            }
            other => other,
        };
        let read = read.map_err(|error| self.io("read", error))?;
        self.offset += read;
        if self.offset == self.size {
            let actual = self.hasher.finish();
            let verdict = if actual == self.digest {
                Verdict::Whole
            } else {
                Verdict::Changed { actual }
            };
            return Ok(Step::End(verdict, read));
        }
        if read == 0 {
            return Ok(Step::End(Verdict::WrongSize { found: self.offset }, 0));
        }
        Ok(Step::More(Box::new(self), read))
    }

    /// Reads from where we are, and hashes; how many bytes.
    fn fill(&mut self) -> io::Result<u64> {
        let left = self.size - self.offset;
        if left == 0 {
            return Ok(0);
        }
        let Some(block) = self.block else {
            return self.fill_from_cache(left.min(STEP));
        };
        // Memory that begins at a block: one block more than is read, and the beginning skipped.
        let (step, align) = (as_len(STEP), as_len(block));
        self.buffer.resize(step + align, 0);
        let begin = self.buffer.as_ptr().align_offset(align).min(align);
        let buffer = &mut self.buffer[begin..begin + step];
        let read = again(|| self.file.read_at(buffer, self.offset))?;
        // The next read must begin at a block too, but for the end there is none.
        let usable = if read as u64 >= left {
            as_len(left)
        } else {
            read - read % align
        };
        if usable == 0 && read > 0 {
            return Err(Errno::INVAL.into());
        }
        self.hasher.update(&buffer[..usable]);
        Ok(usable as u64)
    }

    fn fill_from_cache(&mut self, len: u64) -> io::Result<u64> {
        let was_here = self.is_cached(len);
        self.buffer.resize(as_len(len), 0);
        let buffer = &mut self.buffer[..as_len(len)];
        let read = self.file.read_full_at(buffer, self.offset)?;
        self.hasher.update(&buffer[..read]);
        if let (false, Some(host), Some(len)) = (was_here, self.file.host(), NonZeroU64::new(len)) {
            // Advice only.
            let _ = fadvise(host, self.offset, Some(len), Advice::DontNeed);
        }
        Ok(read as u64)
    }

    /// Whether the page cache seems to have all of the next `len` bytes.
    fn is_cached(&self, len: u64) -> bool {
        let Some(host) = self.file.host() else { return true };
        let looks = (self.offset..self.offset + len).step_by(as_len(LOOK));
        looks
            .chain([self.offset + len - 1])
            .all(|at| super::cached::read_cached(host, &mut [0], at) == 1)
    }

    /// Goes on without direct reads.
    fn through_cache(&mut self) -> Result<(), Error> {
        let opened = self.store.files.open(&self.path, Access::Read);
        self.file = opened.map_err(|error| self.io("open", error))?;
        self.block = None;
        no_read_ahead(&*self.file);
        Ok(())
    }

    fn io(&self, doing: &'static str, error: io::Error) -> Error {
        Error::io(doing, &self.path, error)
    }
}

impl Inner {
    /// A file, and what direct reads of it must be multiples of, where they are possible.
    fn open_past_cache(&self, path: &std::path::Path) -> io::Result<(Arc<dyn File>, Option<u64>)> {
        if let Some(block) = self.direct_block() {
            match self.files.open(path, Access::ReadDirect) {
                Ok(file) => return Ok((file, Some(block))),
                Err(error) if is_refusal(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let file = self.files.open(path, Access::Read)?;
        no_read_ahead(&*file);
        Ok((file, None))
    }
}

/// What is read ahead would seem to have been in the cache all along.
fn no_read_ahead(file: &dyn File) {
    if let Some(host) = file.host() {
        let _ = fadvise(host, 0, None, Advice::Random);
    }
}

fn again(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::OPNOTSUPP))
}

fn as_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
