//! The copy of the catalog that a backup or a bundle is made of: beside the catalog, so that a slow or failing target holds
//! nobody up, for it is written on the thread that commits. It goes when the work is done.
//!
//! `<data>/landfall/backups/copy.db`. Fails: `NoRoom`, a catalog that cannot be copied.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use crate::{Error, Registry};

/// A copy of the catalog.
#[derive(Debug)]
pub(crate) struct LocalCopy(PathBuf);

fn place(folder: &Path) -> PathBuf {
    folder.join("backups").join("copy.db")
}

/// Removes what a process that was killed left in our folder.
pub(crate) fn forget(folder: &Path) {
    match fs::remove_file(place(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "an old copy of the catalog could not be removed");
        }
        _ => {}
    }
}

impl Registry {
    /// Copies the catalog as it is now; the caller sees to it that nobody else does meanwhile. Where our own disk is full it goes
    /// to `other`, which is on the target's: a slow one is felt then, and a backup is worth that.
    pub(crate) async fn copy_catalog(&self, other: PathBuf) -> Result<LocalCopy, Error> {
        match self.copy_catalog_here().await {
            Err(Error::Backup(BackupError::NoRoom { .. })) => {
                tracing::warn!(
                    "the data folder has no room for a copy of the catalog: it goes to the target at once"
                );
                let copy = LocalCopy(other);
                let _ = fs::remove_file(copy.path()); // of a try that was cut off
                self.copy_catalog_to(copy).await
            }
            outcome => outcome,
        }
    }

    async fn copy_catalog_here(&self) -> Result<LocalCopy, Error> {
        let path = place(self.inner.store.folder());
        let folder = path.parent().unwrap_or(&path);
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(BackupError::write(folder, error).into());
            }
            _ => {}
        }
        forget(self.inner.store.folder());
        self.copy_catalog_to(LocalCopy(path)).await
    }

    async fn copy_catalog_to(&self, copy: LocalCopy) -> Result<LocalCopy, Error> {
        match self.inner.catalog.copy_to(copy.path()).await {
            Ok(()) => Ok(copy),
            Err(catalog::Error::Copy {
                path, is_full: true, ..
            }) => Err(BackupError::NoRoom { path, room: None }.into()),
            Err(catalog::Error::Copy { path, source, .. }) => Err(BackupError::Write {
                path,
                source: io::Error::other(source.to_string()),
            }
            .into()),
            Err(other) => Err(other.into()),
        }
    }
}

impl LocalCopy {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LocalCopy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // it may never have been made; the next one removes what is left
    }
}
