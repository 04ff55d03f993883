//! Pushing a manifest: parse, check, then one transaction that holds body, edges, referrer entry and tags.
//!
//! A reader sees the tag's old target or the new one, never none. Crash points: before the commit nothing happened,
//! after it everything did.
//! Source: distribution-spec "Pushing manifests", "Pushing manifests with subject"; P-PUT in ARCHITECTURE.md.

use access::{Permit, Push};
use bytes::Bytes;
use catalog::{Child, Edge, EdgeKind, NewManifest, PutManifest};
use oci::{Algorithm, Descriptor, Digest, Manifest, Reference, Tag};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{Error, Registry};

/// What is parsed here and now: it takes less than the way to another thread.
const AT_ONCE_MAX: usize = 16 * 1024;

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
        let registry = self.clone();
        self.to_the_end(async move {
            let plan = if push.body.len() <= AT_ONCE_MAX {
                registry.plan(push, repository, actor)?
            } else {
                let checker = registry.clone();
                tokio::task::spawn_blocking(move || checker.plan(push, repository, actor))
                    .await
                    .map_err(|failed| Error::Interrupted(failed.to_string()))??
            };
            let pushed = Pushed {
                digest: plan.digest.clone(),
                subject: plan.subject.clone(),
            };
            match registry
                .inner
                .catalog
                .write(move |tx| catalog::put_manifest(tx, &plan))
                .await?
            {
                PutManifest::Stored { .. } => Ok(pushed),
                PutManifest::Missing(missing) => Err(Error::Missing(missing)),
                PutManifest::PreconditionFailed => Err(Error::PreconditionFailed),
            }
        })
        .await
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
            Reference::Tag(tag) => (digest_of(Algorithm::Sha256, &push.body), vec![tag]),
            Reference::Digest(expected) => {
                let actual = digest_of(expected.algorithm(), &push.body);
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
            body: push.body.to_vec(),
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

/// `linux/arm64/v8`, as it is kept.
pub(crate) fn platform_text(platform: &oci::Platform) -> String {
    match &platform.variant {
        Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
        None => format!("{}/{}", platform.os, platform.architecture),
    }
}

pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::Sha256(Sha256::digest(bytes).into()),
        Algorithm::Sha512 => Digest::Sha512(Box::new(Sha512::digest(bytes).into())),
    }
}
