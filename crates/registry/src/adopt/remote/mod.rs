//! Adopting from a registry that runs: asked for its repositories, tags, manifests and blobs, one after another.
//!
//! Everything is hashed on arrival. A blob whose transfer breaks goes on where it broke; a run that is cut off goes on
//! after the last repository that was brought whole, and what is here already is not fetched again.
//! What such a registry does not tell is not known: untagged manifests that nothing refers to, and when a tag was set.
//! A survey is the same walk without a registry to bring anything to: manifests are fetched, of blobs only the size.
//! Fails: `Remote`, when it does not answer or wants a login. One piece that it does not have, or answers with an error
//! (as the CNCF registry does for a tag whose link is empty), is a damage and stops nothing.
//! Source: distribution-spec "Pulling", "Listing Tags", "Listing Referrers".

mod blobs;

use std::collections::HashSet;
use std::sync::Arc;

use catalog::{AdoptedManifest, AdoptedTag, TagOutcome, Tx};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use store::Hasher;
use tokio_util::sync::CancellationToken;

use super::Watcher;
use super::document::{self, Document};
use super::report::{DAMAGES_MAX, Damage, Found, Progress, Report};
use super::source::{Remote, RemoteError};
use super::steps::KEEP_MS;
use crate::{Error, Registry};

struct Visit<'a, R> {
    /// None: only looked at.
    registry: Option<&'a Registry>,
    remote: Arc<R>,
    watcher: &'a mut dyn Watcher,
    stop: &'a CancellationToken,
    report: Report,
    progress: Progress,
    /// Blobs that a survey has counted.
    counted: HashSet<Digest>,
}

pub(super) async fn survey<R: Remote>(
    remote: Arc<R>,
    repositories: &[RepositoryName],
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let mut visit = Visit::new(None, remote, watcher, stop);
    for name in visit.wanted(repositories).await? {
        visit.repository(&name).await?;
    }
    Ok(visit.report)
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
    let mut visit = Visit::new(Some(registry), remote, watcher, stop);
    let mut names = visit.wanted(repositories).await?;
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

impl<'a, R: Remote> Visit<'a, R> {
    fn new(
        registry: Option<&'a Registry>,
        remote: Arc<R>,
        watcher: &'a mut dyn Watcher,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            registry,
            remote,
            watcher,
            stop,
            report: Report::default(),
            progress: Progress::default(),
            counted: HashSet::new(),
        }
    }

    /// The repositories that are meant, in the order in which an import remembers how far it is.
    async fn wanted(&mut self, repositories: &[RepositoryName]) -> Result<Vec<RepositoryName>, Error> {
        let mut names = match repositories {
            [] => self.names().await?,
            some => some.to_vec(),
        };
        names.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        self.progress.repositories_total = names.len() as u64;
        Ok(names)
    }

    async fn names(&mut self) -> Result<Vec<RepositoryName>, Error> {
        let mut names = Vec::new();
        let all = tokio::select! {
            () = self.stop.cancelled() => return Err(Error::Closing),
            all = self.remote.repositories() => all?,
        };
        for name in all {
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

    /// An answer, or the damage of the one piece that it is about. Nobody who wants to stop waits for it.
    async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<Result<T, Found>, Error> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Error::Closing),
            answer = answer => piece(answer),
        }
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
        let tags = match self.ask(self.remote.tags(name)).await? {
            Ok(tags) => tags,
            Err(found) => {
                self.note(Damage::new(&**name, found));
                Vec::new()
            }
        };
        for text in tags {
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
            if let Some(digest) = self.manifests(name, &text, &place, &mut done).await? {
                self.tag(name, tag, digest).await?;
            }
        }
        self.progress.repositories += 1;
        self.watcher.progress(&self.progress);
        Ok(())
    }

    /// Brings a manifest and all that hangs on it; its digest, or none where that was noted as damage.
    async fn manifests(
        &mut self,
        name: &RepositoryName,
        reference: &str,
        place: &str,
        done: &mut HashSet<Digest>,
    ) -> Result<Option<Digest>, Error> {
        let missing = Found::TagWithoutManifest;
        let (top, document) = match self.fetch(name, reference, missing).await? {
            Ok(fetched) => fetched,
            Err(found) => {
                self.note(Damage::new(place, found));
                return Ok(None);
            }
        };
        let mut open = vec![(top.clone(), Some(document))];
        while let Some((digest, document)) = open.pop() {
            if !done.insert(digest.clone()) {
                continue;
            }
            let (place, text) = (format!("{name}@{digest}"), digest.to_string());
            let document = if let Some(document) = document {
                document
            } else {
                let missing = Found::MissingReference { digest: text.clone() };
                match self.fetch(name, &text, missing).await? {
                    Ok((_, document)) => document,
                    Err(found) => {
                        self.note(Damage::new(place, found));
                        continue;
                    }
                }
            };
            let referrers = match self.ask(self.remote.referrers(name, &digest)).await? {
                Ok(referrers) => referrers,
                Err(found) => {
                    self.note(Damage::new(format!("{name}/referrers/{digest}"), found));
                    Vec::new()
                }
            };
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

    /// Fetches a manifest, and is certain of its digest; else what is wrong with it, `missing` if it is not there.
    async fn fetch(
        &mut self,
        name: &RepositoryName,
        reference: &str,
        missing: Found,
    ) -> Result<Result<(Digest, Document), Found>, Error> {
        let fetched = match self.ask(self.remote.manifest(name, reference)).await? {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(Err(missing)),
            Err(found) => return Ok(Err(found)),
        };
        let wanted: Option<Digest> = reference.parse().ok().or(fetched.digest);
        let algorithm = wanted.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = Hasher::digest(algorithm, &fetched.body);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            let digest = wanted.to_string();
            return Ok(Err(Found::WrongHash { digest }));
        }
        Ok(document::of_bytes(fetched.body.to_vec(), name, &digest).map(|document| (digest, document)))
    }

    async fn store(&mut self, document: Document) -> Result<(), Error> {
        let mut manifest = document.manifest;
        self.report.manifests += 1;
        self.report.bytes_manifests += manifest.body.len() as u64;
        self.report.schema1 += u64::from(document.is_schema1);
        let Some(registry) = self.registry else {
            return Ok(());
        };
        (manifest.now, manifest.keep_ms) = (registry.now(), KEEP_MS);
        let now = manifest.now;
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_manifest(tx, &manifest, now);
        match registry.inner.catalog.write(adopt).await? {
            AdoptedManifest::Added => self.report.manifests_new += 1,
            AdoptedManifest::Known => {}
            AdoptedManifest::Deleted => self.report.manifests_deleted += 1,
        }
        Ok(())
    }

    async fn tag(&mut self, name: &RepositoryName, tag: Tag, digest: Digest) -> Result<(), Error> {
        let Some(registry) = self.registry else {
            self.report.tags += 1;
            return Ok(());
        };
        let place = format!("{name}:{tag}");
        let new = AdoptedTag {
            repo: name.clone(),
            tag,
            current: (digest.clone(), registry.now()),
            before: Vec::new(),
            is_dated: false,
        };
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_tag(tx, &new);
        match registry.inner.catalog.write(adopt).await? {
            TagOutcome::Set | TagOutcome::Same => self.report.tags += 1,
            TagOutcome::Kept => self.report.tags_kept += 1,
            TagOutcome::NoManifest => {
                let digest = digest.to_string();
                self.note(Damage::new(place, Found::TagToNothing { digest }));
            }
        }
        Ok(())
    }
}

/// An answer that makes no sense is the damage of one piece; a registry that is not there, or wants another login, ends
/// the run.
fn piece<T>(answer: Result<T, RemoteError>) -> Result<Result<T, Found>, Error> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(RemoteError::Unexpected { answer, .. }) => Ok(Err(Found::Unreadable { reason: answer })),
        Err(error) => Err(error.into()),
    }
}
