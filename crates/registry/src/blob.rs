//! Blobs: look, read, mount, delete.
//!
//! A "yes, it is here" to somebody who may push is a promise that the blob stays for a lease, because clients skip the
//! upload then. Fails: `BlobUnknown` (also where only another repository has it), `BlobDamaged`, `BlobInUse`.
//! Source: distribution-spec "Pulling blobs", "Mounting a blob from another repository", "Deleting blobs".

use access::{Caller, Delete, Permit, Pull, Push};
use bytes::Bytes;
use catalog::{BlobRecord, Health, MountSource, Unlinked};
use oci::{Digest, RepositoryName};
use store::BlobFile;

use crate::{Error, Registry};

/// How many repositories are looked at for one that a blob may be mounted from.
const SOURCES_MAX: usize = 64;

/// A blob, ready to be read.
#[derive(Debug)]
pub struct Blob {
    /// What it was asked by.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Where they are.
    pub content: Content,
}

/// Where a blob's bytes are.
#[derive(Debug)]
pub enum Content {
    /// Small, and in the catalog.
    Inline(Bytes),
    /// In a file of its own.
    File(BlobFile),
}

/// Which repositories a mount may take a blob from.
#[derive(Clone, Copy, Debug)]
pub enum MountFrom<'a> {
    /// This one.
    Repository(&'a Permit<Pull>),
    /// Any that the caller may pull.
    Anywhere(&'a Caller),
}

impl Registry {
    /// The size of a blob, without opening it.
    pub async fn blob_size(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<u64, Error> {
        let record = self.find_blob(permit, digest).await?;
        match record.health {
            // A missing answer makes the next push send the bytes again, which repairs it.
            Health::Bad => Err(Error::BlobUnknown(digest.clone())),
            Health::Good | Health::Suspect => Ok(record.size),
        }
    }

    /// Opens a blob.
    pub async fn open_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<Blob, Error> {
        let record = self.find_blob(permit, digest).await?;
        let content = match (record.health, record.location) {
            (Health::Bad, _) => return Err(Error::BlobDamaged(digest.clone())),
            (_, Some(location)) => {
                let location = location.parse().map_err(|_| Error::BlobDamaged(digest.clone()))?;
                match self.inner.store.open_blob(&location, record.size).await {
                    Ok(file) => Content::File(file),
                    Err(store::Error::Missing { .. } | store::Error::ShortFile { .. }) => {
                        self.mark_bad(digest, location.to_string()).await;
                        return Err(Error::BlobDamaged(digest.clone()));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            (_, None) => {
                let wanted = digest.clone();
                let bytes = self
                    .inner
                    .catalog
                    .read(move |tx| catalog::inline_bytes(tx, &wanted))
                    .await?;
                Content::Inline(bytes.ok_or_else(|| Error::BlobUnknown(digest.clone()))?.into())
            }
        };
        Ok(Blob {
            digest: digest.clone(),
            size: record.size,
            content,
        })
    }

    /// Writes down that a blob's file is missing or of the wrong size: from now on it is not "here" for a pusher, so
    /// that the next push brings its bytes, which repairs it.
    async fn mark_bad(&self, digest: &Digest, location: String) {
        tracing::error!(%digest, location, "a blob's file is missing or damaged; a push of the blob repairs it");
        let digest = digest.clone();
        let mark =
            move |tx: &mut catalog::Tx<'_>| catalog::mark_blob(tx, &digest, Some(&location), Health::Bad);
        if let Err(error) = self.inner.catalog.write(mark).await {
            tracing::warn!(%error, "the damage could not be written down");
        }
    }

    /// Before a second copy of a blob is dropped in favour of the first, the first must be there.
    pub(crate) async fn check_first_copy(&self, digest: &Digest) -> Result<(), Error> {
        let wanted = digest.clone();
        let stored = self
            .inner
            .catalog
            .read(move |tx| catalog::stored_file(tx, &wanted))
            .await?;
        let Some((location, size)) = stored else {
            return Ok(());
        };
        let opened = match location.parse() {
            Ok(parsed) => self.inner.store.open_blob(&parsed, size).await.map(drop),
            Err(_) => return Ok(()),
        };
        if let Err(store::Error::Missing { .. } | store::Error::ShortFile { .. }) = opened {
            self.mark_bad(digest, location).await;
        }
        Ok(())
    }

    async fn find_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<BlobRecord, Error> {
        let (repository, wanted) = (permit.repository().clone(), digest.clone());
        let (now, lease_ms) = (self.now(), self.rules().lease_ms);
        let found = {
            let (repository, wanted) = (repository.clone(), wanted.clone());
            move |tx: &mut catalog::Tx<'_>| catalog::find_blob(tx, &repository, &wanted, now, lease_ms)
        };
        let record = self.inner.catalog.read(found).await?;
        let record = record.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        if record.renew && !self.rules().read_only {
            let touch =
                move |tx: &mut catalog::Tx<'_>| catalog::touch_blob(tx, &repository, &wanted, now, lease_ms);
            match self.inner.catalog.write(touch).await {
                Ok(true) => {}
                Ok(false) => return Err(Error::BlobUnknown(digest.clone())),
                // A catalog that takes no writes stops no pull. What this look promises to a pusher is checked again
                // when the manifest comes.
                Err(error) => tracing::debug!(%error, "a blob's lease could not be renewed"),
            }
        }
        Ok(record)
    }

    /// Lets the permit's repository serve a blob that another one has. False where there is none to mount: the
    /// answer is the same for "no such blob" and "no right to see it".
    pub async fn mount_blob(
        &self,
        into: &Permit<Push>,
        from: MountFrom<'_>,
        digest: Digest,
    ) -> Result<bool, Error> {
        self.may_write()?;
        let source = match from {
            MountFrom::Repository(permit) => MountSource::Repo(permit.repository().clone()),
            MountFrom::Anywhere(caller) => match self.visible_source(caller, &digest).await? {
                Some(repository) => MountSource::Repo(repository),
                None => return Ok(false),
            },
        };
        let into = into.repository().clone();
        let (now, lease_ms) = (self.now(), self.rules().lease_ms);
        let mount =
            move |tx: &mut catalog::Tx<'_>| catalog::mount_blob(tx, &source, &into, &digest, now, lease_ms);
        Ok(self.inner.catalog.write(mount).await?)
    }

    /// A repository that has the blob and that the caller may know of.
    async fn visible_source(
        &self,
        caller: &Caller,
        digest: &Digest,
    ) -> Result<Option<RepositoryName>, Error> {
        let wanted = digest.clone();
        let find = move |tx: &mut catalog::Tx<'_>| catalog::repos_with_blob(tx, &wanted, SOURCES_MAX);
        let names = self.inner.catalog.read(find).await?;
        Ok(names
            .iter()
            .filter_map(|name| name.parse().ok())
            .find(|name| caller.visible(name)))
    }

    /// Takes a blob out of the permit's repository; it can be brought back until the undo window ends.
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), Error> {
        self.may_delete()?;
        let (repository, wanted) = (permit.repository().clone(), digest.clone());
        let actor = permit.actor().map(str::to_owned);
        let (now, undo_ms) = (self.now(), self.rules().undo_window_ms);
        let unlinked = self
            .write_even_when_full(move |tx| {
                catalog::unlink_blob(tx, &repository, &wanted, now, undo_ms, actor.as_deref())
            })
            .await?;
        match unlinked {
            Unlinked::Hidden => Ok(()),
            Unlinked::Unknown => Err(Error::BlobUnknown(digest.clone())),
            Unlinked::Referenced { by } => Err(Error::BlobInUse {
                digest: digest.clone(),
                by,
            }),
        }
    }
}
