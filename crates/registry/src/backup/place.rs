//! Whether a folder is a place for backups: outside the data folder, and empty or one of ours.
//!
//! Blocks. Fails: `Inside`, `NotOurs`.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use super::vault::FOLDERS;

/// A path as the disk knows it, also where its end does not exist yet.
fn real(path: &Path) -> PathBuf {
    let there = path
        .ancestors()
        .find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    match there {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path.to_owned(),
    }
}

/// A target in the data folder would be lost together with it.
pub(super) fn refuse_inside(root: &Path, data: &Path) -> Result<(), BackupError> {
    let (target, own) = (real(root), real(data));
    if target.starts_with(&own) {
        return Err(BackupError::Inside {
            path: root.to_owned(),
            data: data.to_owned(),
        });
    }
    Ok(())
}

/// A folder without our mark must be empty, but for what a first try may have left.
pub(super) fn refuse_other(root: &Path) -> Result<(), BackupError> {
    let entries = fs::read_dir(root).map_err(|error| BackupError::read(root, error))?;
    for entry in entries {
        let name = entry.map_err(|error| BackupError::read(root, error))?.file_name();
        let name = name.to_string_lossy();
        let ours = FOLDERS.contains(&&*name) || ["LOCK", "BACKUP.part", "lost+found"].contains(&&*name);
        if !ours {
            return Err(BackupError::NotOurs {
                path: root.to_owned(),
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}
