//! A new data folder out of a backup: bytes first, catalog after, in its place at once when all of it is there.
//!
//! Every row that names a file is looked at, and every byte hashed, before the folder becomes one that a server opens: so
//! collection may begin as usual. The store begins another life (its incarnation is raised), and leases and undo windows go on
//! where they stood when the backup was made.
//! Fails: `BackupError` (the backup), `Store` (the new folder), `NoRoom`. Cut off, the same call goes on.

use std::fs::File;
use std::path::{Path, PathBuf};

use catalog::{Catalog, CatalogCopy, DamageCause, Health, SqliteOptions, StoredBlob, Tx};
use oci::Digest;
use serde::Serialize;
use store::Revival;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Reached;
use super::error::BackupError;
use super::run::blocking;
use super::shards::catalog_error;
use super::vault::{BackupRecord, Vault};
use crate::{Clock, Error, SystemClock};

/// Rows that are read at once.
const PAGE: usize = 1024;
/// Where the catalog lies in a data folder.
const CATALOG: &str = "catalog/landfall.db";

/// What to bring back, and where from.
#[derive(Clone, Debug)]
pub struct RestoreFrom {
    /// The folder of backups.
    pub folder: PathBuf,
    /// The time of the backup; none is the last one.
    pub time: Option<String>,
    /// Go on where blobs of the backup are missing or damaged; they are marked as such, and a push repairs them.
    pub partial: bool,
}

/// What was brought back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Restored {
    /// What is written of the backup.
    pub backup: BackupRecord,
    /// Blobs that have no good bytes.
    pub damaged: Vec<String>,
    /// The bytes that those would have.
    pub damaged_bytes: u64,
}

/// Makes the data folder `root`, which must be empty, out of a backup.
pub async fn restore(
    from: RestoreFrom,
    root: &Path,
    clock: &dyn Clock,
    mut each: impl FnMut(&Reached) + Send,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let filling = {
        let (from, root, stop) = (from.clone(), root.to_owned(), stop.clone());
        tokio::task::spawn_blocking(move || {
            let mut each = |reached: &Reached| {
                let _ = tell.try_send(*reached); // a slow listener misses steps and delays none
            };
            fill(&from, &root, &mut each, &stop)
        })
    };
    while let Some(reached) = told.recv().await {
        each(&reached);
    }
    let filled = filling
        .await
        .map_err(|failed| Error::Interrupted(failed.to_string()))??;
    let age_ms = clock.now_ms().saturating_sub(filled.record.at_ms);
    wake(&filled, age_ms).await?;
    let Filled {
        revival, record, bad, ..
    } = filled;
    let store_id = Uuid::try_parse(&record.store).unwrap_or_else(|_| Uuid::new_v4());
    let incarnation = record.incarnation.saturating_add(1);
    blocking(move || Ok(revival.finish(store_id, incarnation)))
        .await?
        .map_err(Error::from)?;
    Ok(Restored {
        backup: record,
        damaged_bytes: bad.iter().map(|blob| blob.size).sum(),
        damaged: bad.iter().map(|blob| blob.digest.to_string()).collect(),
    })
}

/// A folder that is full but not in its place.
struct Filled {
    revival: Revival,
    record: BackupRecord,
    bad: Vec<StoredBlob>,
    /// Known to be bad or suspect when the backup was made, and good now.
    mended: Vec<StoredBlob>,
}

fn fill(
    from: &RestoreFrom,
    root: &Path,
    each: &mut dyn FnMut(&Reached),
    stop: &CancellationToken,
) -> Result<Filled, Error> {
    let vault = Vault::open(&from.folder)?;
    let record = vault.find(from.time.as_deref())?;
    let catalog = vault.proven(&Vault::catalog(&record.time), &record.catalog)?;
    let copy = CatalogCopy::open(&catalog).map_err(|error| catalog_error(&catalog, &error))?;
    // What is damaged in a way that no other try mends is found before anything is copied.
    let mut settings = Vec::with_capacity(record.settings.len());
    for file in &record.settings {
        let path = vault.proven(&Vault::settings(&record.time).join(&file.name), file)?;
        settings.push((file.name.clone(), path));
    }
    let mut revival = Revival::begin(root)?;
    let mut reached = Reached {
        blobs_total: record.files,
        bytes_total: record.file_bytes,
        ..Reached::default()
    };
    let (mut bad, mut mended, mut first, mut after) = (Vec::new(), Vec::new(), None, 0);
    loop {
        let page = copy
            .read(|tx| catalog::stored_blobs(tx, after, PAGE))
            .map_err(|error| catalog_error(&catalog, &error))?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for blob in page {
            if stop.is_cancelled() {
                return Err(Error::Closing);
            }
            reached.blobs += 1;
            reached.bytes += blob.size;
            if let Err(reason) = place(&vault, &mut revival, &blob)? {
                first.get_or_insert_with(|| format!("{}: {reason}", blob.digest));
                bad.push(blob);
            } else if blob.health != Health::Good {
                mended.push(blob);
            }
            each(&reached);
        }
    }
    if let (Some(first), false) = (first, from.partial) {
        let kept = if revival.has_blobs() {
            Some(revival.folder().to_owned())
        } else {
            revival.discard()?;
            None
        };
        let count = bad.len();
        return Err(BackupError::Damaged { count, first, kept }.into());
    }
    // Of a try that was cut off, perhaps with another backup: a log beside another catalog would be taken for its own.
    for name in ["catalog", "tls", "secrets"] {
        forget(&revival.folder().join(name), std::fs::remove_dir_all)?;
    }
    forget(&revival.folder().join("htpasswd"), std::fs::remove_file)?;
    for (name, path) in &settings {
        put(&mut revival, Path::new(name), path)?;
    }
    put(&mut revival, Path::new(CATALOG), &catalog)?;
    Ok(Filled {
        revival,
        record,
        bad,
        mended,
    })
}

fn forget(path: &Path, how: impl Fn(PathBuf) -> std::io::Result<()>) -> Result<(), Error> {
    match how(path.to_owned()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BackupError::write(path, error).into())
        }
        _ => Ok(()),
    }
}

/// Puts one blob into its place; why there is none to put.
fn place(vault: &Vault, revival: &mut Revival, blob: &StoredBlob) -> Result<Result<(), String>, Error> {
    let Ok(location) = blob.location.parse() else {
        return Ok(Err("its place is none".to_owned()));
    };
    let path = vault.path(Vault::blob(&blob.digest));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err("it is missing".to_owned()));
        }
        Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
    };
    match revival.place(&location, blob.size, &mut file, &path) {
        Ok(_) => Ok(Ok(())),
        Err(store::Error::DigestMismatch { actual, .. }) => Ok(Err(wrong(&actual))),
        Err(store::Error::Io {
            doing: "read",
            source,
            ..
        }) => Ok(Err(format!("it cannot be read: {source}"))),
        Err(error) => Err(error.into()),
    }
}

fn wrong(actual: &Digest) -> String {
    format!("its bytes are those of {actual}")
}

fn put(revival: &mut Revival, below: &Path, from: &Path) -> Result<(), Error> {
    let is_inside = below
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if !is_inside {
        return Err(BackupError::altered(from, "its name leads out of the folder").into());
    }
    let mut file = File::open(from).map_err(|error| BackupError::read(from, error))?;
    Ok(revival.put(below, &mut file, from)?)
}

/// Brings the copy of the catalog up to date, and ends in it what was under way.
async fn wake(filled: &Filled, age_ms: i64) -> Result<(), Error> {
    let path = filled.revival.folder().join(CATALOG);
    let opened =
        tokio::task::spawn_blocking(move || Catalog::open_sqlite(&path, SqliteOptions { readers: 1 }));
    let catalog = opened
        .await
        .map_err(|failed| Error::Interrupted(failed.to_string()))??;
    let (bad, mended, now) = (filled.bad.clone(), filled.mended.clone(), SystemClock.now_ms());
    let wake = move |tx: &mut Tx<'_>| {
        catalog::wake_copy(tx, age_ms)?;
        for blob in &mended {
            catalog::mark_restored(tx, &blob.digest, &blob.location, now)?;
        }
        for blob in &bad {
            catalog::mark_bad(tx, &blob.digest, Some(&blob.location), DamageCause::Missing, now)?;
        }
        Ok(())
    };
    let woken = catalog.write(wake).await;
    catalog.close().await;
    Ok(woken?)
}
