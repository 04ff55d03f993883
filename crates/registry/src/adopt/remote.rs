//! Adopting from a registry that runs: asked for its repositories, tags, manifests and blobs, one after another.
//!
//! Everything is hashed on arrival. A blob whose transfer breaks goes on where it broke; a run that is cut off goes on
//! after the last repository that was brought whole, and what is here already is not fetched again.
//! What such a registry does not tell is not known: untagged manifests that nothing refers to, and when a tag was set.
//! Fails: `Remote`, when it cannot be asked; a single piece that it does not have is a damage.
//! Source: distribution-spec "Pulling", "Listing Tags", "Listing Referrers".

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use access::{Caller, Permit, Push};
use bytes::Bytes;
use catalog::{AdoptedBlob, AdoptedManifest, AdoptedTag, BlobState, TagOutcome, Tx};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Watcher;
use super::document::{self, Document};
use super::report::{DAMAGES_MAX, Damage, Found, Progress, Report};
use super::source::{Remote, RemoteError};
use super::steps::KEEP_MS;
use crate::push::digest_of;
use crate::{Body, BodyCut, Chunk, Error, Registry};

/// Blobs that are fetched at once.
const AT_ONCE: usize = 4;
/// How often a transfer that breaks is taken up again.
const TRIES: usize = 5;
/// How long a registry that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

struct Visit<'a, R> {
    registry: &'a Registry,
    remote: Arc<R>,
    watcher: &'a mut dyn Watcher,
    stop: &'a CancellationToken,
    report: Report,
    progress: Progress,
}

pub(super) async fn adopt<R: Remote>(
    registry: &Registry,
    remote: Arc<R>,
    repositories: &[RepositoryName],
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let catalog = &registry.inner.catalog;
    let (source, now) = (remote.address(), registry.now());
    let mut visit = Visit {
        registry,
        remote,
        watcher,
        stop,
        report: Report::default(),
        progress: Progress::default(),
    };
    let mut names = match repositories {
        [] => visit.names().await?,
        some => some.to_vec(),
    };
    names.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    visit.progress.repositories_total = names.len() as u64;
    // A run for some repositories is no step of the one for all.
    let import = if repositories.is_empty() {
        let begin = move |tx: &mut Tx<'_>| catalog::begin_import(tx, &source, now);
        Some(catalog.write(begin).await?)
    } else {
        None
    };
    if let Some(cursor) = import.as_ref().and_then(|import| import.cursor.clone()) {
        names.retain(|name| name.split('/').gt(cursor.split('/')));
        visit.progress.repositories = visit.progress.repositories_total - names.len() as u64;
        visit.report.resumed_after = Some(cursor);
    }
    for name in names {
        visit.repository(&name).await?;
        if let Some(id) = import.as_ref().map(|import| import.id) {
            let advance = move |tx: &mut Tx<'_>| catalog::advance_import(tx, id, &name);
            catalog.write(advance).await?;
        }
    }
    if let Some(import) = import {
        let now = registry.now();
        let finish = move |tx: &mut Tx<'_>| catalog::finish_import(tx, import.id, "{}", now);
        catalog.write(finish).await?;
    }
    Ok(visit.report)
}

impl<R: Remote> Visit<'_, R> {
    async fn names(&mut self) -> Result<Vec<RepositoryName>, Error> {
        let mut names = Vec::new();
        for name in self.remote.repositories().await? {
            match name.parse() {
                Ok(name) => names.push(name),
                Err(error) => {
                    let reason = oci::BadName::to_string(&error);
                    self.note(Damage::new(name, Found::BadName { reason }));
                }
            }
        }
        Ok(names)
    }

    fn note(&mut self, damage: Damage) {
        self.watcher.damage(&damage);
        self.report.damage_count += 1;
        if self.report.damages.len() < DAMAGES_MAX {
            self.report.damages.push(damage);
        }
    }

    async fn repository(&mut self, name: &RepositoryName) -> Result<(), Error> {
        self.report.repositories += 1;
        let mut done = HashSet::new();
        for text in self.remote.tags(name).await? {
            if self.stop.is_cancelled() {
                return Err(Error::Closing);
            }
            let place = format!("{name}:{text}");
            let tag: Tag = match text.parse() {
                Ok(tag) => tag,
                Err(error) => {
                    let reason = oci::BadName::to_string(&error);
                    self.note(Damage::new(place, Found::BadName { reason }));
                    continue;
                }
            };
            let Some(digest) = self.manifests(name, &text, &place, &mut done).await? else {
                self.note(Damage::new(place, Found::TagWithoutManifest));
                continue;
            };
            self.tag(name, tag, digest).await?;
        }
        self.progress.repositories += 1;
        self.watcher.progress(&self.progress);
        Ok(())
    }

    /// Brings a manifest and all that hangs on it; its digest.
    async fn manifests(
        &mut self,
        name: &RepositoryName,
        reference: &str,
        place: &str,
        done: &mut HashSet<Digest>,
    ) -> Result<Option<Digest>, Error> {
        let Some((top, document)) = self.fetch(name, reference, place).await? else {
            return Ok(None);
        };
        let mut open = vec![(top.clone(), Some(document))];
        while let Some((digest, document)) = open.pop() {
            if !done.insert(digest.clone()) {
                continue;
            }
            let place = format!("{name}@{digest}");
            let document = match document {
                Some(document) => Some(document),
                None => self
                    .fetch(name, &digest.to_string(), &place)
                    .await?
                    .map(|(_, document)| document),
            };
            let Some(document) = document else {
                let digest = digest.to_string();
                self.note(Damage::new(place, Found::MissingReference { digest }));
                continue;
            };
            let referrers = self.remote.referrers(name, &digest).await?;
            let children = document
                .manifest
                .children
                .iter()
                .map(|child| child.digest.clone());
            open.extend(children.chain(referrers).map(|digest| (digest, None)));
            self.blobs(name, &place, &document).await?;
            self.store(document).await?;
        }
        Ok(Some(top))
    }

    /// Fetches a manifest, and is certain of its digest.
    async fn fetch(
        &mut self,
        name: &RepositoryName,
        reference: &str,
        place: &str,
    ) -> Result<Option<(Digest, Document)>, Error> {
        let Some(fetched) = self.remote.manifest(name, reference).await? else {
            return Ok(None);
        };
        let wanted: Option<Digest> = reference.parse().ok().or(fetched.digest);
        let algorithm = wanted.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = digest_of(algorithm, &fetched.body);
        let found = match wanted.filter(|wanted| *wanted != digest) {
            Some(wanted) => Found::WrongHash {
                digest: wanted.to_string(),
            },
            None => match document::of_bytes(fetched.body.to_vec(), name, &digest) {
                Ok(document) => return Ok(Some((digest, document))),
                Err(found) => found,
            },
        };
        self.note(Damage::new(place, found));
        Ok(None)
    }

    async fn store(&mut self, document: Document) -> Result<(), Error> {
        let mut manifest = document.manifest;
        (manifest.now, manifest.keep_ms) = (self.registry.now(), KEEP_MS);
        self.report.manifests += 1;
        self.report.schema1 += u64::from(document.is_schema1);
        let now = manifest.now;
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_manifest(tx, &manifest, now);
        match self.registry.inner.catalog.write(adopt).await? {
            AdoptedManifest::Added => self.report.manifests_new += 1,
            AdoptedManifest::Known => {}
            AdoptedManifest::Deleted => self.report.manifests_deleted += 1,
        }
        Ok(())
    }

    async fn tag(&mut self, name: &RepositoryName, tag: Tag, digest: Digest) -> Result<(), Error> {
        let place = format!("{name}:{tag}");
        let new = AdoptedTag {
            repo: name.clone(),
            tag,
            current: (digest.clone(), self.registry.now()),
            before: Vec::new(),
            is_dated: false,
        };
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_tag(tx, &new);
        match self.registry.inner.catalog.write(adopt).await? {
            TagOutcome::Set | TagOutcome::Same => self.report.tags += 1,
            TagOutcome::Kept => self.report.tags_kept += 1,
            TagOutcome::NoManifest => {
                let digest = digest.to_string();
                self.note(Damage::new(place, Found::TagToNothing { digest }));
            }
        }
        Ok(())
    }

    /// Brings what a manifest names.
    async fn blobs(&mut self, name: &RepositoryName, place: &str, document: &Document) -> Result<(), Error> {
        let edges = document.manifest.blobs.iter();
        let mut wanted: Vec<(Digest, u64)> = edges
            .filter(|edge| !document.foreign.contains(&edge.digest))
            .map(|edge| (edge.digest.clone(), edge.size))
            .collect();
        wanted.sort();
        wanted.dedup_by(|a, b| a.0 == b.0);
        let digests: Vec<Digest> = wanted.iter().map(|(digest, _)| digest.clone()).collect();
        let repo = name.clone();
        let states = move |tx: &mut Tx<'_>| catalog::blob_states(tx, &repo, &digests);
        let states = self.registry.inner.catalog.read(states).await?;
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
        let (repo, now) = (name.clone(), self.registry.now());
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_blobs(tx, &repo, &stored, now, KEEP_MS);
        absent.extend(self.registry.inner.catalog.write(adopt).await?);
        self.fetch_all(name, place, absent).await
    }

    async fn fetch_all(
        &mut self,
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
                let (registry, remote, permit) = (
                    self.registry.clone(),
                    Arc::clone(&self.remote),
                    Arc::clone(&permit),
                );
                tasks.spawn(async move {
                    let fetched = fetch_blob(&registry, &*remote, &permit, &digest).await;
                    (digest, fetched)
                });
            }
            match tasks.join_next().await {
                None => break,
                Some(Err(failed)) => return Err(Error::Interrupted(failed.to_string())),
                Some(Ok((digest, fetched))) => match fetched {
                    Ok(Some(bytes)) => {
                        self.report.blobs += 1;
                        self.report.bytes += bytes;
                        self.report.copied += 1;
                        self.report.bytes_copied += bytes;
                        self.progress.blobs += 1;
                        self.progress.bytes += bytes;
                        self.watcher.progress(&self.progress);
                    }
                    Ok(None) => {
                        let digest = digest.to_string();
                        self.note(Damage::new(place, Found::MissingReference { digest }));
                    }
                    Err(Error::DigestMismatch { expected, .. }) => {
                        let digest = expected.to_string();
                        self.note(Damage::new(place, Found::WrongHash { digest }));
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        if self.stop.is_cancelled() {
            return Err(Error::Closing);
        }
        Ok(())
    }
}

/// Brings one blob, as an upload that goes on where the connection broke; its size, or none if the other has none.
async fn fetch_blob<R: Remote>(
    registry: &Registry,
    remote: &R,
    permit: &Permit<Push>,
    digest: &Digest,
) -> Result<Option<u64>, Error> {
    let mut status = registry.begin_upload(permit, digest.algorithm()).await?;
    let mut tries = TRIES;
    loop {
        let body = match remote.blob(permit.repository(), digest, status.offset).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                registry.cancel_upload(permit, status.id).await?;
                return Ok(None);
            }
            Err(RemoteError::Unreachable { .. }) if tries > 1 => {
                tries -= 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => {
                registry.cancel_upload(permit, status.id).await?;
                return Err(error.into());
            }
        };
        let at = Some(status.offset);
        match registry
            .append(permit, status.id, Chunk { at, length: None }, body)
            .await
        {
            Ok(all) => {
                registry
                    .finish_upload(permit, status.id, digest.clone(), Chunk::default(), Nothing)
                    .await?;
                return Ok(Some(all.offset));
            }
            Err(Error::BodyCut) if tries > 1 => {
                tries -= 1;
                status = registry.upload_status(permit, status.id).await?;
            }
            Err(error) => {
                // The first failure says more than one of the clean-up.
                let _ = registry.cancel_upload(permit, status.id).await;
                return Err(error);
            }
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
