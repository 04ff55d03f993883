//! Blobs: look, read, mount, delete.
//!
//! A "yes, it is here" to somebody who may push is a promise that the blob stays for a lease, because clients skip the
//! upload then. Fails: `BlobUnknown` (also where only another repository has it), `BlobDamaged`, `BlobInUse`.
//! Source: distribution-spec "Pulling blobs", "Mounting a blob from another repository", "Deleting blobs".

use access::{Caller, Delete, Permit, Pull, Push};
use bytes::Bytes;
use catalog::{Aspect, Health, MountSource, Unlinked};
use oci::{Digest, RepositoryName};
use store::{BlobFile, Location};

use crate::damage::Damage;
use crate::history::By;
use crate::recall::Answer;
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

/// What a blob is asked by.
pub(crate) type BlobAsked = (RepositoryName, Digest);

/// A blob as the catalog told of it.
#[derive(Clone)]
pub(crate) struct KnownBlob {
    size: u64,
    place: Place,
    review_at: Option<i64>,
}

#[derive(Clone)]
enum Place {
    File(Location),
    Inline(Bytes),
    Damaged,
}

impl Answer for KnownBlob {
    fn bytes(&self) -> usize {
        match &self.place {
            Place::Inline(bytes) => bytes.len(),
            Place::File(_) | Place::Damaged => 0,
        }
    }
}

impl Registry {
    /// The size of a blob, without opening it.
    pub async fn blob_size(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<u64, Error> {
        let known = self.find_blob(permit, digest).await?;
        match known.place {
            // A missing answer makes the next push send the bytes again, which repairs it.
            Place::Damaged => Err(Error::BlobUnknown(digest.clone())),
            Place::File(_) | Place::Inline(_) => Ok(known.size),
        }
    }

    /// Opens a blob.
    pub async fn open_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<Blob, Error> {
        let known = match self.find_blob(permit, digest).await {
            Err(Error::BlobUnknown(_)) => return Err(self.what_became_of_blob(permit, digest).await),
            other => other?,
        };
        let content = match known.place {
            Place::Damaged => return Err(Error::BlobDamaged(digest.clone())),
            Place::Inline(bytes) => Content::Inline(bytes),
            Place::File(location) => match self.inner.store.open_blob(&location, known.size).await {
                Ok(file) => Content::File(file),
                Err(error) => return Err(self.cannot_open(digest, &location, error).await),
            },
        };
        Ok(Blob {
            digest: digest.clone(),
            size: known.size,
            content,
        })
    }

    /// What to answer where a blob's file cannot be opened. One that is missing or of the wrong size is written down as
    /// damaged; one that the disk cannot open is read back as soon as may be.
    async fn cannot_open(&self, digest: &Digest, location: &Location, error: store::Error) -> Error {
        match Damage::of(&error) {
            Some(damage) if damage.is_certain() => {
                self.note_damage(digest, Some(&location.to_string()), &damage)
                    .await;
                Error::BlobDamaged(digest.clone())
            }
            Some(_) => {
                self.inner.store.suspect(location);
                error.into()
            }
            None => error.into(),
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
        let Ok(location) = location.parse() else {
            return Ok(());
        };
        if let Err(error) = self.inner.store.open_blob(&location, size).await {
            // A push need not know: its bytes are about to take the place of those.
            drop(self.cannot_open(digest, &location, error).await);
        }
        Ok(())
    }

    async fn find_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<KnownBlob, Error> {
        let (now, lease_ms) = (self.now(), self.rules().lease_ms);
        let must_renew = |known: &KnownBlob| {
            catalog::should_renew(known.review_at, now, lease_ms) && !self.rules().read_only
        };
        let stamp = self.inner.catalog.stamp(permit.repository(), Aspect::Blobs);
        let asked = (permit.repository().clone(), digest.clone());
        let (known, open) = self.inner.blobs.look(asked, stamp);
        if let Some(known) = known.filter(|known| !must_renew(known)) {
            return Ok(known);
        }
        let (repository, wanted) = (permit.repository().clone(), digest.clone());
        let find = {
            let (repository, wanted) = (repository.clone(), wanted.clone());
            move |tx: &mut catalog::Tx<'_>| read_blob(tx, &repository, &wanted, now, lease_ms)
        };
        let known = self.inner.catalog.read(find).await?;
        let known = known.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        if !must_renew(&known) {
            self.inner.blobs.keep(open, &known);
            return Ok(known);
        }
        let touch =
            move |tx: &mut catalog::Tx<'_>| catalog::touch_blob(tx, &repository, &wanted, now, lease_ms);
        match self.inner.catalog.write(touch).await {
            Ok(true) => {}
            Ok(false) => return Err(Error::BlobUnknown(digest.clone())),
            // A catalog that takes no writes stops no pull. What this look promises to a pusher is checked again
            // when the manifest comes.
            Err(error) => tracing::debug!(%error, "a blob's lease could not be renewed"),
        }
        Ok(known)
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
        let (now, lease_ms) = (self.now(), self.rules().lease_ms);
        let repository = into.repository().clone();
        let mount = move |tx: &mut catalog::Tx<'_>| {
            catalog::mount_blob(tx, &source, &repository, &digest, now, lease_ms)
        };
        self.write_under_quota(into.repository(), mount).await
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
        let by = By::of(permit);
        let (now, undo_ms) = (self.now(), self.rules().undo_window_ms);
        let unlinked = self
            .write_even_when_full(move |tx| {
                by.sign(tx);
                catalog::unlink_blob(tx, &repository, &wanted, now, undo_ms, by.actor())
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

/// A blob and, where it is in the catalog, its bytes: in one transaction.
fn read_blob(
    tx: &mut catalog::Tx<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    now: i64,
    lease_ms: i64,
) -> Result<Option<KnownBlob>, catalog::Error> {
    let Some(record) = catalog::find_blob(tx, repository, digest, now, lease_ms)? else {
        return Ok(None);
    };
    let place = match (record.health, record.location.map(|location| location.parse())) {
        (Health::Bad, _) | (_, Some(Err(_))) => Place::Damaged,
        (_, Some(Ok(location))) => Place::File(location),
        (_, None) => match catalog::inline_bytes(tx, digest)? {
            Some(bytes) => Place::Inline(bytes.into()),
            None => return Ok(None),
        },
    };
    Ok(Some(KnownBlob {
        size: record.size,
        place,
        review_at: record.review_at,
    }))
}
