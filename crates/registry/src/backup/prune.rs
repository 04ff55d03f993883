//! Taking old backups away: their records first, then their catalogs and settings, then the bytes that no backup names.
//!
//! Cut off anywhere, what is still a backup is whole; the rest goes the next time. Blocks. A record that cannot be read stops
//! it: nobody knows then what that backup needs.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::error::BackupError;
use super::shards::Catalogs;
use super::vault::Vault;

/// What went.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Pruned {
    /// The backups, by their times.
    pub backups: Vec<String>,
    /// Files of blobs.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// Leaves the last `keep` backups, and what they name.
pub(super) fn prune(vault: &Vault, keep: usize) -> Result<Pruned, BackupError> {
    let mut records = vault.records()?;
    let kept = records.split_off(records.len().saturating_sub(keep));
    // All of these are read before anything goes.
    let catalogs = Catalogs::open(vault, &kept)?;
    let mut pruned = Pruned::default();
    for record in records {
        remove(&vault.path(Vault::record(&record.time)))?;
        pruned.backups.push(record.time);
    }
    vault.sync_folder(Path::new("backups"))?;
    let times: HashSet<&str> = kept.iter().map(|record| record.time.as_str()).collect();
    for folder in ["catalogs", "settings"] {
        for (name, path) in entries(&vault.path(folder))? {
            let time = name.split('.').next().unwrap_or(&name);
            if times.contains(time) {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(|error| BackupError::write(&path, error))?;
            } else {
                remove(&path)?;
            }
        }
    }
    catalogs.each(vault, |folder, named| {
        let named: HashSet<String> = named.keys().map(oci::Digest::hex).collect();
        for (name, path) in entries(&vault.path(folder))? {
            if !named.contains(&name) {
                pruned.bytes += fs::metadata(&path).map_or(0, |found| found.len());
                pruned.blobs += 1;
                remove(&path)?;
            }
        }
        Ok(())
    })?;
    Ok(pruned)
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::write(path, error)),
        _ => Ok(()),
    }
}

/// What is in a folder; nothing if there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>, BackupError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(|error| BackupError::read(folder, error))?,
    };
    listed
        .map(|entry| {
            let entry = entry.map_err(|error| BackupError::read(folder, error))?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect()
}
