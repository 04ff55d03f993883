//! Why a backup was not made, not read, or not brought back.

use std::io;
use std::path::{Path, PathBuf};

use oci::{counted, either};

/// What is wrong with a backup, or with the place for one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target lies where the data lies.
    #[error(
        "{} lies in the data folder {}: a backup there is lost together with it; give a folder on another disk", path.display(), data.display()
    )]
    Inside {
        /// The target.
        path: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// The folder that should hold the target is not there.
    #[error(
        "{} does not exist: is its disk mounted? Only the last folder of the path is made, so that a backup never ends on the wrong disk", .0.display()
    )]
    NoParent(PathBuf),
    /// There is no such folder to read from.
    #[error("{} is no folder that is there: give the folder that `landfall backup --to` wrote to; is its disk mounted?", .0.display())]
    NoFolder(PathBuf),
    /// Something else lies in the target.
    #[error("{} holds something else than backups ({found}): give an empty folder, or one that was made by `landfall backup`", path.display())]
    NotOurs {
        /// The target.
        path: PathBuf,
        /// What lies there.
        found: String,
    },
    /// No backup lies there.
    #[error("{} holds no backup{}", path.display(), if time.is_empty() { String::new() } else { format!(" of {time}") })]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// The one that was asked for.
        time: String,
    },
    /// A newer Landfall made it.
    #[error("{} was made by a newer Landfall: use that version, or a later one", .0.display())]
    Newer(PathBuf),
    /// A file of it is not what it was.
    #[error("{} is damaged ({why}): use another backup (landfall backup verify says which are whole)", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Blobs of it are missing or damaged.
    #[error(
        "{} of this backup {} missing or damaged{}{first}; no registry was made of it. `landfall backup verify` names all; \
         --partial restores the rest{}",
        counted(*.count, "blob"), either(*.count, "is", "are"), either(*.count, ": ", ", the first is "), kept_text(kept.as_deref())
    )]
    Damaged {
        /// How many.
        count: usize,
        /// The first of them, and what is wrong with it.
        first: String,
        /// Where the good ones of it lie, which another try need not copy again.
        kept: Option<PathBuf>,
    },
    /// The target's disk is full.
    #[error("no room in {}{}", path.display(), room_text(*room))]
    NoRoom {
        /// The target.
        path: PathBuf,
        /// Bytes that are needed, and that are free, where that is known.
        room: Option<(u64, u64)>,
    },
    /// The target cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// The backup cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was being read.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// Another backup is under way.
    #[error("another backup is under way ({0}): wait for its end")]
    Busy(String),
    /// The hold on all bytes ended while they were copied.
    #[error("the hold that keeps bytes for this backup was taken away: make it again")]
    HoldLost,
    /// Told to stop.
    #[error("stopped before its end: nothing counts as a backup that was not one before")]
    Stopped,
}

fn kept_text(kept: Option<&Path>) -> String {
    kept.map_or_else(String::new, |path| {
        format!(
            ". The good blobs lie in {}: with --partial, or with --backup TIME of another backup, the same command goes on from \
             there; or remove that folder",
            path.display()
        )
    })
}

fn room_text(room: Option<(u64, u64)>) -> String {
    match room {
        Some((needed, free)) => format!(
            ": {needed} bytes are needed and {free} are free; make room, or give another folder. Earlier backups are whole"
        ),
        None => ": make room, or give another folder. Earlier backups are whole".to_owned(),
    }
}

impl BackupError {
    /// `path` could not be written; a full disk is told apart.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom {
                path: path.to_owned(),
                room: None,
            },
            _ => Self::Write {
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn altered(path: &Path, why: impl Into<String>) -> Self {
        Self::Altered {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}
