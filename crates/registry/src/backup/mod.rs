//! Backups: a folder that holds the content of this registry as it was at one or several times, and the way back from it.
//!
//! Shape: `run` makes a backup of a registry that goes on working, `prune` takes old ones away, `verify` reads one back,
//! `restore` makes a new data folder of one, `one` brings a single repository into a registry that is there; `vault` is the
//! folder itself, `desk` the one backup that a server makes at a time.
//!
//! ```text
//! <folder>/BACKUP                         what this folder is; LOCK: who writes here
//!          blobs/<alg>/<3 hex>/<hex>      bytes of blobs, shared by all backups
//!          catalogs/<time>.db             the catalog at that time
//!          settings/<time>/…              passwords, certificates and secrets of the data folder
//!          backups/<time>.json            written last: what has none is no backup
//! ```
//! The catalog is copied first and the bytes after, while a hold keeps every byte that it names from going. Each file is
//! written aside, synced, and renamed, so what has its name is whole; a backup that is cut off leaves the earlier ones as
//! they were, and what it copied is there for the next one.
//! Units: bytes; times are UTC. Fails: `BackupError`; content that is damaged here is named in the backup, and stops nothing.
//! Source: storage design, "Backup" and "Restore".

mod desk;
mod error;
mod job;
pub(crate) mod local;
mod one;
mod place;
mod prune;
mod restore;
mod run;
mod shards;
mod vault;
mod verify;

pub(crate) use desk::Desk;
pub use desk::{BackupJob, BackupState, FailureKind, kind_of};
pub use error::BackupError;
pub use one::{RepositoryRestored, RestoreRepository};
pub use prune::Pruned;
pub use restore::{RestoreFrom, Restored, restore};
pub use run::BackupDone;
pub use vault::{BackupFile, BackupRecord, Listed, list};
pub use verify::{DamagedBlob, Problem, Verified, verify};

use serde::Serialize;

/// How far work on a backup is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Reached {
    /// Blobs that are done.
    pub blobs: u64,
    /// Blobs that there are to do.
    pub blobs_total: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// Bytes that there are to do.
    pub bytes_total: u64,
}

/// Who is told how far it is. Called from the thread that does the work.
pub type Each<'a> = &'a mut (dyn FnMut(&Reached) + Send);
