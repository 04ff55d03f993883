//! Files of somebody else: taken in as blobs, and blobs given out as files, shared where the disk allows it.
//!
//! A hard link where both lie on one file system, else a clone of the blocks, else a copy. The file of the other side is
//! opened for reading only; no call here writes, renames, removes or changes it (I12), also not through a name of ours
//! that shares its inode. Taking in is durable when it returns: bytes, then name (U6, U7), and the location is in flight
//! until the caller has committed it.
//! Fails: `DigestMismatch` (the file is not what it was said to be; nothing of it stays), `NoRoom`, `Io`, `NotDurable`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use oci::Digest;

use super::{FsStore, Inner, Published, blocking};
use crate::error::Error;
use crate::files::{Access, File};
use crate::hash::Hasher;
use crate::location::Location;

/// The step in which a file is read.
const STEP: usize = 1024 * 1024;

/// How bytes came to where they are now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brought {
    /// One file with two names.
    Linked,
    /// Two files that share their blocks.
    Cloned,
    /// Two files.
    Copied,
}

/// What is believed of a file that somebody else wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// That it holds what its name says.
    Name,
    /// Nothing: it is hashed.
    Nothing,
}

impl FsStore {
    /// Takes in the file at `source` as the blob `digest`.
    pub async fn take_in(
        &self,
        source: &Path,
        digest: Digest,
        trust: Trust,
    ) -> Result<(Published, Brought), Error> {
        let location = Location::fresh(digest.clone());
        let guard = self.inner.in_flight_guard(location.clone());
        let folder = location.folder(&self.inner.blobs);
        let path = location.path(&self.inner.blobs);
        self.inner.make_shard(&folder).await?;
        let (store, source, target, wanted) = (
            Arc::clone(&self.inner),
            source.to_owned(),
            path.clone(),
            digest.clone(),
        );
        let (size, brought) = blocking(move || {
            let brought = store.share(&source, &target)?;
            match store.settle(&target, &wanted, trust) {
                Ok(size) => Ok((size, brought)),
                Err(error) => {
                    store.drop_file(&target); // our name; the other one stays
                    Err(error)
                }
            }
        })
        .await?;
        if let Err(error) = self.inner.syncs.sync(&folder).await {
            let store = Arc::clone(&self.inner);
            blocking(move || {
                store.drop_file(&path);
                Ok(())
            })
            .await?;
            return Err(error);
        }
        let published = Published {
            location,
            size,
            digest,
            guard,
        };
        Ok((published, brought))
    }

    /// Gives the blob at `location` out as a new file at `target`, in a folder that exists. Not synced.
    pub async fn give_out(&self, location: &Location, target: &Path) -> Result<Brought, Error> {
        let store = Arc::clone(&self.inner);
        let (source, target) = (location.path(&self.inner.blobs), target.to_owned());
        blocking(move || store.share(&source, &target)).await
    }
}

impl Inner {
    /// One file at both places, or its bytes at both.
    fn share(&self, source: &Path, target: &Path) -> Result<Brought, Error> {
        // Another file system, a disk that cannot, a file that is not ours to link, as many names as a file may have.
        if self.files.link(source, target).is_ok() {
            return Ok(Brought::Linked);
        }
        if self.files.clone_file(source, target).is_ok() {
            return Ok(Brought::Cloned);
        }
        let from = self
            .files
            .open(source, Access::Read)
            .map_err(|error| Error::io("open", source, error))?;
        let to = self
            .files
            .create_new(target)
            .map_err(|error| Error::io("create", target, error))?;
        copy(&*from, &*to)
            .map_err(|error| {
                self.drop_file(target);
                Error::io("copy into", target, error)
            })
            .map(|()| Brought::Copied)
    }

    /// Makes the bytes durable, and sure where they are not trusted; how many there are.
    fn settle(&self, path: &Path, digest: &Digest, trust: Trust) -> Result<u64, Error> {
        let file = self
            .files
            .open(path, Access::Read)
            .map_err(|error| Error::io("open", path, error))?;
        let size = match trust {
            Trust::Name => file.size().map_err(|error| Error::io("measure", path, error))?,
            Trust::Nothing => hash(&*file, path, digest)?,
        };
        // Whoever wrote a linked file may not have synced it.
        file.sync().map_err(|error| Error::not_durable(path, error))?;
        Ok(size)
    }
}

fn copy(from: &dyn File, to: &dyn File) -> io::Result<()> {
    let mut buffer = vec![0; STEP];
    let mut offset = 0;
    loop {
        let read = from.read_full_at(&mut buffer, offset)?;
        to.write_all_at(&buffer[..read], offset)?;
        offset += read as u64;
        if read < buffer.len() {
            return Ok(());
        }
    }
}

fn hash(file: &dyn File, path: &Path, expected: &Digest) -> Result<u64, Error> {
    let mut hasher = Hasher::new(expected.algorithm());
    let mut buffer = vec![0; STEP];
    let mut size = 0;
    loop {
        let read = file
            .read_full_at(&mut buffer, size)
            .map_err(|error| Error::io("read", path, error))?;
        hasher.update(&buffer[..read]);
        size += read as u64;
        if read < buffer.len() {
            break;
        }
    }
    let actual = hasher.finish();
    if actual == *expected {
        return Ok(size);
    }
    Err(Error::DigestMismatch {
        expected: expected.clone(),
        actual,
    })
}
