//! The one piece of work that a server has at a time (a backup, a repository that is brought back, a bundle that is written or
//! brought), and what became of the last one.
//!
//! It is begun, goes on whoever leaves, and is asked how far it is. It ends with the server: what was copied is there for the
//! next one.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::RepositoryName;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Reached;
use super::error::BackupError;
use super::one::{RepositoryRestored, RestoreRepository};
use super::run::BackupDone;
use crate::bundle::{Imported, Since, Written};
use crate::{Error, Registry};

/// A piece of work on backups and bundles.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BackupJob {
    /// Its number since the start of the server.
    pub id: u64,
    /// The folder of backups, or the file of the bundle.
    pub place: PathBuf,
    /// When it began, Unix milliseconds.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How far it is.
    pub reached: Reached,
    /// What came of it.
    pub state: BackupState,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum BackupState {
    /// It goes on.
    Running,
    /// A backup is made.
    Made(Box<BackupDone>),
    /// A repository is back.
    Restored(Box<RepositoryRestored>),
    /// A bundle is written.
    Exported(Box<Written>),
    /// A bundle is brought.
    Imported(Box<Imported>),
    /// It failed.
    Failed {
        /// Why, with the causes.
        reason: String,
        /// What kind of failure it is.
        kind: FailureKind,
    },
}

/// What is to be thought of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum FailureKind {
    /// No room on a disk.
    Full,
    /// What was named is not there.
    Missing,
    /// What was to be made is there, or is not to be made there.
    Conflict,
    /// The backup or the bundle is damaged.
    Damaged,
    /// The server ended.
    Stopped,
    /// Anything else.
    Other,
}

/// What a server keeps of it.
#[derive(Default)]
pub(crate) struct Desk {
    /// Held by the backup that is made.
    pub(crate) making: tokio::sync::Mutex<()>,
    last: Mutex<Option<BackupJob>>,
    /// When the next planned backup begins.
    next_ms: Mutex<Option<i64>>,
    /// Ends what goes on.
    pub(crate) stop: CancellationToken,
}

impl Desk {
    fn last(&self) -> MutexGuard<'_, Option<BackupJob>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when the next planned backup begins.
    pub(crate) fn set_next(&self, at_ms: Option<i64>) {
        *self.next_ms.lock().unwrap_or_else(PoisonError::into_inner) = at_ms;
    }
}

impl Registry {
    /// When the next planned backup begins, Unix milliseconds.
    #[must_use]
    pub fn next_backup_ms(&self) -> Option<i64> {
        *self
            .inner
            .backups
            .next_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The work that goes on, or the last one.
    #[must_use]
    pub fn backup_job(&self) -> Option<BackupJob> {
        self.inner.backups.last().clone()
    }

    /// Begins a backup into `to`; with `keep`, only so many of the latest stay there. Busy while another goes on.
    pub fn begin_backup(&self, to: PathBuf, keep: Option<usize>) -> Result<BackupJob, Error> {
        let registry = self.clone();
        self.begin(to.clone(), async move |each, stop| {
            let done = registry.backup(&to, keep, each, &stop).await?;
            Ok(BackupState::Made(Box::new(done)))
        })
    }

    /// Begins to bring a repository back. Busy while another goes on.
    pub fn begin_restore(&self, from: RestoreRepository) -> Result<BackupJob, Error> {
        let registry = self.clone();
        self.begin(from.folder.clone(), async move |each, stop| {
            let restored = registry.restore_repository(from, each, &stop).await?;
            Ok(BackupState::Restored(Box::new(restored)))
        })
    }

    /// Begins to write a bundle of these repositories, or of all, to the new file `target`.
    pub fn begin_export(
        &self,
        target: PathBuf,
        repositories: Vec<RepositoryName>,
        since: Option<Since>,
    ) -> Result<BackupJob, Error> {
        let registry = self.clone();
        self.begin(target.clone(), async move |each, stop| {
            let written = registry
                .write_bundle(&target, &repositories, since, each, &stop)
                .await?;
            Ok(BackupState::Exported(Box::new(written)))
        })
    }

    /// Begins to bring a bundle.
    pub fn begin_import(&self, path: PathBuf, actor: Option<String>) -> Result<BackupJob, Error> {
        let registry = self.clone();
        self.begin(path.clone(), async move |each, stop| {
            let imported = registry.import_bundle(&path, actor, each, &stop).await?;
            Ok(BackupState::Imported(Box::new(imported)))
        })
    }

    fn begin<W, F>(&self, place: PathBuf, work: W) -> Result<BackupJob, Error>
    where
        W: FnOnce(Box<dyn FnMut(&Reached) + Send>, CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<BackupState, Error>> + Send + 'static,
    {
        let desk = &self.inner.backups;
        let job = {
            let mut last = desk.last();
            if let Some(last) = last.as_ref()
                && last.state == BackupState::Running
            {
                return Err(BackupError::Busy(format!("in {}", last.place.display())).into());
            }
            let job = BackupJob {
                id: last.as_ref().map_or(1, |last| last.id + 1),
                place,
                started_ms: self.now(),
                ended_ms: None,
                reached: Reached::default(),
                state: BackupState::Running,
            };
            *last = Some(job.clone());
            job
        };
        let (registry, stop) = (self.clone(), desk.stop.child_token());
        self.inner.running.spawn(async move {
            let telling = registry.clone();
            let each = Box::new(move |reached: &Reached| {
                if let Some(job) = telling.inner.backups.last().as_mut() {
                    job.reached = *reached;
                }
            });
            let state = match work(each, stop).await {
                Ok(state) => state,
                Err(error) => failed(&error),
            };
            match &state {
                // What was asked for wrongly is told to whoever asked.
                BackupState::Failed {
                    reason,
                    kind: FailureKind::Missing | FailureKind::Conflict,
                } => {
                    tracing::warn!(reason, "work on backups or bundles was refused");
                }
                BackupState::Failed { reason, .. } => {
                    tracing::error!(reason, "work on backups or bundles failed");
                }
                BackupState::Made(done) => tracing::info!(
                    backup = done.backup.time,
                    copied = done.copied,
                    bytes_copied = done.bytes_copied,
                    damaged = done.backup.damaged.len(),
                    "a backup was made"
                ),
                _ => {}
            }
            if let Some(job) = registry.inner.backups.last().as_mut() {
                job.ended_ms = Some(registry.now());
                job.state = state;
            }
        });
        Ok(job)
    }
}

fn failed(error: &Error) -> BackupState {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !reason.ends_with(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = inner.source();
    }
    BackupState::Failed {
        reason,
        kind: kind_of(error),
    }
}

/// What a failed piece of work means to whoever asked for it.
#[must_use]
pub fn kind_of(error: &Error) -> FailureKind {
    use crate::bundle::BundleError as Bundle;
    match error {
        // A path that leads nowhere, or to a file where a folder belongs.
        Error::Backup(BackupError::Read { source, .. }) | Error::Bundle(Bundle::Read { source, .. })
            if source.kind() == ErrorKind::NotFound =>
        {
            FailureKind::Missing
        }
        Error::Backup(BackupError::Read { source, .. }) | Error::Bundle(Bundle::Read { source, .. })
            if source.kind() == ErrorKind::NotADirectory =>
        {
            FailureKind::Conflict
        }
        Error::NoRoom
        | Error::OverQuota(_)
        | Error::Backup(BackupError::NoRoom { .. })
        | Error::Bundle(Bundle::NoRoom(_)) => FailureKind::Full,
        Error::RepositoryUnknown(_)
        | Error::Backup(BackupError::Unknown { .. } | BackupError::NoParent(_) | BackupError::NoFolder(_))
        | Error::Bundle(Bundle::NoLast | Bundle::NoChange { .. }) => FailureKind::Missing,
        Error::Backup(BackupError::Inside { .. } | BackupError::NotOurs { .. } | BackupError::Busy(_))
        | Error::Bundle(
            Bundle::Exists(_) | Bundle::Foreign(_) | Bundle::Gap { .. } | Bundle::DoesNotFit { .. },
        )
        | Error::Store(
            store::Error::NotEmpty { .. } | store::Error::Reviving { .. } | store::Error::HalfRevived { .. },
        )
        | Error::ReadOnly
        | Error::ReadOnlyMode { .. }
        | Error::TagImmutable { .. }
        | Error::RepositoryImmutable(_) => FailureKind::Conflict,
        Error::Backup(BackupError::Damaged { .. } | BackupError::Altered { .. })
        | Error::Bundle(Bundle::Damaged { .. } | Bundle::Source { .. }) => FailureKind::Damaged,
        Error::Closing | Error::Backup(BackupError::Stopped) | Error::Bundle(Bundle::Stopped) => {
            FailureKind::Stopped
        }
        _ => FailureKind::Other,
    }
}
