//! Manifests: look, read, delete; tags that lead to them.
//!
//! Units: sizes are bytes. Shape: the body is the exact bytes that were pushed. Fails: `ManifestUnknown` (also for an
//! unknown repository), `ManifestInUse`.
//! Source: distribution-spec "Pulling manifests", "Deleting tags", "Deleting manifests".

use std::sync::Arc;

use access::{Delete, Permit, Pull};
use bytes::Bytes;
use catalog::{Aspect, ManifestRecord, Trashed};
use oci::{Digest, Reference, RepositoryName};

use crate::history::By;
use crate::pulls::Counter;
use crate::recall::{Answer, Open};
use crate::{Error, Registry};

/// What a HEAD tells of a manifest.
#[derive(Clone, Debug)]
pub struct ManifestStat {
    /// The digest that it is stored under here.
    pub digest: Digest,
    /// Its media type, as pushed.
    pub media_type: String,
    /// Bytes that it has.
    pub size: u64,
}

/// A manifest as it was pushed.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    /// What a HEAD tells of it.
    pub stat: ManifestStat,
    /// Its bytes.
    pub body: Bytes,
    /// Where its pulls are counted.
    pulls: Option<Arc<Counter>>,
}

/// What a manifest is asked by.
pub(crate) type ManifestAsked = (RepositoryName, Reference);

/// A manifest as the catalog told of it.
#[derive(Clone)]
pub(crate) struct KnownManifest {
    stat: ManifestStat,
    /// None where only the rest was asked for.
    body: Option<Bytes>,
    review_at: Option<i64>,
    pulls: Option<Arc<Counter>>,
}

impl KnownManifest {
    fn new(record: &ManifestRecord, body: Option<Bytes>, pulls: Option<Arc<Counter>>) -> Self {
        Self {
            stat: ManifestStat {
                digest: record.digest.clone(),
                media_type: record.media_type.clone(),
                size: record.size,
            },
            body,
            review_at: record.review_at,
            pulls,
        }
    }
}

impl Answer for KnownManifest {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }
}

impl Registry {
    /// Digest, type and size of a manifest, without its bytes.
    pub async fn stat_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<ManifestStat, Error> {
        let (now, keep_ms) = (self.now(), self.keep_ms());
        let (known, open) = self.look(permit, reference);
        if let Some(known) = known.filter(|known| !self.must_renew(reference, known.review_at)) {
            return Ok(known.stat);
        }
        let (repository, wanted) = (permit.repository().clone(), reference.clone());
        let find =
            move |tx: &mut catalog::Tx<'_>| catalog::stat_manifest(tx, &repository, &wanted, now, keep_ms);
        let found = self.inner.catalog.read(find).await?;
        // One that is damaged must be pushed again, so it is not here: nobody may skip that.
        let record = found.filter(|record| !record.is_damaged);
        let record = record.ok_or_else(|| Error::ManifestUnknown(reference.clone()))?;
        let known = KnownManifest::new(&record, None, None);
        self.settle(permit, reference, &known, open).await?;
        Ok(known.stat)
    }

    /// A manifest and its bytes.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<StoredManifest, Error> {
        let (now, keep_ms) = (self.now(), self.keep_ms());
        let (known, open) = self.look(permit, reference);
        if let Some(KnownManifest {
            stat,
            body: Some(body),
            review_at,
            pulls,
        }) = known
            && !self.must_renew(reference, review_at)
        {
            return Ok(StoredManifest { stat, body, pulls });
        }
        let (repository, wanted) = (permit.repository().clone(), reference.clone());
        let find =
            move |tx: &mut catalog::Tx<'_>| catalog::find_manifest(tx, &repository, &wanted, now, keep_ms);
        let found = self.inner.catalog.read(find).await?;
        let Some((record, body)) = found else {
            return Err(self.what_became_of_manifest(permit, reference).await);
        };
        if record.is_damaged {
            return Err(Error::ManifestDamaged(record.digest));
        }
        let body = Bytes::from(body);
        let pulls = self
            .inner
            .tally
            .counter(permit.repository(), &record.digest, reference);
        let known = KnownManifest::new(&record, Some(body.clone()), pulls.clone());
        self.settle(permit, reference, &known, open).await?;
        Ok(StoredManifest {
            stat: known.stat,
            body,
            pulls,
        })
    }

    /// Counts a pull of a manifest that is about to be sent. No lock, no write: that comes later, for many at once.
    pub fn count_pull(&self, manifest: &StoredManifest) {
        if let Some(counter) = &manifest.pulls {
            counter.count(self.now());
        }
    }

    fn look(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> (Option<KnownManifest>, Open<ManifestAsked>) {
        let stamp = self.inner.catalog.stamp(permit.repository(), Aspect::Manifests);
        let asked = (permit.repository().clone(), reference.clone());
        self.inner.manifests.look(asked, stamp)
    }

    /// A pusher who sees a child by digest counts on it until the index comes.
    fn must_renew(&self, reference: &Reference, review_at: Option<i64>) -> bool {
        matches!(reference, Reference::Digest(_))
            && catalog::should_renew(review_at, self.now(), self.keep_ms())
            && !self.rules().read_only
    }

    /// Keeps what the catalog told, or, where its time must be renewed first, does that.
    async fn settle(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
        known: &KnownManifest,
        open: Open<ManifestAsked>,
    ) -> Result<(), Error> {
        if !self.must_renew(reference, known.review_at) {
            self.inner.manifests.keep(open, known);
            return Ok(());
        }
        let (repository, digest) = (permit.repository().clone(), known.stat.digest.clone());
        let (now, keep_ms) = (self.now(), self.keep_ms());
        let touch =
            move |tx: &mut catalog::Tx<'_>| catalog::touch_manifest(tx, &repository, &digest, now, keep_ms);
        match self.inner.catalog.write(touch).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::ManifestUnknown(reference.clone())),
            // A catalog that takes no writes stops no pull.
            Err(error) => {
                tracing::debug!(%error, "a manifest's time could not be renewed");
                Ok(())
            }
        }
    }

    /// Deletes a tag, or a manifest with its tags and its untagged referrers. It goes to the trash.
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, reference: &Reference) -> Result<(), Error> {
        self.may_delete()?;
        let repository = permit.repository().clone();
        let by = By::of(permit);
        let now = self.now();
        let unknown = self.what_is_unknown(permit, reference);
        match reference.clone() {
            Reference::Tag(tag) => match self.delete_tag(permit, &tag).await? {
                Some(_) => Ok(()),
                None => Err(unknown.await),
            },
            Reference::Digest(digest) => {
                let (wanted, undo_ms) = (digest.clone(), self.rules().undo_window_ms);
                let trashed = self
                    .write_even_when_full(move |tx| {
                        by.sign(tx);
                        catalog::trash_manifest(tx, &repository, &wanted, now, undo_ms, by.actor())
                    })
                    .await?;
                match trashed {
                    Trashed::Done { .. } => Ok(()),
                    Trashed::Unknown => Err(unknown.await),
                    Trashed::ListedBy(by) => Err(Error::ManifestInUse { digest, by }),
                }
            }
        }
    }

    /// Which of the two is not there: the repository, or the manifest in it.
    async fn what_is_unknown(&self, permit: &Permit<Delete>, reference: &Reference) -> Error {
        let repository = permit.repository().clone();
        let exists = self
            .inner
            .catalog
            .read(move |tx| catalog::repo_exists(tx, &repository))
            .await;
        match exists {
            Ok(true) => Error::ManifestUnknown(reference.clone()),
            Ok(false) => Error::RepositoryUnknown(permit.repository().clone()),
            Err(error) => error.into(),
        }
    }

    /// How long an untagged manifest is safe: the longer of the lease and the time before retention may look at it.
    pub(crate) fn keep_ms(&self) -> i64 {
        self.rules().lease_ms.max(self.rules().untagged_keep_ms)
    }

    /// A write that makes room: on a full disk it takes the reserve that was kept for it.
    pub(crate) async fn write_even_when_full<T: Send + 'static>(
        &self,
        operation: impl Fn(&mut catalog::Tx<'_>) -> Result<T, catalog::Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        match self.inner.catalog.write(operation.clone()).await {
            Err(catalog::Error::NoRoom { .. }) => {
                self.inner.store.release_reserve().await?;
                Ok(self.inner.catalog.write(operation).await?)
            }
            other => Ok(other?),
        }
    }
}
