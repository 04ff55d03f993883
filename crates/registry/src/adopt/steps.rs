//! The three steps of a repository: its blobs are brought, its manifests stored, its tags set, in small transactions.
//!
//! Without a registry the same steps only look, and count what they would do.

use std::collections::{HashMap, HashSet};

use catalog::{AdoptedBlob, AdoptedManifest, AdoptedTag, BlobState, NewManifest, TagOutcome, Tx};
use oci::{Digest, RepositoryName};
use store::Brought;
use tokio::task::JoinSet;

use super::blobs::{Arrival, Wanted, blocking, bring};
use super::report::{Damage, Found};
use super::run::{Outline, Run, short};
use super::tree::{Link, Stock, TagLinks};
use crate::Error;

/// Links that become rows in one transaction.
const BATCH: usize = 256;
/// Bytes of manifests that do.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Files that are read at once.
const AT_ONCE: usize = 4;
/// How long what no tag leads to is safe from every clean-up: time to see that the move went well.
pub(super) const KEEP_MS: i64 = 30 * 24 * 3600 * 1000;

impl Run<'_> {
    /// Brings the repository's blobs; those that it has now, with their sizes.
    pub(super) async fn blobs(
        &mut self,
        stock: &Stock,
        outlines: &[Outline],
    ) -> Result<HashMap<Digest, u64>, Error> {
        let sizes: HashMap<&Digest, u64> = outlines
            .iter()
            .flat_map(|outline| &outline.named)
            .filter(|(_, size)| *size > 0) // schema 1 gives none
            .map(|(digest, size)| (digest, *size))
            .collect();
        let mut held = HashMap::new();
        for links in stock.layers.chunks(BATCH) {
            self.go_on()?;
            let states = self.states(&stock.name, links).await?;
            let mut rows = Vec::new();
            let mut wanted = Vec::new();
            for (link, state) in links.iter().zip(states) {
                let size = sizes.get(&link.digest).copied();
                if state == BlobState::Absent {
                    wanted.push((link, size));
                    continue;
                }
                let size = self.known_size(link, size).await?;
                if state == BlobState::Stored {
                    let row = AdoptedBlob {
                        digest: link.digest.clone(),
                        size,
                        place: None,
                        verified: true,
                    };
                    rows.push((row, None));
                }
                self.take_note(&link.digest, size);
                held.insert(link.digest.clone(), size);
            }
            for (link, arrival) in self.bring_all(wanted).await? {
                match arrival {
                    Ok(arrival) => {
                        self.count(&link.digest, &arrival);
                        held.insert(link.digest.clone(), arrival.size);
                        rows.extend(arrival.row);
                    }
                    Err(found) => self.note(Damage::new(&link.path, found)),
                }
            }
            self.commit_blobs(&stock.name, rows, &mut held).await?;
            self.go_on()?; // not all may have been brought
            self.watcher.progress(&self.progress);
        }
        Ok(held)
    }

    async fn states(&self, repo: &RepositoryName, links: &[Link]) -> Result<Vec<BlobState>, Error> {
        let Some(registry) = self.registry else {
            return Ok(vec![BlobState::Absent; links.len()]);
        };
        let repo = repo.clone();
        let digests: Vec<Digest> = links.iter().map(|link| link.digest.clone()).collect();
        let states = move |tx: &mut Tx<'_>| catalog::blob_states(tx, &repo, &digests);
        Ok(registry.inner.catalog.read(states).await?)
    }

    async fn known_size(&self, link: &Link, size: Option<u64>) -> Result<u64, Error> {
        let data = self.tree.data(&link.target);
        let found = blocking(move || std::fs::metadata(data).map(|data| data.len())).await?;
        Ok(found.ok().or(size).unwrap_or_default())
    }

    /// Brings blobs, a few at a time.
    async fn bring_all<'l>(
        &self,
        wanted: Vec<(&'l Link, Option<u64>)>,
    ) -> Result<Vec<(&'l Link, Result<Arrival, Found>)>, Error> {
        let mut tasks = JoinSet::new();
        let mut done = Vec::with_capacity(wanted.len());
        let mut waiting = wanted.iter().enumerate();
        loop {
            while tasks.len() < AT_ONCE && !self.stop.is_cancelled() {
                let Some((at, (link, size))) = waiting.next() else {
                    break;
                };
                let (registry, forecast) = (self.registry.cloned(), self.forecast.clone());
                let blob = Wanted {
                    digest: link.digest.clone(),
                    data: self.tree.data(&link.target),
                    is_alias: link.digest != link.target,
                    size: *size,
                    verify: self.verify,
                };
                tasks.spawn(async move { (at, bring(registry.as_ref(), forecast, blob).await) });
            }
            match tasks.join_next().await {
                None => break,
                Some(Ok((at, arrival))) => done.push((at, arrival?)),
                Some(Err(failed)) => return Err(Error::Interrupted(failed.to_string())),
            }
        }
        done.sort_by_key(|(at, _)| *at); // reports come in one order
        Ok(done
            .into_iter()
            .map(|(at, arrival)| (wanted[at].0, arrival))
            .collect())
    }

    fn count(&mut self, digest: &Digest, arrival: &Arrival) {
        let is_new = self.take_note(digest, arrival.size);
        // A survey meets again what a run would have by then.
        match arrival.how.filter(|_| is_new || self.registry.is_some()) {
            Some(Brought::Linked) => self.report.linked += 1,
            Some(Brought::Cloned) => self.report.cloned += 1,
            Some(Brought::Copied) => {
                self.report.copied += 1;
                self.report.bytes_copied += arrival.size;
            }
            None => {}
        }
    }

    /// Counts a blob; whether it is one that no repository had yet.
    fn take_note(&mut self, digest: &Digest, size: u64) -> bool {
        let is_new = self.seen.insert(short(digest));
        if is_new {
            self.report.blobs += 1;
            self.report.bytes += size;
        }
        self.progress.blobs += 1;
        self.progress.bytes += size;
        is_new
    }

    async fn commit_blobs(
        &self,
        repo: &RepositoryName,
        rows: Vec<(AdoptedBlob, Option<store::InFlight>)>,
        held: &mut HashMap<Digest, u64>,
    ) -> Result<(), Error> {
        let (Some(registry), false) = (self.registry, rows.is_empty()) else {
            return Ok(());
        };
        let (rows, guards): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let (repo, now, grace_ms) = (repo.clone(), registry.now(), registry.rules().read_grace_ms);
        let adopt = move |tx: &mut Tx<'_>| catalog::adopt_blobs(tx, &repo, &rows, now, KEEP_MS, grace_ms);
        for gone in registry.inner.catalog.write(adopt).await? {
            held.remove(&gone);
        }
        drop(guards);
        Ok(())
    }

    /// Stores the manifests, children before those that list them; those that are here now.
    pub(super) async fn manifests(
        &mut self,
        repo: &RepositoryName,
        outlines: &[Outline],
    ) -> Result<HashSet<Digest>, Error> {
        let mut here = HashSet::new();
        for is_index in [false, true] {
            let mut batch: Vec<(NewManifest, i64)> = Vec::new();
            for outline in outlines.iter().filter(|outline| outline.is_index == is_index) {
                self.go_on()?;
                self.seen.insert(short(&outline.link.target));
                let digest = outline.link.digest.clone();
                if self.registry.is_none() {
                    self.report.manifests += 1;
                    here.insert(digest);
                } else if let Some(document) = self.document(repo, &outline.link).await? {
                    batch.push((document.manifest, outline.link.at));
                }
                let bytes: usize = batch.iter().map(|(manifest, _)| manifest.body.len()).sum();
                if batch.len() == BATCH || bytes >= BATCH_BYTES {
                    self.commit_manifests(std::mem::take(&mut batch), &mut here)
                        .await?;
                }
            }
            self.commit_manifests(batch, &mut here).await?;
        }
        Ok(here)
    }

    async fn commit_manifests(
        &mut self,
        mut batch: Vec<(NewManifest, i64)>,
        here: &mut HashSet<Digest>,
    ) -> Result<(), Error> {
        let (Some(registry), false) = (self.registry, batch.is_empty()) else {
            return Ok(());
        };
        let digests: Vec<Digest> = batch
            .iter()
            .map(|(manifest, _)| manifest.digest.clone())
            .collect();
        for (manifest, _) in &mut batch {
            (manifest.now, manifest.keep_ms) = (registry.now(), KEEP_MS);
        }
        let adopt = move |tx: &mut Tx<'_>| {
            let each = batch.iter();
            each.map(|(manifest, at)| catalog::adopt_manifest(tx, manifest, *at))
                .collect::<Result<Vec<_>, _>>()
        };
        let outcomes = registry.inner.catalog.write(adopt).await?;
        for (digest, outcome) in digests.into_iter().zip(outcomes) {
            self.report.manifests += 1;
            match outcome {
                AdoptedManifest::Added => self.report.manifests_new += 1,
                AdoptedManifest::Known => {}
                AdoptedManifest::Deleted => {
                    self.report.manifests_deleted += 1;
                    continue;
                }
            }
            here.insert(digest);
        }
        Ok(())
    }

    pub(super) async fn tags(
        &mut self,
        repo: &RepositoryName,
        tags: &[TagLinks],
        manifests: &HashSet<Digest>,
    ) -> Result<(), Error> {
        for tags in tags.chunks(BATCH) {
            let Some(registry) = self.registry else {
                for tag in tags {
                    let there = manifests.contains(&tag.current.0);
                    self.count_tag(
                        tag,
                        if there {
                            TagOutcome::Set
                        } else {
                            TagOutcome::NoManifest
                        },
                    );
                }
                continue;
            };
            let new: Vec<AdoptedTag> = tags.iter().map(|tag| adopted(repo, tag)).collect();
            let adopt = move |tx: &mut Tx<'_>| {
                new.iter()
                    .map(|tag| catalog::adopt_tag(tx, tag))
                    .collect::<Result<Vec<_>, _>>()
            };
            let outcomes = registry.inner.catalog.write(adopt).await?;
            for (tag, outcome) in tags.iter().zip(outcomes) {
                self.count_tag(tag, outcome);
            }
        }
        Ok(())
    }

    fn count_tag(&mut self, tag: &TagLinks, outcome: TagOutcome) {
        match outcome {
            TagOutcome::Set | TagOutcome::Same => self.report.tags += 1,
            TagOutcome::Kept => self.report.tags_kept += 1,
            TagOutcome::NoManifest => {
                let digest = tag.current.0.to_string();
                self.note(Damage::new(&tag.path, Found::TagToNothing { digest }));
            }
        }
    }
}

fn adopted(repo: &RepositoryName, tag: &TagLinks) -> AdoptedTag {
    AdoptedTag {
        repo: repo.clone(),
        tag: tag.tag.clone(),
        current: tag.current.clone(),
        before: tag.before.clone(),
        is_dated: true,
    }
}
