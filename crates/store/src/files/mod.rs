//! The seam to the disk: every file operation of the store goes through `Files` and `File`.
//!
//! `HostFiles` is the real thing; tests put failing and forgetting disks in its place. All calls block: they are made
//! on blocking threads only. Errors are the system's, untranslated. Paths are absolute.

mod host;

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use host::HostFiles;

/// What may be done with an open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read, mostly from start to end.
    Read,
    /// Read past the page cache: memory, offset and length are multiples of `File::direct_block`.
    ReadDirect,
    /// Read and write through the page cache.
    Write,
    /// Write past the page cache: memory, offset and length are multiples of `File::direct_block`.
    Direct,
}

/// How space is set aside for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserve {
    /// The size stays as it is.
    KeepSize,
    /// The file grows to it.
    Grow,
}

/// The file system that holds a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// Two paths with one number are on one file system.
    pub device: u64,
    /// The name of a network file system, as in `mount`; none for a local one.
    pub network: Option<&'static str>,
    /// Changes whenever what was written and not synced may have been lost: at a boot, and at a mount.
    pub epoch: [u8; 16],
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Free to us.
    pub free: u64,
    /// Size of the file system.
    pub total: u64,
}

/// The answer to the wish to own a folder.
pub enum Lock {
    /// Ours, until this is dropped or the process ends.
    Owned(Box<dyn Any + Send + Sync>),
    /// Another's; its process id, where it could be read.
    Held(Option<u32>),
}

/// A disk.
pub trait Files: Send + Sync + fmt::Debug + 'static {
    /// Makes a file that must not exist, for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;
    /// Renames; fails if `to` exists.
    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder in an existing one.
    fn mkdir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Gives a file one more name, which must not exist. Not every disk can.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Makes a file, which must not exist, that shares the blocks of another until one is written. Not every disk can.
    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Takes the lock at `path`, if nobody has it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    /// The file system of an existing path.
    fn mount(&self, path: &Path) -> io::Result<Mount>;
    /// The room on the file system of an existing path.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads some bytes at `offset`; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some bytes at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes content and size durable.
    fn sync(&self) -> io::Result<()>;
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;
    /// Sets the size; gives back what was reserved beyond it.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Sets space aside for bytes `0..size`.
    fn reserve(&self, size: u64, how: Reserve) -> io::Result<()>;
    /// What direct writes must be multiples of; none where they are not possible.
    fn direct_block(&self) -> io::Result<Option<u64>>;
    /// The descriptor of the host, for callers that let the kernel move the bytes.
    fn host(&self) -> Option<&Arc<std::fs::File>>;
}

impl dyn File + '_ {
    /// Writes all of `bytes`, in as many steps as the disk needs.
    pub(crate) fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the file ends; the bytes read.
    pub(crate) fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
