//! Putting files into the target: small ones written, blobs shared, each complete under its name or not there.
//!
//! A file is made beside its place and renamed into it; one sync of the file system at the end makes all durable.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use catalog::{HeldBlob, HeldManifest, HeldTag, Tx};
use oci::RepositoryName;
use store::{Brought, Location};
use tokio_util::sync::CancellationToken;

use super::{Each, Expected, ExportError, Exported, PAGE};
use crate::{Error, Registry};

/// The folder that is written, and what was written so far.
pub(super) struct Target<'a> {
    registry: &'a Registry,
    root: PathBuf,
    stop: &'a CancellationToken,
    expected: Expected,
    each: Each<'a>,
    pub(super) exported: Exported,
}

impl<'a> Target<'a> {
    pub(super) async fn open(
        registry: &'a Registry,
        root: &Path,
        expected: Expected,
        each: Each<'a>,
        stop: &'a CancellationToken,
    ) -> Result<Self, Error> {
        let root = root.to_owned();
        let made = root.clone();
        blocking(move || make_folder(&made)).await?;
        Ok(Self {
            registry,
            root,
            stop,
            expected,
            each,
            exported: Exported::default(),
        })
    }

    /// Says how far it is.
    pub(super) fn tell(&mut self) {
        (self.each)(&self.expected, &self.exported);
    }

    /// Makes everything durable.
    pub(super) async fn finish(self) -> Result<Exported, Error> {
        let root = self.root;
        blocking(move || {
            let refused = |source| ExportError::Write {
                path: root.clone(),
                source,
            };
            let folder = fs::File::open(&root).map_err(refused)?;
            rustix::fs::syncfs(&folder).map_err(|error| refused(error.into()))
        })
        .await?;
        Ok(self.exported)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The repository's blobs after `after`; none at the end.
    pub(super) async fn blobs(&self, repo: &RepositoryName, after: i64) -> Result<Vec<HeldBlob>, Error> {
        let repo = repo.clone();
        self.read(move |tx| catalog::held_blobs(tx, &repo, after, PAGE))
            .await
    }

    /// The repository's manifests after `after`; none at the end.
    pub(super) async fn manifests(
        &self,
        repo: &RepositoryName,
        after: i64,
    ) -> Result<Vec<HeldManifest>, Error> {
        let repo = repo.clone();
        self.read(move |tx| catalog::held_manifests(tx, &repo, after, PAGE / 4))
            .await
    }

    /// The repository's tags after `after`; none at the end.
    pub(super) async fn tags(&self, repo: &RepositoryName, after: &str) -> Result<Vec<HeldTag>, Error> {
        let (repo, after) = (repo.clone(), after.to_owned());
        self.read(move |tx| catalog::held_tags(tx, &repo, &after, PAGE))
            .await
    }

    async fn read<T: Send + 'static>(
        &self,
        page: impl FnMut(&mut Tx<'_>) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Closing);
        }
        Ok(self.registry.inner.catalog.read(page).await?)
    }

    /// Puts a blob at `path`, unless it is there. False if its bytes are missing here.
    pub(super) async fn put_blob(&mut self, blob: HeldBlob, path: PathBuf) -> Result<bool, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::Closing); // a page of blobs may take long
        }
        self.exported.blobs += 1;
        self.exported.bytes += blob.size;
        self.tell();
        let (there, size) = (path.clone(), blob.size);
        let present = blocking(move || {
            make_folder(there.parent().unwrap_or(&there))?;
            Ok(fs::metadata(&there).is_ok_and(|found| found.len() == size))
        })
        .await?;
        if present {
            self.exported.present += 1;
            return Ok(true);
        }
        let Some(location) = &blob.location else {
            self.exported.copied += 1;
            self.exported.bytes_copied += blob.size;
            self.put(path, blob.inline.unwrap_or_default()).await?;
            return Ok(true);
        };
        let draft = draft_of(&path);
        let location: Location = location
            .parse()
            .map_err(|error: store::BadLocation| Error::Interrupted(error.to_string()))?;
        let old = draft.clone();
        blocking(move || forget(&old)).await?;
        let how = match self.registry.inner.store.give_out(&location, &draft).await {
            Ok(how) => how,
            Err(store::Error::Io {
                doing: "open",
                source,
                ..
            }) if source.kind() == io::ErrorKind::NotFound => {
                self.exported.missing.push(blob.digest.to_string());
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        blocking(move || rename(&draft, &path)).await?;
        match how {
            Brought::Linked => self.exported.linked += 1,
            Brought::Cloned => self.exported.cloned += 1,
            Brought::Copied => {
                self.exported.copied += 1;
                self.exported.bytes_copied += blob.size;
            }
        }
        Ok(true)
    }

    /// Puts these bytes at `path`, unless they are there.
    pub(super) async fn put(&self, path: PathBuf, bytes: Vec<u8>) -> Result<(), Error> {
        blocking(move || {
            make_folder(path.parent().unwrap_or(&path))?;
            if fs::read(&path).is_ok_and(|found| found == bytes) {
                return Ok(());
            }
            let draft = draft_of(&path);
            forget(&draft)?;
            let write = || fs::File::create_new(&draft)?.write_all(&bytes);
            write().map_err(|source| refused(&draft, source))?;
            rename(&draft, &path)
        })
        .await
    }
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".landfall.tmp");
    path.with_file_name(name)
}

/// Removes what an export that was cut off left.
fn forget(draft: &Path) -> Result<(), ExportError> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(draft, error)),
        _ => Ok(()),
    }
}

fn rename(draft: &Path, path: &Path) -> Result<(), ExportError> {
    fs::rename(draft, path).map_err(|source| refused(path, source))?;
    // Two names of one file are left as they are by a rename: the draft may still be there.
    forget(draft)
}

fn make_folder(path: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(path).map_err(|source| refused(path, source))
}

fn refused(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Runs `work` where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Err(ExportError::Write { source, .. })) if source.kind() == io::ErrorKind::StorageFull => {
            Err(Error::NoRoom)
        }
        Ok(outcome) => Ok(outcome?),
        Err(failed) => Err(Error::Interrupted(failed.to_string())),
    }
}
