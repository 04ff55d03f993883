//! Files of ours: written whole or not at all, durable, and keys for the owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// Replaces a file; readers find the old text or the new. Blocks.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|source| Error::File {
        path: path.into(),
        source,
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft); // of a write that was interrupted
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rustix::fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Where a file that cannot be used is put.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unusable");
    path.with_file_name(name)
}

/// Takes a file out of the way and loses nothing of it; none there is fine. Blocks.
pub(crate) fn set_aside(path: &Path) -> Result<(), Error> {
    match rustix::fs::rename(path, aside(path)) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::File {
            path: path.into(),
            source: error.into(),
        }),
    }
}

/// The bytes of a file that a setting names. Blocks.
pub(crate) fn read_of_operator(path: &Path, setting: &'static str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Unreadable {
        path: path.into(),
        setting,
        reason: error.to_string(),
    })
}

/// The same as text, or nothing if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.into(),
            source,
        }),
    }
}
