//! What can go wrong with bytes, told apart by what the caller should do about it.
//!
//! Full disk: try later. Vanished or failed upload: the client starts again. Wrong digest: the client is wrong.
//! Missing or short blob: the disk lost something. The rest: the operator must look at the disk.

use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::io::Errno;
use uuid::Uuid;

use crate::location::Location;

/// Every failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns the folder.
    #[error(
        "{path} is in use by process {owner}: stop that server, or give this one another root directory",
        owner = pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
    )]
    Held {
        /// The folder that is held.
        path: PathBuf,
        /// The owner, where it could be read.
        pid: Option<u32>,
    },
    /// A folder that must be empty is not.
    #[error("{path} is not empty ({found} is there): give a folder that is empty, or that does not exist")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Something that lies in it.
        found: String,
    },
    /// A restore is filling the folder.
    #[error(
        "{path} is being filled by a restore (process {owner}): wait for its end, or give another folder",
        owner = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    )]
    Reviving {
        /// The folder that is filled.
        path: PathBuf,
        /// The restore, where it could be read.
        pid: Option<u32>,
    },
    /// A restore filled the folder half and was cut off.
    #[error(
        "a restore ended before its end and left {path}, so no new registry is begun beside it: run the same \
         `landfall restore` again, which goes on from there, or remove that folder"
    )]
    HalfRevived {
        /// What it left.
        path: PathBuf,
    },
    /// The folder lies on a network file system.
    #[error(
        "{path} is on a network file system ({kind}), where a lock or a sync may not hold: use a local disk, or set \
         storage.filesystem.allow_network to true"
    )]
    Network {
        /// The folder.
        path: PathBuf,
        /// The kind of file system, as in `mount`.
        kind: &'static str,
    },
    /// A part of the folder is mounted from elsewhere.
    #[error(
        "{path} is on another file system than {root}: blobs are placed by rename, so all must be on one"
    )]
    Split {
        /// Our folder.
        root: PathBuf,
        /// What lies elsewhere.
        path: PathBuf,
    },
    /// The folder was written by a version that we do not know, or FORMAT was damaged.
    #[error(
        "{path} does not describe a store of this version ({found}): use the version that wrote it, or restore it"
    )]
    Format {
        /// The FORMAT file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The disk, or our quota on it, is full.
    #[error("no room for {path}: free some space, then try again")]
    NoRoom {
        /// What was being written.
        path: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// The disk refused.
    #[error("cannot {doing} {path}: check the disk and the permissions")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// A sync failed, so what was written may be lost. It is never tried again on the same file.
    #[error("{path} could not be made durable and was dropped: check the disk")]
    NotDurable {
        /// The file or folder.
        path: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// The bytes of an upload are gone or cannot be trusted.
    #[error("upload {id} cannot be resumed: its bytes are gone; start it again")]
    UploadGone {
        /// The upload.
        id: Uuid,
    },
    /// An upload has an owner already.
    #[error("upload {id} is being written by another request: wait for it to end")]
    UploadBusy {
        /// The upload.
        id: Uuid,
    },
    /// An earlier write of this upload failed: it can only be discarded.
    #[error("upload {id} failed earlier: start it again")]
    UploadFailed {
        /// The upload.
        id: Uuid,
    },
    /// The bytes are not those that were promised; they are gone.
    #[error("content has digest {actual}, not {expected}: send the bytes again")]
    DigestMismatch {
        /// What the client named.
        expected: Digest,
        /// What arrived.
        actual: Digest,
    },
    /// No file at a location.
    #[error("no blob at {location}: its file is missing")]
    Missing {
        /// Where it should be.
        location: Location,
    },
    /// A file has another size than its blob.
    #[error("blob at {location} holds {found} bytes instead of {expected}: its file is damaged")]
    ShortFile {
        /// Which file.
        location: Location,
        /// The size of the blob.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// The program is ending, or a worker died.
    #[error("the store is stopping")]
    Stopping,
}

impl Error {
    /// Whether the disk has lost what it was given, as against: it could not be asked just now.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::ShortFile { .. } => true,
            Self::Io { source, .. } => {
                let lost = [
                    Errno::IO,
                    Errno::UCLEAN,
                    Errno::BADMSG,
                    Errno::NODATA,
                    Errno::REMOTEIO,
                ];
                Errno::from_io_error(source).is_some_and(|errno| lost.contains(&errno))
            }
            _ => false,
        }
    }

    /// `doing` to `path` failed with `source`; a full disk is told apart.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(&source) {
            Self::NoRoom { path, source }
        } else {
            Self::Io { doing, path, source }
        }
    }

    /// A sync of `path` failed.
    pub(crate) fn not_durable(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        // Some disks find out only now that they are full.
        if is_full(&source) {
            Self::NoRoom { path, source }
        } else {
            Self::NotDurable { path, source }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}
