//! The blobs that a running registry's manifests name: fetched where they are not here, a few at a time, each as an upload
//! that goes on where its connection broke. A survey only asks for their sizes.
//!
//! Units: bytes. Fails: `Remote` (no answer, another login), a disk or catalog of ours; a blob that cannot be had is a damage.
//! Source: distribution-spec "Pulling blobs"; RFC 9110 section 14 for what goes on in the middle.

use std::sync::Arc;
use std::time::Duration;

use access::{Caller, Permit, Push};
use bytes::Bytes;
use catalog::{AdoptedBlob, BlobState, Tx};
use oci::{Digest, RepositoryName};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::document::Document;
use super::super::report::{Damage, Found};
use super::super::source::{Presence, Remote, RemoteError};
use super::super::steps::KEEP_MS;
use super::{Visit, piece};
use crate::{Body, BodyCut, Chunk, Error, Registry};

/// Blobs that are fetched at once.
const AT_ONCE: usize = 4;
/// How often a transfer that breaks is taken up again.
const TRIES: usize = 5;
/// How long a registry that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

impl<R: Remote> Visit<'_, R> {
    /// Brings what a manifest names, or looks whether it is there.
    pub(super) async fn blobs(
        &mut self,
        name: &RepositoryName,
        place: &str,
        document: &Document,
    ) -> Result<(), Error> {
        let edges = document.manifest.blobs.iter();
        let mut wanted: Vec<(Digest, u64)> = edges
            .filter(|edge| !document.foreign.contains(&edge.digest))
            .map(|edge| (edge.digest.clone(), edge.size))
            .collect();
        wanted.sort();
        wanted.dedup_by(|a, b| a.0 == b.0);
        let Some(registry) = self.registry else {
            return self.measure(name, place, wanted).await;
        };
        let digests: Vec<Digest> = wanted.iter().map(|(digest, _)| digest.clone()).collect();
        let repo = name.clone();
        let states = move |tx: &mut Tx<'_>| catalog::blob_states(tx, &repo, &digests);
        let states = registry.inner.catalog.read(states).await?;
        let (mut stored, mut absent) = (Vec::new(), Vec::new());
        for ((digest, size), state) in wanted.into_iter().zip(states) {
            match state {
                BlobState::Linked => {}
                BlobState::Stored => stored.push(AdoptedBlob {
                    digest,
                    size,
                    place: None,
                    verified: true,
                }),
                BlobState::Absent => absent.push(digest),
            }
        }
        let (repo, now, grace_ms) = (name.clone(), registry.now(), registry.rules().read_grace_ms);
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_blobs(tx, &repo, &stored, now, KEEP_MS, grace_ms);
        absent.extend(registry.inner.catalog.write(adopt).await?);
        self.fetch_all(registry, name, place, absent).await
    }

    /// What a survey wants to know: whether they are there, and how large.
    async fn measure(
        &mut self,
        name: &RepositoryName,
        place: &str,
        wanted: Vec<(Digest, u64)>,
    ) -> Result<(), Error> {
        for (digest, expected) in wanted {
            let text = digest.to_string();
            let found = match self.ask(self.remote.blob_presence(name, &digest)).await? {
                Ok(Presence::Sized(actual)) if expected != 0 && actual != expected => Found::WrongSize {
                    digest: text,
                    expected,
                    actual,
                },
                Ok(Presence::Absent) => Found::MissingReference { digest: text },
                Ok(here) => {
                    if self.counted.insert(digest) {
                        self.arrived(if let Presence::Sized(size) = here {
                            size
                        } else {
                            expected
                        });
                    }
                    continue;
                }
                Err(found) => found,
            };
            self.note(damage(name, place, &digest, found));
        }
        Ok(())
    }

    /// Counts a blob that came, or would come, over the network.
    fn arrived(&mut self, size: u64) {
        self.report.blobs += 1;
        self.report.bytes += size;
        self.report.copied += 1;
        self.report.bytes_copied += size;
        self.progress.blobs += 1;
        self.progress.bytes += size;
        self.watcher.progress(&self.progress);
    }

    async fn fetch_all(
        &mut self,
        registry: &Registry,
        name: &RepositoryName,
        place: &str,
        digests: Vec<Digest>,
    ) -> Result<(), Error> {
        let permit = Caller::anybody()
            .may(Push, name)
            .map_err(|denied| Error::Interrupted(denied.to_string()))?;
        let (permit, mut tasks, mut waiting) = (Arc::new(permit), JoinSet::new(), digests.into_iter());
        loop {
            while tasks.len() < AT_ONCE && !self.stop.is_cancelled() {
                let Some(digest) = waiting.next() else { break };
                let (registry, remote, permit) =
                    (registry.clone(), Arc::clone(&self.remote), Arc::clone(&permit));
                let stop = self.stop.clone();
                tasks.spawn(async move {
                    let fetched = fetch(&registry, &*remote, &permit, &digest, &stop).await;
                    (digest, fetched)
                });
            }
            match tasks.join_next().await {
                None => break,
                Some(Err(failed)) => return Err(Error::Interrupted(failed.to_string())),
                Some(Ok((digest, fetched))) => match fetched? {
                    Ok(bytes) => self.arrived(bytes),
                    Err(found) => self.note(damage(name, place, &digest, found)),
                },
            }
        }
        if self.stop.is_cancelled() {
            return Err(Error::Closing);
        }
        Ok(())
    }
}

/// Most damages name the blob, and are found at the manifest that names it.
fn damage(name: &RepositoryName, place: &str, digest: &Digest, found: Found) -> Damage {
    match found {
        Found::Unreadable { .. } => Damage::new(format!("{name}/blobs/{digest}"), found),
        found => Damage::new(place, found),
    }
}

/// Brings one blob; its size, or why the other registry could not give it.
async fn fetch<R: Remote>(
    registry: &Registry,
    remote: &R,
    permit: &Permit<Push>,
    digest: &Digest,
    stop: &CancellationToken,
) -> Result<Result<u64, Found>, Error> {
    let mut status = registry.begin_upload(permit, digest.algorithm()).await?;
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let answer = tokio::select! {
            () = stop.cancelled() => None,
            answer = remote.blob(permit.repository(), digest, status.offset) => Some(answer),
        };
        let Some(answer) = answer else {
            registry.cancel_upload(permit, status.id).await?;
            return Err(Error::Closing);
        };
        let body = match answer {
            Err(RemoteError::Unreachable { .. }) if tries > 0 => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            answer => match piece(answer) {
                Ok(Ok(Some(body))) => body,
                nothing => {
                    registry.cancel_upload(permit, status.id).await?;
                    let digest = digest.to_string();
                    return nothing
                        .map(|found| Err(found.err().unwrap_or(Found::MissingReference { digest })));
                }
            },
        };
        let at = Some(status.offset);
        let appended = registry
            .append(
                permit,
                status.id,
                Chunk { at, length: None },
                Stoppable {
                    body,
                    stop: stop.clone(),
                },
            )
            .await;
        match appended {
            Ok(all) => {
                let finished = registry
                    .finish_upload(permit, status.id, digest.clone(), Chunk::default(), Nothing)
                    .await;
                return match finished {
                    Ok(()) => Ok(Ok(all.offset)),
                    Err(Error::DigestMismatch { expected, .. }) => Ok(Err(Found::WrongHash {
                        digest: expected.to_string(),
                    })),
                    Err(error) => Err(error),
                };
            }
            Err(Error::BodyCut) if tries > 0 && !stop.is_cancelled() => {
                status = registry.upload_status(permit, status.id).await?;
            }
            Err(error) => {
                // The first failure says more than one of the clean-up.
                let _ = registry.cancel_upload(permit, status.id).await;
                // It answers, so it is there: it is this blob that cannot be read to its end.
                return match error {
                    Error::BodyCut if stop.is_cancelled() => Err(Error::Closing),
                    Error::BodyCut => Ok(Err(Found::Unreadable {
                        reason: format!("its transfer broke off {TRIES} times"),
                    })),
                    error => Err(error),
                };
            }
        }
    }
}

/// A body that ends where the run is told to stop.
struct Stoppable<B> {
    body: B,
    stop: CancellationToken,
}

impl<B: Body> Body for Stoppable<B> {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        tokio::select! {
            () = self.stop.cancelled() => Some(Err(BodyCut)),
            piece = self.body.next() => piece,
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
