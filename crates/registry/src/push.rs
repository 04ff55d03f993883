//! Pushing a manifest: parse, check, then one transaction that holds body, edges, referrer entry and tags.
//!
//! A reader sees the tag's old target or the new one, never none. Crash points: before the commit nothing happened,
//! after it everything did. Memory: the document's bytes are the caller's, and go back to it with the answer; what is made
//! of a large one has a place on a desk that all pushes share. Fails: as an [`Error`] says; `Busy` where the desk stays full.
//! Source: distribution-spec "Pushing manifests", "Pushing manifests with subject"; P-PUT in ARCHITECTURE.md.

use std::sync::Arc;
use std::time::Duration;

use access::{Permit, Push};
use bytes::Bytes;
use catalog::{Child, Edge, EdgeKind, NewManifest, PutManifest};
use oci::{Algorithm, Descriptor, Digest, Manifest, Reference, Tag};
use store::Hasher;
use tokio::sync::OwnedSemaphorePermit;

use crate::{Error, Registry};

/// Memory for what pushes make of their documents: 32 MiB.
pub(crate) const DESK_KIB: usize = 32 * 1024;
/// How long a push waits for its place on the desk.
const DESK_WAIT: Duration = Duration::from_secs(30);
/// What is made of a document has at most about so many times its size: its parts, and its annotations as they are kept.
const WORK_WEIGHT: usize = 3;
/// Documents of so many bytes are common: they need no place, and are parsed here and now, which takes less than the way to
/// another thread.
const SMALL: usize = 16 * 1024;
/// What an edge takes in memory.
const EDGE_BYTES: usize = 128;

/// A manifest as a client sends it.
#[derive(Clone, Debug)]
pub struct ManifestPush {
    /// Where to: a tag, or the digest that the body must have.
    pub reference: Reference,
    /// The request's `Content-Type`.
    pub content_type: Option<String>,
    /// The document.
    pub body: Bytes,
    /// Further tags; only with a digest.
    pub tags: Vec<Tag>,
    /// What must hold of the tag.
    pub precondition: Precondition,
}

/// What must hold of the tag before it is moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// There is no such tag.
    TagAbsent,
    /// The tag leads to this manifest.
    TagIs(Digest),
}

/// What a push did.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Where the manifest is now.
    pub digest: Digest,
    /// What it refers to, if it does.
    pub subject: Option<Digest>,
}

impl Registry {
    /// Stores a manifest and moves its tags. Acknowledged means that all of it is durable.
    pub async fn push_manifest(&self, permit: &Permit<Push>, push: ManifestPush) -> Result<Pushed, Error> {
        self.may_write()?;
        let max = self.rules().manifest_bytes_max;
        if push.body.len() as u64 > max {
            return Err(Error::ManifestTooLarge { max });
        }
        let (repository, actor) = (permit.repository().clone(), permit.actor().map(str::to_owned));
        let remote = permit.remote().map(|remote| remote.to_string());
        let registry = self.clone();
        self.to_the_end(async move {
            let mut place = registry.place(push.body.len()).await?;
            let plan = if push.body.len() <= SMALL {
                registry.plan(push, repository, actor)?
            } else {
                let checker = registry.clone();
                tokio::task::spawn_blocking(move || checker.plan(push, repository, actor))
                    .await
                    .map_err(|failed| Error::Interrupted(failed.to_string()))??
            };
            if let Some(place) = &mut place {
                // While it waits for its commit, the parts that were read are gone.
                let spare = place
                    .num_permits()
                    .saturating_sub(kept_bytes(&plan).div_ceil(1024));
                drop(place.split(spare));
            }
            let pushed = Pushed {
                digest: plan.digest.clone(),
                subject: plan.subject.clone(),
            };
            let to = plan.repo.clone();
            let put = registry
                .write_under_quota(&to, move |tx| {
                    tx.asked_from(remote.as_deref());
                    catalog::put_manifest(tx, &plan)
                })
                .await;
            drop(place);
            match put? {
                PutManifest::Stored { .. } => Ok(pushed),
                PutManifest::Missing(missing) => Err(Error::Missing(missing)),
                PutManifest::PreconditionFailed => Err(Error::PreconditionFailed),
            }
        })
        .await
    }

    /// A place on the desk for the work on a document of so many bytes; a small one needs none.
    async fn place(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Error> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let kib = bytes.saturating_mul(WORK_WEIGHT).div_ceil(1024).min(DESK_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.inner.desk).acquire_many_owned(kib);
        match tokio::time::timeout(DESK_WAIT, place).await {
            Ok(Ok(place)) => Ok(Some(place)),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }

    /// Everything that can be decided without the catalog.
    fn plan(
        &self,
        push: ManifestPush,
        repo: oci::RepositoryName,
        actor: Option<String>,
    ) -> Result<NewManifest, Error> {
        let rules = self.rules();
        let manifest = Manifest::parse(&push.body, push.content_type.as_deref())?;
        let (digest, tags) = match push.reference {
            Reference::Tag(tag) => (Hasher::digest(Algorithm::Sha256, &push.body), vec![tag]),
            Reference::Digest(expected) => {
                let actual = Hasher::digest(expected.algorithm(), &push.body);
                if actual != expected {
                    return Err(Error::DigestMismatch { expected, actual });
                }
                (expected, push.tags)
            }
        };
        if rules.references_checked {
            for descriptor in manifest
                .config
                .iter()
                .chain(&manifest.layers)
                .chain(&manifest.manifests)
            {
                rules.urls.check(descriptor)?;
            }
        }
        let annotations = (!manifest.annotations.is_empty())
            .then(|| {
                serde_json::to_string(&manifest.annotations).map_err(|e| Error::Interrupted(e.to_string()))
            })
            .transpose()?;
        Ok(NewManifest {
            repo,
            digest,
            media_type: manifest.media_type.as_str().to_owned(),
            artifact_type: manifest.listed_artifact_type().map(str::to_owned),
            annotations,
            subject: manifest.subject.as_ref().map(|subject| subject.digest.clone()),
            blobs: self.edges(&manifest),
            children: manifest
                .manifests
                .iter()
                .enumerate()
                .map(|(ord, child)| self.child(ord, child))
                .collect(),
            // No copy: these bytes hold their room in memory until the commit is answered.
            body: push.body,
            tags,
            precondition: match push.precondition {
                Precondition::None => catalog::Precondition::None,
                Precondition::TagAbsent => catalog::Precondition::TagAbsent,
                Precondition::TagIs(digest) => catalog::Precondition::TagIs(digest),
            },
            now: self.now(),
            keep_ms: self.keep_ms(),
            actor,
        })
    }

    fn edges(&self, manifest: &Manifest) -> Vec<Edge> {
        let required = self.rules().references_checked;
        let config = manifest.config.iter().map(|config| (config, EdgeKind::Config));
        let layers = manifest.layers.iter().map(|layer| (layer, EdgeKind::Layer));
        config
            .chain(layers)
            .zip(0..)
            .map(|((descriptor, kind), ord)| Edge {
                ord,
                digest: descriptor.digest.clone(),
                size: descriptor.size,
                kind,
                required: required && !descriptor.is_foreign(),
            })
            .collect()
    }

    fn child(&self, ord: usize, child: &Descriptor) -> Child {
        let rules = self.rules();
        let platform = child.platform.as_ref().map(platform_text);
        Child {
            ord: i64::try_from(ord).unwrap_or(i64::MAX),
            digest: child.digest.clone(),
            size: child.size,
            platform,
            required: rules.references_checked && rules.index.requires(child),
        }
    }
}

/// What a manifest that waits for its commit has in memory beside its document.
fn kept_bytes(new: &NewManifest) -> usize {
    let edges = new.blobs.len() + new.children.len();
    new.annotations.as_ref().map_or(0, String::len) + edges * EDGE_BYTES
}

/// `linux/arm64/v8`, as it is kept.
pub(crate) fn platform_text(platform: &oci::Platform) -> String {
    match &platform.variant {
        Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
        None => format!("{}/{}", platform.os, platform.architecture),
    }
}
