//! Making a backup: hold, catalog, bytes, record, in this order, while the registry goes on working.
//!
//! | step | what | cut off after it |
//! |---|---|---|
//! | B1 | a hold on the sweep, renewed while the work goes on | it ends by itself after an hour |
//! | B2 | a copy of the catalog, in the data folder | a file that the next start removes |
//! | B3 | the bytes of every blob that it names and the folder lacks, hashed on their way | whole files, which the next one need not copy |
//! | B4 | folders synced; settings; the copy of the catalog goes to the folder, and gets its name | files that no record names |
//! | B5 | the record | a backup |
//!
//! Damaged content is named in the record, marked here so that a push repairs it, and stops nothing.
//! Units: bytes, Unix milliseconds. Fails: `Backup`, `Busy`, a catalog that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Hold, Tx};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Reached;
use super::error::BackupError;
use super::job::{Copied, Job};
use super::prune::{Pruned, prune};
use super::vault::{BackupFile, BackupRecord, DRAFT, FORMAT, Vault};
use crate::{Damage, Error, Registry};

/// How long the hold lasts when nobody renews it.
const HOLD_MS: i64 = 60 * 60 * 1000;
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_mins(10);

/// A backup that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BackupDone {
    /// What is written of it.
    pub backup: BackupRecord,
    /// Blobs that the folder did not have.
    pub copied: u64,
    /// Bytes of those.
    pub bytes_copied: u64,
    /// Whether it lies on the disk of the data.
    pub same_disk: bool,
    /// What went, where old backups were to go.
    pub pruned: Option<Pruned>,
}

impl Registry {
    /// Makes a backup in the folder `to`; with `keep`, only so many of the latest stay there.
    pub async fn backup(
        &self,
        to: &Path,
        keep: Option<usize>,
        each: impl FnMut(&Reached) + Send + 'static,
        stop: &CancellationToken,
    ) -> Result<BackupDone, Error> {
        let Ok(_one) = self.inner.backups.making.try_lock() else {
            return Err(BackupError::Busy("on this registry".to_owned()).into());
        };
        let (target, data) = (to.to_owned(), self.data_root());
        let vault = Arc::new(blocking(move || Vault::claim(&target, &data)).await?);
        let now = self.now();
        let place = move |tx: &mut Tx<'_>| {
            catalog::place_hold(tx, &Hold::Sweep, "backup", Some(now.saturating_add(HOLD_MS)))
        };
        let hold = self.write_even_when_full(place).await?.unwrap_or_default();
        let stop = stop.child_token();
        let renewing = tokio::spawn({
            let (registry, stop) = (self.clone(), stop.clone());
            async move {
                let lost = registry.keep_hold(hold).await;
                stop.cancel();
                lost
            }
        });
        let outcome = self.copy_to(Arc::clone(&vault), Box::new(each), &stop).await;
        renewing.abort();
        let outcome = match renewing.await {
            Ok(lost) => Err(lost),
            Err(_ended) => outcome,
        };
        let release = move |tx: &mut Tx<'_>| catalog::release_hold(tx, hold);
        if let Err(error) = self.inner.catalog.write(release).await {
            tracing::warn!(%error, "the hold of a backup could not be ended; it ends by itself");
        }
        let copied = outcome?;
        for blob in copied.bad {
            self.note_damage(&blob.digest, Some(&blob.location), &Damage::Changed)
                .await;
        }
        let pruned = match keep {
            Some(keep) => Some({
                let vault = Arc::clone(&vault);
                blocking(move || prune(&vault, keep.max(1))).await?
            }),
            None => None,
        };
        Ok(BackupDone {
            backup: copied.record,
            copied: copied.blobs,
            bytes_copied: copied.bytes,
            same_disk: same_disk(vault.root(), self.inner.store.folder()),
            pruned,
        })
    }

    /// The folder that holds ours, which no backup may lie in.
    fn data_root(&self) -> PathBuf {
        let folder = self.inner.store.folder();
        folder.parent().unwrap_or(folder).to_owned()
    }

    /// Renews the hold for as long as it is waited for; returns only if that is not possible any more.
    async fn keep_hold(&self, hold: i64) -> Error {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let until = self.now().saturating_add(HOLD_MS);
            let renew = move |tx: &mut Tx<'_>| catalog::renew_hold(tx, hold, until);
            match self.inner.catalog.write(renew).await {
                Ok(true) => {}
                Ok(false) => return BackupError::HoldLost.into(),
                // It lasts for some more tries.
                Err(error) => tracing::warn!(%error, "the hold of a backup could not be renewed"),
            }
        }
    }

    async fn copy_to(
        &self,
        vault: Arc<Vault>,
        each: Box<dyn FnMut(&Reached) + Send>,
        stop: &CancellationToken,
    ) -> Result<Copied, Error> {
        let now = self.now();
        let time = {
            let vault = Arc::clone(&vault);
            blocking(move || free_time(&vault, now)).await?
        };
        let other = vault.path("catalogs").join("copy").with_extension(DRAFT);
        let copy = self.copy_catalog(other).await?;
        let job = Job {
            vault,
            copy,
            store: self.inner.store.clone(),
            record: self.first_record(time, now),
            stop: stop.clone(),
            reached: Reached::default(),
        };
        let mut each = each;
        let working = tokio::task::spawn_blocking(move || job.run(&mut *each));
        match working.await {
            Ok(outcome) => Ok(outcome?),
            Err(failed) => Err(Error::Interrupted(failed.to_string())),
        }
    }

    fn first_record(&self, time: String, now: i64) -> BackupRecord {
        BackupRecord {
            format: FORMAT,
            time,
            at_ms: now,
            landfall: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.inner.store.store_id().to_string(),
            incarnation: self.inner.store.incarnation(),
            seq: 0,
            repositories: 0,
            manifests: 0,
            tags: 0,
            blobs: 0,
            bytes: 0,
            files: 0,
            file_bytes: 0,
            catalog: BackupFile {
                name: String::new(),
                bytes: 0,
                digest: String::new(),
            },
            settings: Vec::new(),
            damaged: Vec::new(),
        }
    }
}

/// A time that no backup has, and the rest of backups that were cut off removed.
fn free_time(vault: &Vault, now: i64) -> Result<String, BackupError> {
    for folder in ["catalogs", "backups"] {
        let path = vault.path(folder);
        for entry in fs::read_dir(&path).map_err(|error| BackupError::read(&path, error))? {
            let path = entry.map_err(|error| BackupError::read(&path, error))?.path();
            if path.extension().is_some_and(|extension| extension == DRAFT) {
                fs::remove_file(&path).map_err(|error| BackupError::write(&path, error))?;
            }
        }
    }
    let (mut at, taken) = (now, vault.times()?);
    loop {
        let time = jiff::Timestamp::from_millisecond(at)
            .map_or_else(|_| at.to_string(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string());
        // Never before one that is there: the last one is the newest, whatever the clock says.
        if taken.last().is_none_or(|last| *last < time) {
            return Ok(time);
        }
        at = at.saturating_add(1000);
        if at > now.saturating_add(1_000_000) {
            return Err(BackupError::altered(
                vault.root(),
                "its last backup is from the future: is the clock right?",
            ));
        }
    }
}

fn same_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    device(one).is_some_and(|one| Some(one) == device(other))
}

/// Runs `work` where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(failed) => Err(Error::Interrupted(failed.to_string())),
    }
}
