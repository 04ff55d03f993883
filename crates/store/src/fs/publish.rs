//! U5-U7: a verified blob gets its place, and is durable when `publish` returns.
//!
//! Rename (U5), sync the file (U6), sync the folder (U7). The rename comes first because the name means nothing until
//! the caller commits it, and one journal commit then covers data and name. A failed sync is final (I11): the file is
//! dropped, never synced again. From before U5 until the caller has committed, the location is in the in-flight set,
//! so that nobody takes its file for garbage (I7).
//! Fails: `NoRoom`, `Io`, `NotDurable`; then the bytes are gone and no location was given out.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;
use tokio::sync::oneshot;

use super::pool::Buffer;
use super::verified::{Body, Verified};
use super::{FsStore, Inner, blocking};
use crate::error::Error;
use crate::location::Location;

/// A durable blob that no catalog knows yet.
#[derive(Debug)]
pub struct Published {
    /// Where it lies: what the catalog must remember.
    pub location: Location,
    /// Bytes in it.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Drop it after the catalog has committed the location.
    pub guard: InFlight,
}

/// A location that is not in the catalog yet, and no garbage.
#[derive(Debug)]
pub struct InFlight {
    set: Arc<InFlightSet>,
    location: Location,
}

/// All of them.
#[derive(Default, Debug)]
pub(super) struct InFlightSet(Mutex<HashSet<Location>>);

/// The folders below `blobs/<algorithm>` whose names are durable.
#[derive(Default, Debug)]
pub(super) struct Shards(Mutex<HashSet<PathBuf>>);

impl FsStore {
    /// Makes a verified blob durable. Cancelled, it leaves nothing behind.
    pub async fn publish(&self, verified: Verified) -> Result<Published, Error> {
        let store = self.clone();
        let (answer, result) = oneshot::channel();
        // A task of its own: half-way through there is no way back.
        tokio::spawn(async move {
            let result = store.inner.publish(verified).await;
            if let Err(Ok(published)) = answer.send(result) {
                // Nobody learnt the location, so nobody can have committed it.
                if let Err(error) = store.remove(vec![published.location.clone()]).await {
                    tracing::warn!(location = %published.location, %error, "an unwanted blob stays");
                }
            }
        });
        result.await.unwrap_or(Err(Error::Stopping))
    }

    /// Removes blobs that nothing names any more, durably. One that is gone already is fine.
    pub async fn remove(&self, locations: Vec<Location>) -> Result<(), Error> {
        let store = Arc::clone(&self.inner);
        let folders = blocking(move || store.unlink_blobs(&locations)).await?;
        for folder in folders {
            match self.inner.syncs.sync(&folder).await {
                // No folder: there never was a blob in it.
                Err(Error::NotDurable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Whether `location` was placed and its `InFlight` is still held.
    #[must_use]
    pub fn is_in_flight(&self, location: &Location) -> bool {
        self.inner.in_flight.lock().contains(location)
    }
}

impl Inner {
    async fn publish(self: &Arc<Self>, mut verified: Verified) -> Result<Published, Error> {
        let (digest, size) = (verified.digest.clone(), verified.size);
        let location = Location::fresh(digest.clone());
        let guard = self.in_flight.enter(location.clone());
        let (folder, path) = (location.folder(&self.blobs), location.path(&self.blobs));
        self.make_shard(&folder).await?;
        let body = verified.body.take().ok_or(Error::Stopping)?;
        let (store, target) = (Arc::clone(self), path.clone());
        blocking(move || store.place(&body, size, &target)).await?;
        if let Err(error) = self.syncs.sync(&folder).await {
            let store = Arc::clone(self);
            blocking(move || {
                store.drop_file(&path);
                Ok(())
            })
            .await?;
            return Err(error);
        }
        Ok(Published {
            location,
            size,
            digest,
            guard,
        })
    }

    /// U5 and U6.
    fn place(&self, body: &Body, size: u64, path: &Path) -> Result<(), Error> {
        let part = match body {
            Body::Memory { part, .. } | Body::File(part) => part,
        };
        part.keep(false); // until it has its place, it goes when we fail
        if let Body::Memory { head, .. } = body {
            part.write(head.as_ref().map_or(&[], Buffer::bytes), 0)?;
        }
        part.trim(size)?;
        let file = part.file()?;
        self.files
            .rename_noreplace(part.path(), path)
            .map_err(|error| Error::io("place", path, error))?;
        part.keep(true);
        file.sync().map_err(|error| {
            self.drop_file(path);
            Error::not_durable(path, error)
        })
    }

    /// Keeps a location from being taken for garbage.
    pub(super) fn in_flight_guard(&self, location: Location) -> InFlight {
        self.in_flight.enter(location)
    }

    pub(super) fn drop_file(&self, path: &Path) {
        if let Err(error) = self.files.unlink(path) {
            tracing::warn!(path = %path.display(), %error, "a blob that is not durable stays, unknown to the catalog");
        }
    }

    /// Makes the folder of a shard, and its name durable, once.
    pub(super) async fn make_shard(self: &Arc<Self>, folder: &Path) -> Result<(), Error> {
        if self.shards.contains(folder) {
            return Ok(());
        }
        let (store, path) = (Arc::clone(self), folder.to_owned());
        blocking(move || match store.files.mkdir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("make", &path, error))
            }
            _ => Ok(()), // made by another publish perhaps, and not durable yet: so all sync
        })
        .await?;
        self.syncs.sync(folder.parent().unwrap_or(folder)).await?;
        self.shards.add(folder.to_owned());
        Ok(())
    }

    /// Unlinks blobs; the folders that changed.
    fn unlink_blobs(&self, locations: &[Location]) -> Result<BTreeSet<PathBuf>, Error> {
        let mut folders = BTreeSet::new();
        for location in locations {
            let path = location.path(&self.blobs);
            match self.files.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, error));
                }
                // Absent may mean removed by a try that did not live to sync: the folder is synced in any case.
                _ => folders.insert(location.folder(&self.blobs)),
            };
            self.open_blobs.forget(location);
        }
        Ok(folders)
    }
}

impl Shards {
    pub(super) fn add(&self, folder: PathBuf) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(folder);
    }

    fn contains(&self, folder: &Path) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(folder)
    }
}

impl InFlightSet {
    fn enter(self: &Arc<Self>, location: Location) -> InFlight {
        self.lock().insert(location.clone());
        InFlight {
            set: Arc::clone(self),
            location,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Location>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set.lock().remove(&self.location);
    }
}
