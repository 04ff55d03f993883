//! What can go wrong with the catalog, in the words of the catalog; the engine's own error is kept as the cause.
//!
//! `Error` is cheap to clone, because one failed commit answers everybody who was in it.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;

use oci::Digest;

use crate::guard::ImmutableTags;
use crate::quota::OverQuota;

/// The cause of an error: whatever the engine said.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why an operation was not done, or may not have been.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The upload's row is not there: it was cancelled, reaped or never made.
    #[error("the upload has no row in the catalog: it ended or expired")]
    UploadUnknown,
    /// An immutable tag would have been moved or deleted; nothing was changed.
    #[error("tag {tag} is immutable here (rule {rule}): it stays at {digest}")]
    Immutable {
        /// The tag.
        tag: String,
        /// Where it leads.
        digest: Digest,
        /// The rule that makes it so.
        rule: String,
    },
    /// A repository would have been deleted, or renamed out of a rule's reach, with immutable tags in it; nothing was changed.
    #[error("{0}")]
    HasImmutable(Box<ImmutableTags>),
    /// A quota would have been passed; nothing was changed.
    #[error("the quota of {} would be passed", .0.quota)]
    OverQuota(Box<OverQuota>),
    /// More operations wait than may.
    #[error("the catalog is busy: too many operations are waiting; try again in a moment")]
    Busy,
    /// The catalog is closed, or closing.
    #[error("the catalog is closed")]
    Closed,
    /// No space is left for the catalog; nothing was changed.
    #[error("the catalog has no space left: free some on its disk, then try again")]
    NoRoom {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// A commit failed to reach the disk some time ago, so writes have stopped.
    #[error("the catalog takes no writes since one failed to reach the disk; check the disk, then restart")]
    Broken,
    /// The commit failed half-way: after a restart the operation may turn out done or not.
    #[error("it is not known whether the catalog's commit reached the disk")]
    CommitUnknown {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// Another transaction was in the way each time.
    #[error("other transactions were in the way; try again")]
    Conflict {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The database server does not answer.
    #[error("the catalog's database cannot be reached: check that it runs, and catalog.url")]
    Unreachable {
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The file cannot be opened as a catalog.
    #[error("the catalog {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// A copy of the catalog could not be written; the catalog itself is well.
    #[error("the copy of the catalog cannot be written to {}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// Whether its disk is full.
        is_full: bool,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// The catalog is in a database server, which has its own ways to copy it.
    #[error(
        "this catalog is in PostgreSQL: back it up with pg_dump or by its log, before the files of blobs"
    )]
    NotInFile,
    /// The database was made by a newer version.
    #[error(
        "the catalog has schema version {found}, but this Landfall knows versions up to {known}: start the newer \
         Landfall that wrote it (at least {binary}), or restore the backup from before the upgrade"
    )]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version known here.
        known: i64,
        /// The oldest binary that may use it.
        binary: String,
    },
    /// A migration that was applied is not the one known here.
    #[error(
        "schema version {version} of the catalog was not made by a released Landfall (its checksum differs): start \
         the version that made it, or restore a backup"
    )]
    Altered {
        /// The version in question.
        version: i64,
    },
    /// The database is set up so that acknowledged writes could be lost.
    #[error(
        "{setting} is {value:?} in the catalog's database, so a crash could lose acknowledged writes: set it to {wanted}"
    )]
    Unsafe {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What to set.
        wanted: &'static str,
    },
    /// The address of the database is none.
    #[error("catalog.url is not an address of PostgreSQL that can be used here")]
    Address {
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// A row holds what no row should.
    #[error("the catalog holds something impossible: {0}")]
    Impossible(String),
    /// An operation of ours panicked; it was rolled back.
    #[error("an operation on the catalog failed by a defect of Landfall: {0}")]
    Panicked(String),
    /// The engine failed otherwise; nothing was changed.
    #[error("the catalog's database failed")]
    Database {
        /// What the engine said.
        #[source]
        source: Cause,
    },
}

impl Error {
    /// True where the operation is surely undone, so that bytes written for it may be removed at once.
    #[must_use]
    pub fn is_surely_not_committed(&self) -> bool {
        !matches!(self, Self::CommitUnknown { .. })
    }

    pub(crate) fn database(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Database {
            source: Arc::new(source),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::NoRoom {
                source: Arc::new(error),
            },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Conflict {
                source: Arc::new(error),
            },
            _ => Self::database(error),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        use postgres::error::SqlState;
        let state = error.code().cloned();
        let source: Cause = Arc::new(error);
        match state {
            Some(state) if is_conflict(&state) => Self::Conflict { source },
            Some(state) if state == SqlState::DISK_FULL => Self::NoRoom { source },
            Some(state) if is_gone(&state) => Self::Unreachable { source },
            Some(_) => Self::Database { source },
            // Without a state it came from the connection, not from the server.
            None => Self::Unreachable { source },
        }
    }
}

/// Worth trying again: nothing is wrong with the operation itself.
fn is_conflict(state: &postgres::error::SqlState) -> bool {
    use postgres::error::SqlState as S;
    // Two who want one name at once, where no statement says what becomes of the second: it sees the first when it tries again.
    [
        S::T_R_SERIALIZATION_FAILURE,
        S::T_R_DEADLOCK_DETECTED,
        S::UNIQUE_VIOLATION,
    ]
    .contains(state)
}

/// The server ends, starts, or has no place for us.
fn is_gone(state: &postgres::error::SqlState) -> bool {
    state.code().starts_with("57P") || state.code().starts_with("08") || state.code() == "53300"
}
