//! Writing a bundle, of a copy of the catalog, while the registry goes on working. Whole under its name, or not there.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use catalog::{CatalogCopy, Hold, Tx};
use oci::{Digest, RepositoryName};
use serde::Serialize;
use store::FsStore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::BundleError;
use super::read::Bundle;
use super::record::{BundleBase, BundleEnd, BundleNote, BundleRecord, FIRST, FORMAT, LAST, MADE};
use crate::backup::local::LocalCopy;
use crate::backup::{BackupError, Reached};
use crate::{Error, Registry};

mod contents;
mod known;
mod pen;

use contents::Plan;
use known::{Known, Survey};
use pen::Pen;

/// How long bytes are held for a bundle that nobody ends.
const HOLD_MS: i64 = 24 * 60 * 60 * 1000;

/// What the other side has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Since {
    /// The bundle in this file.
    Bundle(PathBuf),
    /// Everything up to this change.
    Change(i64),
    /// The last bundle that was made here.
    Last,
}

/// A bundle that was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Written {
    /// Its name.
    pub id: String,
    /// What it continues.
    pub base: Option<BundleBase>,
    /// The last change that is in it.
    pub seq: i64,
    /// Repositories that it tells of.
    pub repositories: u64,
    /// Repositories that it takes away.
    pub repositories_deleted: u64,
    /// Manifests in it.
    pub manifests: u64,
    /// Tags that it sets or takes away.
    pub tags: u64,
    /// Blobs in it.
    pub blobs: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// A wish for a bundle.
struct Job {
    store: FsStore,
    target: PathBuf,
    wanted: Vec<RepositoryName>,
    known: Known,
    now_ms: i64,
    stop: CancellationToken,
}

impl Registry {
    /// Writes a bundle of these repositories, or of all, to the new file `target`.
    pub async fn write_bundle(
        &self,
        target: &Path,
        repositories: &[RepositoryName],
        since: Option<Since>,
        mut each: impl FnMut(&Reached) + Send,
        stop: &CancellationToken,
    ) -> Result<Written, Error> {
        let target = std::path::absolute(target).map_err(|error| BundleError::write(target, error))?;
        if target.exists() {
            return Err(BundleError::Exists(target).into());
        }
        let Ok(_one) = self.inner.backups.making.try_lock() else {
            return Err(BackupError::Busy("on this registry".to_owned()).into());
        };
        let known = self.known(since).await?;
        let now = self.now();
        let place = move |tx: &mut Tx<'_>| {
            catalog::place_hold(tx, &Hold::Sweep, "bundle", Some(now.saturating_add(HOLD_MS)))
        };
        let hold = self.write_even_when_full(place).await?.unwrap_or_default();
        let job = Job {
            store: self.inner.store.clone(),
            target,
            wanted: repositories.to_vec(),
            known,
            now_ms: now,
            stop: stop.clone(),
        };
        let written = self.write_of_copy(job, &mut each).await;
        let release = move |tx: &mut Tx<'_>| catalog::release_hold(tx, hold);
        if let Err(error) = self.inner.catalog.write(release).await {
            tracing::warn!(%error, "the hold of a bundle could not be ended; it ends by itself");
        }
        let record = written?;
        self.remember(record.1).await?;
        Ok(record.0)
    }

    async fn write_of_copy(
        &self,
        job: Job,
        each: &mut (dyn FnMut(&Reached) + Send),
    ) -> Result<(Written, BundleNote), Error> {
        let other = job.target.with_added_extension("catalog");
        let copy = self.copy_catalog(other).await?;
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let working = tokio::task::spawn_blocking(move || {
            let mut each = |reached: &Reached| {
                let _ = tell.try_send(*reached); // a slow listener misses steps and delays none
            };
            job.run(&copy, &mut each)
        });
        while let Some(reached) = told.recv().await {
            each(&reached);
        }
        working
            .await
            .map_err(|failed| Error::Interrupted(failed.to_string()))?
    }

    async fn known(&self, since: Option<Since>) -> Result<Known, Error> {
        let last = self
            .inner
            .catalog
            .read(|tx| catalog::last_import(tx, MADE))
            .await?;
        let last = last.and_then(|text| serde_json::from_str::<BundleNote>(&text).ok());
        let sent = last
            .iter()
            .flat_map(|note| note.repositories.iter().cloned())
            .collect();
        let known = match since {
            None => Known::default(),
            Some(Since::Change(seq)) => {
                let last = self.inner.catalog.read(catalog::last_change).await?;
                if !(0..=last).contains(&seq) {
                    return Err(BundleError::NoChange { asked: seq, last }.into());
                }
                Known {
                    base: Some(BundleBase { id: None, seq }),
                    all_of_base: true,
                    ..Known::default()
                }
            }
            Some(Since::Last) => Known::of_last(last.ok_or(BundleError::NoLast)?),
            Some(Since::Bundle(path)) => {
                let opened = tokio::task::spawn_blocking(move || {
                    Bundle::open(&path).map(|bundle| (path, bundle.record))
                });
                let (path, record) = opened
                    .await
                    .map_err(|failed| Error::Interrupted(failed.to_string()))??;
                if record.store != self.inner.store.store_id().to_string() {
                    return Err(BundleError::Foreign(path).into());
                }
                Known::of(&record)
            }
        };
        Ok(Known { sent, ..known })
    }

    /// Writes down that the other side has this now, for `Since::Last`.
    async fn remember(&self, note: BundleNote) -> Result<(), Error> {
        let text = serde_json::to_string(&note).map_err(|error| Error::Interrupted(error.to_string()))?;
        let now = self.now();
        let remember = move |tx: &mut Tx<'_>| {
            let import = catalog::begin_import(tx, MADE, now)?;
            catalog::finish_import(tx, import.id, &text, now)
        };
        Ok(self.inner.catalog.write(remember).await?)
    }
}

impl Job {
    fn run(self, copy: &LocalCopy, each: &mut dyn FnMut(&Reached)) -> Result<(Written, BundleNote), Error> {
        let copy = CatalogCopy::open(copy.path())?;
        let (known, survey) = self.known.clone().survey(&copy, &self.wanted)?;
        let plans = &survey.plans;
        let record = self.record(&copy, &known, &survey)?;
        let draft = self.target.with_added_extension("part");
        let outcome = self.write(&copy, plans, &record, &draft, each);
        if outcome.is_err() {
            let _ = fs::remove_file(&draft); // why it failed is what is to be said
        }
        let bytes = outcome?;
        let written = Written {
            id: record.id.clone(),
            base: record.base.clone(),
            seq: record.seq,
            repositories: plans.iter().filter(|plan| !plan.about.deleted).count() as u64,
            repositories_deleted: plans.iter().filter(|plan| plan.about.deleted).count() as u64,
            manifests: plans.iter().map(|plan| plan.about.manifests.len() as u64).sum(),
            tags: plans.iter().map(|plan| plan.about.tags.len() as u64).sum(),
            blobs: plans.iter().map(|plan| plan.about.blobs).sum(),
            bytes,
        };
        let note = known.note(&record);
        Ok((written, note))
    }

    fn record(&self, copy: &CatalogCopy, known: &Known, survey: &Survey) -> Result<BundleRecord, Error> {
        Ok(BundleRecord {
            format: FORMAT,
            id: Uuid::now_v7().to_string(),
            created: time_text(self.now_ms),
            landfall: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.store.store_id().to_string(),
            seq: copy.read(catalog::last_change)?,
            base: known.base.clone(),
            repositories: survey.plans.iter().map(|plan| plan.about.clone()).collect(),
            covers: survey.covers.clone(),
        })
    }

    /// Writes everything; how many bytes that are.
    fn write(
        &self,
        copy: &CatalogCopy,
        plans: &[Plan],
        record: &BundleRecord,
        draft: &Path,
        each: &mut dyn FnMut(&Reached),
    ) -> Result<u64, Error> {
        let refused = |error| BundleError::write(draft, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(draft)
            .map_err(refused)?;
        let text =
            serde_json::to_vec_pretty(record).map_err(|error| BundleError::write(draft, error.into()))?;
        let mut hashing = store::Hasher::new(oci::Algorithm::Sha256);
        hashing.update(&text);
        let end = BundleEnd {
            id: record.id.clone(),
            record: hashing.finish().to_string(),
        };
        let mut pen = Pen::new(BufWriter::with_capacity(1 << 20, file), draft, self.now_ms);
        pen.put(FIRST, &text)?;
        let mut reached = Reached {
            blobs_total: plans.iter().map(|plan| plan.about.blobs).sum(),
            bytes_total: plans.iter().map(|plan| plan.about.bytes).sum(),
            ..Reached::default()
        };
        let mut placed = HashMap::new();
        for plan in plans {
            plan.write(
                &self.store,
                copy,
                &mut pen,
                &mut placed,
                &self.stop,
                &mut |size| {
                    reached.blobs += 1;
                    reached.bytes += size;
                    each(&reached);
                },
            )?;
        }
        let text = serde_json::to_vec(&end).map_err(|error| BundleError::write(draft, error.into()))?;
        pen.put(LAST, &text)?;
        let file = pen.finish()?;
        file.sync_all().map_err(refused)?;
        let bytes = file.metadata().map_err(refused)?.len();
        let target = &self.target;
        fs::rename(draft, target).map_err(|error| BundleError::write(target, error))?;
        let folder = target.parent().unwrap_or(target);
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| BundleError::write(folder, error))?;
        Ok(bytes)
    }
}

/// RFC 3339, UTC.
fn time_text(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| at.to_string())
}

/// Where a blob was put first, by its digest.
type Placed = HashMap<Digest, String>;
