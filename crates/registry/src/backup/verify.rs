//! Reading backups back: every record, catalog, setting and blob, hashed, and compared with what it should be.
//!
//! A blob that several backups share is read once. Nothing is changed. Blocks. Fails: `BackupError` where the folder itself
//! cannot be read; what is wrong with a backup is an answer.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::error::BackupError;
use super::shards::Catalogs;
use super::vault::{BackupRecord, Vault};
use super::{Each, Reached};
use crate::hashing::hash_all;

/// Damaged blobs that are named; more are only counted.
const NAMED_MAX: usize = 1000;

/// What was found.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Verified {
    /// The backups that were read, oldest first.
    pub backups: Vec<String>,
    /// Blobs that were read.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// What is wrong with records, catalogs and settings.
    pub problems: Vec<Problem>,
    /// Blobs that are missing or damaged; at most a thousand of them.
    pub damaged: Vec<DamagedBlob>,
    /// All of them.
    pub damaged_count: u64,
}

/// A backup that cannot be brought back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Which.
    pub backup: String,
    /// Why.
    pub reason: String,
}

/// A blob that is missing or damaged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DamagedBlob {
    /// Its digest.
    pub digest: String,
    /// What is wrong.
    pub reason: String,
    /// Whether the registry itself had no good bytes of it when each of these backups was made.
    pub known: bool,
    /// The backups that name it.
    pub backups: Vec<String>,
}

impl Verified {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.damaged_count == 0
    }
}

/// Reads the backup of this time, or all of a folder.
pub fn verify(
    folder: &Path,
    time: Option<&str>,
    each: Each<'_>,
    stop: &CancellationToken,
) -> Result<Verified, BackupError> {
    let vault = Vault::open(folder)?;
    let mut verified = Verified::default();
    let times = match time {
        Some(time) => vec![vault.find(Some(time))?.time],
        None => vault.times()?,
    };
    if times.is_empty() {
        return Err(BackupError::Unknown {
            path: folder.to_owned(),
            time: String::new(),
        });
    }
    let mut records = Vec::new();
    for time in times {
        go_on(stop)?;
        match check_files(&vault, &time) {
            Ok(record) => records.push(record),
            Err(error) => verified.problems.push(Problem {
                backup: time.clone(),
                reason: error.to_string(),
            }),
        }
        verified.backups.push(time);
    }
    let catalogs = Catalogs::open(&vault, &records)?;
    let most = records.iter().max_by_key(|record| record.file_bytes);
    let mut reached = Reached {
        blobs_total: most.map_or(0, |record| record.files),
        bytes_total: most.map_or(0, |record| record.file_bytes),
        ..Reached::default()
    };
    catalogs.each(&vault, |_, named| {
        for (digest, (size, numbers)) in named {
            go_on(stop)?;
            let path = vault.path(Vault::blob(&digest));
            if let Err(reason) = check_blob(&path, &digest, size) {
                let text = digest.to_string();
                let known = numbers
                    .iter()
                    .all(|&number| records[number].damaged.contains(&text));
                verified.damaged_count += 1;
                if verified.damaged.len() < NAMED_MAX {
                    verified.damaged.push(DamagedBlob {
                        digest: text,
                        reason,
                        known,
                        backups: numbers
                            .iter()
                            .map(|&number| records[number].time.clone())
                            .collect(),
                    });
                }
            }
            verified.blobs += 1;
            verified.bytes += size;
            (reached.blobs, reached.bytes) = (verified.blobs, verified.bytes);
            each(&reached);
        }
        Ok(())
    })?;
    Ok(verified)
}

/// The record of a backup, once its catalog and its settings were found to be what it says.
fn check_files(vault: &Vault, time: &str) -> Result<BackupRecord, BackupError> {
    let record = vault.read(time)?;
    vault.proven(&Vault::catalog(time), &record.catalog)?;
    for file in &record.settings {
        vault.proven(&Vault::settings(time).join(&file.name), file)?;
    }
    // One that cannot be opened would end the look at all others later.
    Catalogs::open(vault, std::slice::from_ref(&record))?;
    Ok(record)
}

fn check_blob(path: &Path, digest: &oci::Digest, size: u64) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "it is missing".to_owned(),
        _ => format!("it cannot be read: {error}"),
    })?;
    let (actual, bytes) = hash_all(&mut file, digest.algorithm(), |_| Ok(()))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes != size {
        return Err(format!("it has {}, not {size}", oci::counted(bytes, "byte")));
    }
    if actual != *digest {
        return Err(format!("its bytes are those of {actual}"));
    }
    Ok(())
}

fn go_on(stop: &CancellationToken) -> Result<(), BackupError> {
    if stop.is_cancelled() {
        Err(BackupError::Stopped)
    } else {
        Ok(())
    }
}
