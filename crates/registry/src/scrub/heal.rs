//! Healing: the right bytes, from wherever they come, take the place of damaged ones.
//!
//! They come by the same way as a push: streamed to a file, hashed, made durable, at a place of their own, and only then named
//! by the row (P-PUBLISH (c)). Nothing that is not what the digest names is ever used.
//! Fails: `NotDamaged`, `DigestMismatch` (what came is something else), `NoRoom`, `BodyCut`.

use catalog::{Damaged, Place, Tx};
use oci::Digest;
use store::{Hasher, Plan};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::is_digest;
use super::source::{Source, SourceError};
use crate::adopt::RemoteError;
use crate::{Body, Error, Registry};

/// Damaged things of one look at the catalog.
const PAGE: usize = 32;

impl Registry {
    /// Gives what is damaged the bytes of `body`, if they are what `digest` names.
    pub async fn heal(&self, digest: &Digest, body: impl Body) -> Result<(), Error> {
        self.may_write()?;
        let wanted = digest.clone();
        let find = move |tx: &mut Tx<'_>| catalog::find_damage(tx, &wanted);
        let damaged = self.inner.catalog.read(find).await?;
        let damaged = damaged.ok_or_else(|| Error::NotDamaged(digest.clone()))?;
        let registry = self.clone();
        let healed = self
            .to_the_end(async move {
                if damaged.is_manifest {
                    registry.heal_manifest(damaged, body).await
                } else {
                    registry.heal_blob(damaged, body).await
                }
            })
            .await?;
        self.count_damages().await;
        if healed {
            tracing::info!(%digest, "damaged content was healed");
            Ok(())
        } else {
            Err(Error::NotDamaged(digest.clone()))
        }
    }

    /// Heals everything that is damaged and that `source` has; each is told to `told`, with what came of it.
    pub(super) async fn heal_from(
        &self,
        source: &dyn Source,
        stop: &CancellationToken,
        mut told: impl FnMut(bool) + Send,
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = self.damages(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for damaged in page {
                let asked = tokio::select! {
                    () = stop.cancelled() => return Err(Error::Closing),
                    asked = source.content(&damaged) => asked,
                };
                let content = match asked {
                    Ok(Some(content)) => content,
                    Ok(None) => {
                        told(false);
                        continue;
                    }
                    // One piece that it cannot give says nothing of the others.
                    Err(SourceError::Remote(error @ RemoteError::Unexpected { .. })) => {
                        tracing::warn!(digest = %damaged.digest, %error, "the source does not give what is needed");
                        told(false);
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                match self.heal(&damaged.digest, content).await {
                    Ok(()) => told(true),
                    // Somebody pushed it meanwhile.
                    Err(Error::NotDamaged(_)) => {}
                    Err(
                        error @ (Error::DigestMismatch { .. } | Error::SizeMismatch { .. } | Error::BodyCut),
                    ) => {
                        tracing::warn!(digest = %damaged.digest, %error, "what the source gave is not what is needed");
                        told(false);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn heal_blob(&self, damaged: Damaged, mut body: impl Body) -> Result<bool, Error> {
        let plan = Plan {
            algorithm: damaged.digest.algorithm(),
            size_hint: None,
        };
        let mut upload = self.inner.store.begin(Uuid::new_v4(), plan).await?;
        while let Some(bytes) = body.next().await {
            let Ok(bytes) = bytes else {
                upload.discard().await;
                return Err(Error::BodyCut);
            };
            if let Err(error) = upload.append(bytes).await {
                upload.discard().await;
                return Err(error.into());
            }
            if upload.offset() > damaged.size {
                let received = upload.offset();
                upload.discard().await;
                return Err(Error::SizeMismatch {
                    declared: damaged.size,
                    received,
                });
            }
        }
        let verified = upload.verify(&damaged.digest).await?;
        let (place, in_flight) = match verified.into_inline(self.rules().inline_bytes_max).await? {
            store::Inlined::Inline(bytes) => (Place::Inline(bytes), None),
            store::Inlined::Large(verified) => {
                let published = self.inner.store.publish(verified).await?;
                (Place::File(published.location.to_string()), Some(published))
            }
        };
        let (now, grace_ms) = (self.now(), self.rules().read_grace_ms);
        let heal = move |tx: &mut Tx<'_>| catalog::heal_blob(tx, &damaged.digest, &place, now, grace_ms);
        let healed = self.inner.catalog.write(heal).await;
        let is_unused = match &healed {
            Ok(healed) => !healed,
            Err(error) => error.is_surely_not_committed(),
        };
        if let (true, Some(published)) = (is_unused, &in_flight)
            && let Err(error) = self.inner.store.remove(vec![published.location.clone()]).await
        {
            tracing::warn!(%error, "bytes that healed nothing could not be removed");
        }
        // Only now may the orphan scan look at the file: it has a row, or is one.
        drop(in_flight);
        Ok(healed?)
    }

    async fn heal_manifest(&self, damaged: Damaged, mut body: impl Body) -> Result<bool, Error> {
        let mut document = Vec::new();
        while let Some(bytes) = body.next().await {
            document.extend_from_slice(&bytes.map_err(|_| Error::BodyCut)?);
            if document.len() as u64 > damaged.size {
                return Err(Error::SizeMismatch {
                    declared: damaged.size,
                    received: document.len() as u64,
                });
            }
        }
        let digest = damaged.digest;
        if !is_digest(&digest, &document) {
            let actual = Hasher::digest(digest.algorithm(), &document);
            return Err(Error::DigestMismatch {
                expected: digest,
                actual,
            });
        }
        let heal = move |tx: &mut Tx<'_>| catalog::heal_manifest(tx, &digest, &document);
        Ok(self.inner.catalog.write(heal).await?)
    }
}
