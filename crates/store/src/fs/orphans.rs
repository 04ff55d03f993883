//! Blobs that nobody remembers: what lies in the folders of blobs, and a place aside for what should not.
//!
//! `quarantine/<date>/<location>`, the date being that of the discovery, UTC. Moving is by rename, so no byte is
//! copied and none can be half there. A folder is listed whole: it holds the blobs whose digests begin alike.
//! Units: times are Unix milliseconds. Fails: `Io`, `NotDurable`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Algorithm;

use super::folder::make_folder;
use super::{FsStore, Inner, blocking};
use crate::error::Error;
use crate::files::Access;
use crate::location::Location;

/// One folder of blobs whose digests begin alike, in its place or aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// What locations are below.
    root: PathBuf,
    /// The folder, below that.
    name: PathBuf,
}

impl FsStore {
    /// Every folder of blobs.
    pub async fn shards(&self) -> Result<Vec<Shard>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || store.shards_below(&store.blobs)).await
    }

    /// Every folder of blobs that were put aside.
    pub async fn shards_aside(&self) -> Result<Vec<Shard>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || {
            let (quarantine, mut shards) = (store.quarantine(), Vec::new());
            for date in store.names(&quarantine)? {
                shards.extend(store.shards_below(&quarantine.join(date))?);
            }
            Ok(shards)
        })
        .await
    }

    /// The blobs in a folder. What is not named as we name blobs is not ours, and left out.
    pub async fn list_shard(&self, shard: &Shard) -> Result<Vec<Location>, Error> {
        Ok(self.list_all(shard).await?.0)
    }

    /// The blobs in a folder, and how many other things lie there.
    pub async fn list_all(&self, shard: &Shard) -> Result<(Vec<Location>, u64), Error> {
        let (store, Shard { root, name }) = (Arc::clone(&self.inner), shard.clone());
        blocking(move || {
            let (mut blobs, mut others) = (Vec::new(), 0);
            for file in store.names(&root.join(&name))? {
                match name.join(file).to_str().and_then(|path| path.parse().ok()) {
                    Some(location) => blobs.push(location),
                    None => others += 1,
                }
            }
            Ok((blobs, others))
        })
        .await
    }

    /// Bytes of one file in a folder; none if it is not there any more.
    pub async fn size_in(&self, shard: &Shard, location: &Location) -> Result<Option<u64>, Error> {
        let (store, path) = (Arc::clone(&self.inner), location.path(&shard.root));
        blocking(move || {
            let file = store.files.open(&path, Access::Read);
            match file.and_then(|file| file.size()) {
                Ok(size) => Ok(Some(size)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::io("measure", &path, error)),
            }
        })
        .await
    }

    /// Moves a file out of the folders of blobs. False if it is not there.
    pub async fn put_aside(&self, location: &Location, found_at: i64) -> Result<bool, Error> {
        let date = jiff::Timestamp::from_millisecond(found_at)
            .map_or_else(|_| "undated".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
        self.inner.open_blobs.forget(location);
        let to = self.inner.quarantine().join(date);
        self.move_file(&self.inner.blobs, &to, location).await
    }

    /// Moves a file that was put aside back. False if it is not there.
    pub async fn put_back(&self, shard: &Shard, location: &Location) -> Result<bool, Error> {
        self.move_file(&shard.root, &self.inner.blobs, location).await
    }

    /// Removes a file that was put aside. One that is gone already is fine.
    pub async fn remove_aside(&self, shard: &Shard, location: &Location) -> Result<(), Error> {
        let (store, path) = (Arc::clone(&self.inner), location.path(&shard.root));
        blocking(move || match store.files.unlink(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
            _ => Ok(()),
        })
        .await
    }

    /// Which life of the store this is: a restore begins another.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.inner.incarnation
    }

    async fn move_file(&self, from: &Path, to: &Path, location: &Location) -> Result<bool, Error> {
        let folders = [location.folder(from), location.folder(to)];
        let (from, to) = (location.path(from), location.path(to));
        let (store, target) = (Arc::clone(&self.inner), folders[1].clone());
        let moved = blocking(move || {
            store.make_folders(&target)?;
            match store.files.rename_noreplace(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                // A power cut kept the new name and the old one too: names are used once, so it is one file.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && store.are_alike(&from, &to) => {
                    let removed = store.files.unlink(&from);
                    removed.map_err(|error| Error::io("remove", &from, error))?;
                    Ok(true)
                }
                Err(error) => Err(Error::io("move", &from, error)),
                Ok(()) => Ok(true),
            }
        })
        .await?;
        if moved {
            for folder in folders {
                self.inner.syncs.sync(&folder).await?;
            }
        }
        Ok(moved)
    }
}

impl Inner {
    fn quarantine(&self) -> PathBuf {
        self.folder.join("quarantine")
    }

    /// Makes a folder below ours, and what is missing between.
    fn make_folders(&self, path: &Path) -> Result<(), Error> {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let mut folder = self.folder.clone();
        for name in below {
            folder.push(name);
            make_folder(&*self.files, &folder)?;
        }
        Ok(())
    }

    /// Whether both are there and equally long.
    fn are_alike(&self, one: &Path, other: &Path) -> bool {
        let size = |path: &Path| self.files.open(path, Access::Read)?.size();
        matches!((size(one), size(other)), (Ok(one), Ok(other)) if one == other)
    }

    fn shards_below(&self, root: &Path) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        for algorithm in Algorithm::ALL {
            let parent = Path::new(algorithm.name());
            let names = self.names(&root.join(parent))?;
            shards.extend(names.into_iter().map(|name| Shard {
                root: root.to_owned(),
                name: parent.join(name),
            }));
        }
        Ok(shards)
    }

    /// What is in a folder; nothing if there is none.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<OsString>, Error> {
        match self.files.list(folder) {
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                Ok(Vec::new())
            }
            listed => listed.map_err(|error| Error::io("list", folder, error)),
        }
    }
}
