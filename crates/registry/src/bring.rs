//! Content that comes from a file of ours (a backup, a bundle) instead of a client, and becomes what a push of it would have
//! become: blobs published, manifests put, tags set and written into their history.
//!
//! Nothing that a manifest names has to be here: whoever brings it has looked. What was deleted here comes back, as a push
//! brings it back. Quotas and immutable tags hold, as for a push.
//! Units: bytes. Fails: `DigestMismatch` (nothing of that blob stays), `OverQuota`, `TagImmutable`, `NoRoom`, a disk, a catalog.

use std::io::Read;

use access::{Caller, Permit, Push};
use bytes::Bytes;
use catalog::{BlobState, PutManifest, Tx};
use oci::{Digest, RepositoryName, Tag};

use crate::adopt::document;
use crate::hashing::STEP;
use crate::{Body, BodyCut, Chunk, Error, Registry};

/// A manifest that is brought.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    pub(crate) digest: Digest,
    /// What it was served as.
    pub(crate) media_type: String,
    pub(crate) body: Vec<u8>,
    /// The tags that lead to it.
    pub(crate) tags: Vec<Tag>,
}

impl Registry {
    /// What is known of these blobs, in their order.
    pub(crate) async fn states_of(
        &self,
        repo: &RepositoryName,
        digests: Vec<Digest>,
    ) -> Result<Vec<BlobState>, Error> {
        let repo = repo.clone();
        let states = move |tx: &mut Tx<'_>| catalog::blob_states(tx, &repo, &digests);
        Ok(self.inner.catalog.read(states).await?)
    }

    /// Lets a repository serve a blob whose bytes are here. False if they went meanwhile. Fails: a quota.
    pub(crate) async fn link_stored(&self, repo: &RepositoryName, digest: Digest) -> Result<bool, Error> {
        self.may_write()?;
        let (to, now, keep_ms) = (repo.clone(), self.now(), self.rules().lease_ms);
        let link = move |tx: &mut Tx<'_>| catalog::link_stored(tx, &to, &digest, now, keep_ms);
        self.write_under_quota(repo, link).await
    }

    /// Brings a blob by an upload, which hashes it and makes it durable.
    pub(crate) async fn bring_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        source: Box<dyn Read + Send>,
    ) -> Result<(), Error> {
        let upload = self.begin_upload(permit, digest.algorithm()).await?;
        let body = FileBody { source: Some(source) };
        let appended = self.append(permit, upload.id, Chunk::default(), body).await;
        if let Err(error) = appended {
            // The first failure says more than one of the clean-up.
            let _ = self.cancel_upload(permit, upload.id).await;
            return Err(error);
        }
        self.finish_upload(permit, upload.id, digest.clone(), Chunk::default(), Nothing)
            .await
    }

    /// Stores manifests in this order, so that those that others list come first, and sets their tags; how many were not here.
    pub(crate) async fn bring_manifests(
        &self,
        repo: &RepositoryName,
        manifests: Vec<Brought>,
        actor: Option<String>,
    ) -> Result<u64, Error> {
        self.bring_manifests_because(repo, manifests, actor, None).await
    }

    /// The same, with a reason that the history of the tags gives.
    pub(crate) async fn bring_manifests_because(
        &self,
        repo: &RepositoryName,
        manifests: Vec<Brought>,
        actor: Option<String>,
        reason: Option<String>,
    ) -> Result<u64, Error> {
        self.may_write()?;
        let (now, keep_ms) = (self.now(), self.keep_ms());
        let mut documents = Vec::with_capacity(manifests.len());
        for brought in manifests {
            let document = document::of_bytes(brought.body, repo, &brought.digest)
                .map_err(|found| Error::Interrupted(format!("{}: {found}", brought.digest)))?;
            let mut manifest = document.manifest;
            manifest.media_type = brought.media_type;
            manifest.tags = brought.tags;
            manifest.actor.clone_from(&actor);
            (manifest.now, manifest.keep_ms) = (now, keep_ms);
            documents.push(manifest);
        }
        let put = move |tx: &mut Tx<'_>| {
            let mut new = 0;
            tx.done_because(reason.as_deref());
            for manifest in &documents {
                match catalog::put_manifest(tx, manifest)? {
                    PutManifest::Stored { created } => new += u64::from(created),
                    other => {
                        return Err(catalog::Error::Impossible(format!(
                            "a manifest that demands nothing was refused: {other:?}"
                        )));
                    }
                }
            }
            Ok(new)
        };
        self.write_under_quota(repo, put).await
    }
}

/// The right to push to a repository, for whoever owns the data.
pub(crate) fn owner_of(repo: &RepositoryName) -> Result<Permit<Push>, Error> {
    Caller::anybody()
        .may(Push, repo)
        .map_err(|denied| Error::Interrupted(denied.to_string()))
}

/// A body that is read from a file.
struct FileBody {
    /// None while it is being read from, and at the end.
    source: Option<Box<dyn Read + Send>>,
}

impl Body for FileBody {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        let mut source = self.source.take()?;
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::with_capacity(STEP);
            let read = source.by_ref().take(STEP as u64).read_to_end(&mut bytes);
            read.map(|_| (bytes, source))
        });
        match read.await {
            Ok(Ok((bytes, _))) if bytes.is_empty() => None,
            Ok(Ok((bytes, source))) => {
                self.source = Some(source);
                Some(Ok(bytes.into()))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a file could not be read to its end");
                Some(Err(BodyCut))
            }
            Err(_) => Some(Err(BodyCut)),
        }
    }
}

/// A body without bytes.
struct Nothing;

impl Body for Nothing {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        None
    }
}
