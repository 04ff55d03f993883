//! Reading blobs: ranges of open files.
//!
//! Open files are kept by location; a location's bytes never change (I3), so nothing here can be stale. No mmap: a disk
//! error would be a signal instead of an error.
//! Fails: `Missing` (no file), `ShortFile` (another size than the catalog says), `Io`. A read that comes out short is
//! an error, never a clean short answer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;
use rustix::process::{Resource, getrlimit};

use super::suspects::Suspects;
use super::{FsStore, Inner, blocking};
use crate::error::Error;
use crate::files::{Access, File};
use crate::location::Location;

/// The most that one `read_at` gives: enough for the disk, little enough to hold for each connection.
const READ_MAX: u64 = 1024 * 1024;
/// The most files kept open, where the process may open so many.
const OPEN_MAX: u64 = 1024;

/// A blob, open for reading. A clone is the same open file.
#[derive(Clone, Debug)]
pub struct BlobFile {
    pub(super) open: Arc<Open>,
}

#[derive(Debug)]
pub(super) struct Open {
    file: Arc<dyn File>,
    size: u64,
    pub(super) location: Location,
    pub(super) suspects: Arc<Suspects>,
}

/// Blobs that were read lately.
#[derive(Debug)]
pub(super) struct OpenBlobs(Cache<Location, BlobFile>);

impl OpenBlobs {
    /// A quarter of the descriptors that the process may have.
    pub(super) fn new() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(4 * OPEN_MAX);
        Self(Cache::new(
            usize::try_from((limit / 4).min(OPEN_MAX)).unwrap_or(64),
        ))
    }

    /// Closes a blob that was removed, so that its room is freed.
    pub(super) fn forget(&self, location: &Location) {
        self.0.remove(location);
    }
}

impl FsStore {
    /// Opens the blob at `location`, which the catalog says is of `size` bytes.
    pub async fn open_blob(&self, location: &Location, size: u64) -> Result<BlobFile, Error> {
        let blob = if let Some(blob) = self.inner.open_blobs.0.get(location) {
            blob
        } else {
            let (store, location) = (Arc::clone(&self.inner), location.clone());
            blocking(move || store.open_blob(location)).await?
        };
        if blob.size() == size {
            Ok(blob)
        } else {
            Err(blob.short_file(size, blob.size()))
        }
    }
}

/// All bytes of a blob, from the first to the last, for whoever copies them. Blocks.
#[derive(Debug)]
pub struct BlobReader {
    blob: BlobFile,
    offset: u64,
}

impl FsStore {
    /// Opens the blob at `location`, which the catalog says is of `size` bytes, to be read once and whole. Blocks. It takes
    /// no place among the open files that pulls share.
    pub fn read_whole(&self, location: &Location, size: u64) -> Result<BlobReader, Error> {
        let blob = self.inner.open_file(location.clone())?;
        if blob.size() == size {
            Ok(BlobReader { blob, offset: 0 })
        } else {
            Err(blob.short_file(size, blob.size()))
        }
    }
}

impl io::Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.size().saturating_sub(self.offset);
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.blob.read_now(&mut buffer[..len], self.offset) {
            Ok(()) => {}
            Err(Error::Io { source, .. }) => return Err(source),
            Err(error) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
        }
        self.offset += len as u64;
        Ok(len)
    }
}

impl Inner {
    fn open_blob(&self, location: Location) -> Result<BlobFile, Error> {
        let blob = self.open_file(location.clone())?;
        self.open_blobs.0.insert(location, blob.clone());
        Ok(blob)
    }

    fn open_file(&self, location: Location) -> Result<BlobFile, Error> {
        let path = location.path(&self.blobs);
        let file = match self.files.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Missing { location }),
            Err(error) => return Err(Error::io("open", &path, error)),
        };
        let size = file.size().map_err(|error| Error::io("measure", &path, error))?;
        Ok(BlobFile {
            open: Arc::new(Open {
                file,
                size,
                location,
                suspects: Arc::clone(&self.suspects),
            }),
        })
    }
}

impl BlobFile {
    /// Bytes in the blob.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.open.size
    }

    /// Where it lies.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.open.location
    }

    /// The open file, for the kernel to send from; none on a disk that is not the host's.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<std::fs::File>> {
        self.open.file.host()
    }

    /// Bytes from `offset` on: `len`, or what is left, or 1 MiB, whichever is least. Empty only at the end.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Error> {
        let wanted = self.size().saturating_sub(offset).min(READ_MAX);
        let len = len.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        Ok(self.read_into(offset, vec![0; len]).await?.into())
    }

    /// Fills `buffer` with the bytes from `offset` on, and gives it back. All of it, or an error.
    pub async fn read_into<B>(&self, offset: u64, mut buffer: B) -> Result<B, Error>
    where
        B: AsMut<[u8]> + Send + 'static,
    {
        let blob = self.clone();
        blocking(move || {
            blob.read_now(buffer.as_mut(), offset)?;
            Ok(buffer)
        })
        .await
    }

    /// Fills `bytes`. Blocks. A blob that cannot be read is to be checked.
    pub(super) fn read_now(&self, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
        let read = self
            .open
            .file
            .read_full_at(bytes, offset)
            .map_err(|error| Error::io("read", self.open.location.to_string().as_ref(), error));
        let error = match read {
            Ok(read) if read == bytes.len() => return Ok(()),
            Ok(read) => self.short_file(self.size(), offset + read as u64),
            Err(error) => error,
        };
        if error.is_damage() {
            self.suspect();
        }
        Err(error)
    }

    fn short_file(&self, expected: u64, found: u64) -> Error {
        Error::ShortFile {
            location: self.open.location.clone(),
            expected,
            found,
        }
    }
}
