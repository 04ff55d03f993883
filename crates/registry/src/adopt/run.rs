//! The walk through a source, repository by repository: blobs, then manifests, then tags, each in small transactions.
//!
//! After each repository the catalog knows how far the run is. A crash in the middle of one leaves rows that the next
//! run finds, and at most some names of ours that no row names.
//! Memory: the digests of the source (8 bytes each), and the links of one repository.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use catalog::Tx;
use oci::{Digest, RepositoryName};
use store::Forecast;
use tokio_util::sync::CancellationToken;

use super::blobs::blocking;
use super::document::{self, Document};
use super::report::{DAMAGES_MAX, Damage, Found, Progress, Report};
use super::tree::{Link, Stock, TagLinks, Tree};
use super::{Destination, Verify, Watcher};
use crate::{Error, Registry};

/// What is kept of a manifest while its repository is looked through.
pub(super) struct Outline {
    pub(super) link: Link,
    pub(super) is_index: bool,
    pub(super) subject: Option<Digest>,
    /// What it names and should be here: blobs and manifests, with the size that it gives.
    pub(super) named: Vec<(Digest, u64)>,
}

pub(super) struct Run<'a> {
    pub(super) registry: Option<&'a Registry>,
    /// Without a registry: how blobs would come, and up to which size they would lie in the catalog.
    pub(super) forecast: Option<(Arc<Forecast>, u64)>,
    pub(super) tree: Tree,
    pub(super) verify: Verify,
    pub(super) manifest_bytes_max: u64,
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) stop: &'a CancellationToken,
    pub(super) report: Report,
    pub(super) progress: Progress,
    /// What some repository links, by the first bytes of its digest.
    pub(super) seen: HashSet<u64>,
    /// What some tag leads to.
    pub(super) reached: HashSet<u64>,
    pub(super) bytes_reached: u64,
}

pub(super) async fn survey(
    tree: Tree,
    verify: Verify,
    destination: &Destination,
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let target = destination.folder.clone();
    let forecast = blocking(move || Forecast::of(&target)).await?;
    let mut run = Run::new(None, tree, verify, watcher, stop);
    run.forecast = Some((Arc::new(forecast), destination.inline_bytes_max));
    let names = run.names().await?;
    run.every(names, None).await?;
    run.conclude().await
}

pub(super) async fn adopt(
    registry: &Registry,
    tree: Tree,
    source: String,
    verify: Verify,
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let catalog = &registry.inner.catalog;
    let now = registry.now();
    let import = catalog
        .write(move |tx| catalog::begin_import(tx, &source, now))
        .await?;
    let mut run = Run::new(Some(registry), tree, verify, watcher, stop);
    let mut names = run.names().await?;
    if let Some(cursor) = &import.cursor {
        names.retain(|name| name.split('/').gt(cursor.split('/')));
        run.report.resumed_after = Some(cursor.clone());
        run.progress.repositories = run.progress.repositories_total - names.len() as u64;
    }
    run.every(names, Some(import.id)).await?;
    let report = run.conclude().await?;
    let mut kept = report.clone();
    kept.damages.truncate(100); // the row is a note, not the report
    let stats = serde_json::to_string(&kept).map_err(|error| Error::Interrupted(error.to_string()))?;
    let now = registry.now();
    catalog
        .write(move |tx| catalog::finish_import(tx, import.id, &stats, now))
        .await?;
    Ok(report)
}

impl<'a> Run<'a> {
    fn new(
        registry: Option<&'a Registry>,
        tree: Tree,
        verify: Verify,
        watcher: &'a mut dyn Watcher,
        stop: &'a CancellationToken,
    ) -> Self {
        let usual = crate::Rules::default().manifest_bytes_max;
        Self {
            registry,
            forecast: None,
            tree,
            verify,
            // A limit that was lowered later must not lose what is there.
            manifest_bytes_max: registry
                .map_or(usual, |registry| registry.rules().manifest_bytes_max.max(usual)),
            watcher,
            stop,
            report: Report::default(),
            progress: Progress::default(),
            seen: HashSet::new(),
            reached: HashSet::new(),
            bytes_reached: 0,
        }
    }

    /// Reads on a thread of its own, and takes note of the damages.
    async fn look<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&Tree, &mut Vec<Damage>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let tree = self.tree.clone();
        let (answer, damages) = blocking(move || {
            let mut damages = Vec::new();
            (read(&tree, &mut damages), damages)
        })
        .await?;
        for damage in damages {
            self.note(damage);
        }
        Ok(answer)
    }

    pub(super) fn note(&mut self, damage: Damage) {
        self.watcher.damage(&damage);
        self.report.damage_count += 1;
        if self.report.damages.len() < DAMAGES_MAX {
            self.report.damages.push(damage);
        }
    }

    async fn names(&mut self) -> Result<Vec<RepositoryName>, Error> {
        let names = self.look(Tree::repositories).await??;
        self.progress.repositories_total = names.len() as u64;
        self.watcher.progress(&self.progress);
        Ok(names)
    }

    async fn every(&mut self, names: Vec<RepositoryName>, import: Option<i64>) -> Result<(), Error> {
        for name in names {
            let cursor = name.to_string();
            self.repository(name).await?;
            if let (Some(registry), Some(id)) = (self.registry, import) {
                let advance = move |tx: &mut Tx<'_>| catalog::advance_import(tx, id, &cursor);
                registry.inner.catalog.write(advance).await?;
            }
        }
        Ok(())
    }

    async fn repository(&mut self, name: RepositoryName) -> Result<(), Error> {
        let stock = self.look(move |tree, damages| tree.read(&name, damages)).await?;
        self.report.repositories += 1;
        self.report.uploads += stock.uploads;
        let outlines = self.outlines(&stock).await?;
        let blobs = self.blobs(&stock, &outlines).await?;
        let manifests = self.manifests(&stock.name, &outlines).await?;
        for outline in &outlines {
            let here = |digest: &Digest| blobs.contains_key(digest) || manifests.contains(digest);
            for (digest, _) in outline.named.iter().filter(|(digest, _)| !here(digest)) {
                let digest = digest.to_string();
                self.note(Damage::new(
                    &outline.link.path,
                    Found::MissingReference { digest },
                ));
            }
        }
        self.tags(&stock.name, &stock.tags, &manifests).await?;
        self.reach(&stock.tags, &outlines, &blobs);
        self.progress.repositories += 1;
        self.watcher.progress(&self.progress);
        Ok(())
    }

    /// Reads every manifest once, for what it names.
    async fn outlines(&mut self, stock: &Stock) -> Result<Vec<Outline>, Error> {
        let mut outlines = Vec::with_capacity(stock.revisions.len());
        for link in &stock.revisions {
            self.go_on()?;
            let Some(document) = self.document(&stock.name, link).await? else {
                continue;
            };
            self.report.schema1 += u64::from(document.is_schema1);
            self.report.bytes_manifests += document.manifest.body.len() as u64;
            let blobs = document
                .manifest
                .blobs
                .iter()
                .map(|edge| (&edge.digest, edge.size));
            let children = document
                .manifest
                .children
                .iter()
                .map(|child| (&child.digest, child.size));
            let named = blobs
                .chain(children)
                .filter(|(digest, _)| !document.foreign.contains(digest))
                .map(|(digest, size)| (digest.clone(), size));
            outlines.push(Outline {
                link: link.clone(),
                is_index: document.is_index,
                subject: document.manifest.subject.clone(),
                named: named.collect(),
            });
        }
        Ok(outlines)
    }

    pub(super) async fn document(
        &mut self,
        repo: &RepositoryName,
        link: &Link,
    ) -> Result<Option<Document>, Error> {
        let (path, repo, digest) = (self.tree.data(&link.target), repo.clone(), link.digest.clone());
        let bytes_max = self.manifest_bytes_max;
        match blocking(move || document::read(&path, &repo, &digest, bytes_max)).await? {
            Ok(document) => Ok(Some(document)),
            Err(found) => {
                self.note(Damage::new(&link.path, found));
                Ok(None)
            }
        }
    }

    /// Counts what the tags of a repository lead to: what they name, what that names, and what refers to it.
    fn reach(&mut self, tags: &[TagLinks], outlines: &[Outline], blobs: &HashMap<Digest, u64>) {
        let by_digest: HashMap<&Digest, &Outline> = outlines
            .iter()
            .map(|outline| (&outline.link.digest, outline))
            .collect();
        let mut referrers: HashMap<&Digest, Vec<&Outline>> = HashMap::new();
        for outline in outlines {
            if let Some(subject) = &outline.subject {
                referrers.entry(subject).or_default().push(outline);
            }
        }
        let mut open: Vec<&Digest> = tags.iter().map(|tag| &tag.current.0).collect();
        let mut done = HashSet::new();
        while let Some(digest) = open.pop() {
            if !done.insert(digest) {
                continue;
            }
            if let Some(size) = blobs.get(digest)
                && self.reached.insert(short(digest))
            {
                self.bytes_reached += size;
            }
            let outline = by_digest.get(digest);
            open.extend(
                outline
                    .into_iter()
                    .flat_map(|outline| &outline.named)
                    .map(|(digest, _)| digest),
            );
            let refer = referrers.get(digest).into_iter().flatten();
            open.extend(refer.map(|outline| &outline.link.digest));
        }
    }

    /// Looks for content that nothing links, and closes the report.
    async fn conclude(mut self) -> Result<Report, Error> {
        self.report.bytes_untagged = self.report.bytes.saturating_sub(self.bytes_reached);
        if self.report.resumed_after.is_none() {
            let seen = std::mem::take(&mut self.seen);
            let (unlinked, bytes) = self
                .look(move |tree, damages| {
                    let mut unlinked = (0, 0);
                    tree.each_content(damages, |digest, size| {
                        if !seen.contains(&short(&digest)) {
                            unlinked = (unlinked.0 + 1, unlinked.1 + size);
                        }
                    });
                    unlinked
                })
                .await?;
            (self.report.unlinked, self.report.bytes_unlinked) = (unlinked, bytes);
        }
        Ok(self.report)
    }

    /// Ends the run where it is told to stop.
    pub(super) fn go_on(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            Err(Error::Closing)
        } else {
            Ok(())
        }
    }
}

/// Enough of a digest to count by.
pub(super) fn short(digest: &Digest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.raw()[..8]);
    u64::from_be_bytes(bytes)
}
