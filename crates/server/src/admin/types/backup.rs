//! Backups and bundles over the wire.

use registry::backup as domain;
use registry::bundle;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Item, Time};

/// A wish for a backup.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The folder of backups, on the server's machine; `backup.to` if absent. Another one only over the socket.
    #[serde(default)]
    pub to: Option<String>,
    /// How many of the latest backups stay in that folder; all if absent.
    #[serde(default)]
    pub keep: Option<u32>,
}

/// A wish for one repository of a backup.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The folder of backups, on the server's machine; `backup.to` if absent. Another one only over the socket.
    #[serde(default)]
    pub from: Option<String>,
    /// Which backup, by its time; the last one if absent.
    #[serde(default)]
    pub backup: Option<String>,
    /// The repository, as it was called then.
    pub repository: String,
    /// What it is called from now on; the same if absent.
    #[serde(default)]
    pub into: Option<String>,
}

/// A wish for a bundle. Only over the socket.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The file to write, on the server's machine.
    pub file: String,
    /// The repositories; all if none is named.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// What the other side has: the path of a bundle, the number of a change, or `last`.
    #[serde(default)]
    pub since: Option<String>,
}

/// A bundle to bring. Only over the socket.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The file, on the server's machine.
    pub file: String,
}

/// What the server does about backups.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BackupStatus {
    /// `backup.to`
    pub to: Option<String>,
    /// When the next one begins, as `backup.schedule` says.
    pub next_at: Option<Time>,
    /// The work that goes on, or the last that did since the server started.
    pub job: Option<BackupJob>,
}

/// A piece of work on backups or bundles.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BackupJob {
    /// Its number since the server started.
    pub id: u64,
    /// The folder of backups, or the file of the bundle.
    pub place: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How far it is.
    pub progress: BackupProgress,
    /// What came of it.
    pub outcome: BackupOutcome,
}

/// How far work on a backup is.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct BackupProgress {
    /// Blobs that are done.
    pub blobs: u64,
    /// Blobs that there are to do.
    pub blobs_total: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// Bytes that there are to do.
    pub bytes_total: u64,
}

/// What came of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BackupOutcome {
    /// It goes on.
    Running,
    /// A backup is made.
    Made {
        /// The backup.
        backup: Backup,
        /// Blobs that the folder did not have.
        copied: u64,
        /// Bytes of those.
        bytes_copied: u64,
        /// Whether it lies on the disk of the data.
        same_disk: bool,
        /// Backups that went, by their times.
        pruned: Vec<String>,
        /// Bytes of what went with them.
        bytes_pruned: u64,
    },
    /// A repository is back.
    Restored {
        /// The time of the backup.
        backup: String,
        /// Where it is now.
        repository: String,
        /// Blobs whose bytes came from the backup.
        blobs_brought: u64,
        /// Bytes of those.
        bytes_brought: u64,
        /// Manifests that it had.
        manifests: u64,
        /// Tags that lead where they led.
        tags: u64,
        /// Tags that it has besides: they are newer, and stay.
        #[serde(default)]
        tags_besides: u64,
    },
    /// A bundle is written.
    Exported {
        /// Its name.
        id: String,
        /// The bundle that it continues.
        base: Option<String>,
        /// The last change in it.
        seq: i64,
        /// Repositories that it tells of, but for those that it takes away.
        repositories: u64,
        /// Repositories that it takes away.
        #[serde(default)]
        repositories_deleted: u64,
        /// Manifests in it.
        manifests: u64,
        /// Tags that it sets or takes away.
        tags: u64,
        /// Blobs in it.
        blobs: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// A bundle is brought.
    Imported {
        /// Its name.
        id: String,
        /// Whether all of it had been brought before.
        #[serde(default)]
        brought_before: bool,
        /// Repositories that it tells of, but for those that were deleted.
        repositories: u64,
        /// Blobs whose bytes were not here.
        blobs_brought: u64,
        /// Bytes of those.
        bytes_brought: u64,
        /// Manifests that were not here.
        manifests_brought: u64,
        /// Tags that were set, or moved.
        tags: u64,
        /// Tags that were taken away.
        tags_removed: u64,
        /// Repositories that were deleted there, and lie in the trash here now.
        #[serde(default)]
        repositories_deleted: Vec<String>,
        /// Tags that do not lead where it says, and stay as they are.
        tags_left: Vec<TagLeft>,
    },
    /// It failed.
    Failed {
        /// What kind of failure: `full`, `missing`, `conflict`, `damaged`, `stopped` or `other`.
        kind: String,
        /// What happened, why, and what to do.
        message: String,
    },
}

/// A tag that stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagLeft {
    /// Which, with its repository.
    pub tag: String,
    /// Why.
    pub why: String,
}

/// A backup in a folder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its name: when it was made, as `20261125T210500Z`.
    pub time: String,
    /// The same; none where its record cannot be read.
    pub at: Option<Time>,
    /// The last change in it.
    pub seq: i64,
    /// Repositories.
    pub repositories: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files of the data folder that are in it: passwords, certificates, secrets.
    pub settings: Vec<String>,
    /// Blobs that had no good bytes when it was made.
    pub damaged: Vec<String>,
    /// Why its record cannot be read.
    pub problem: Option<String>,
}

impl Document for BackupStatus {
    const SCHEMA: &'static str = "landfall.backup.status/1";
}

impl Document for BackupJob {
    const SCHEMA: &'static str = "landfall.backup.job/1";
}

impl Item for Backup {
    const LIST: &'static str = "landfall.backup.list/1";
}

impl From<domain::Reached> for BackupProgress {
    fn from(reached: domain::Reached) -> Self {
        Self {
            blobs: reached.blobs,
            blobs_total: reached.blobs_total,
            bytes: reached.bytes,
            bytes_total: reached.bytes_total,
        }
    }
}

impl From<domain::BackupRecord> for Backup {
    fn from(record: domain::BackupRecord) -> Self {
        Self {
            time: record.time,
            at: Some(record.at_ms.into()),
            seq: record.seq,
            repositories: record.repositories,
            manifests: record.manifests,
            tags: record.tags,
            blobs: record.blobs,
            bytes: record.bytes,
            settings: record.settings.into_iter().map(|file| file.name).collect(),
            damaged: record.damaged,
            problem: None,
        }
    }
}

impl From<(String, Result<domain::BackupRecord, domain::BackupError>)> for Backup {
    fn from((time, record): (String, Result<domain::BackupRecord, domain::BackupError>)) -> Self {
        match record {
            Ok(record) => record.into(),
            Err(error) => Self {
                time,
                at: None,
                seq: 0,
                repositories: 0,
                manifests: 0,
                tags: 0,
                blobs: 0,
                bytes: 0,
                settings: Vec::new(),
                damaged: Vec::new(),
                problem: Some(error.to_string()),
            },
        }
    }
}

impl From<domain::BackupDone> for BackupOutcome {
    fn from(done: domain::BackupDone) -> Self {
        let pruned = done.pruned.unwrap_or_default();
        Self::Made {
            backup: done.backup.into(),
            copied: done.copied,
            bytes_copied: done.bytes_copied,
            same_disk: done.same_disk,
            pruned: pruned.backups,
            bytes_pruned: pruned.bytes,
        }
    }
}

impl From<domain::RepositoryRestored> for BackupOutcome {
    fn from(restored: domain::RepositoryRestored) -> Self {
        Self::Restored {
            backup: restored.backup,
            repository: restored.repository,
            blobs_brought: restored.blobs_brought,
            bytes_brought: restored.bytes_brought,
            manifests: restored.manifests,
            tags: restored.tags,
            tags_besides: restored.tags_besides,
        }
    }
}

impl From<bundle::Written> for BackupOutcome {
    fn from(written: bundle::Written) -> Self {
        Self::Exported {
            id: written.id,
            base: written.base.and_then(|base| base.id),
            seq: written.seq,
            repositories: written.repositories,
            repositories_deleted: written.repositories_deleted,
            manifests: written.manifests,
            tags: written.tags,
            blobs: written.blobs,
            bytes: written.bytes,
        }
    }
}

impl From<bundle::Imported> for BackupOutcome {
    fn from(imported: bundle::Imported) -> Self {
        Self::Imported {
            id: imported.id,
            brought_before: imported.brought_before,
            repositories: imported.repositories,
            blobs_brought: imported.blobs_brought,
            bytes_brought: imported.bytes_brought,
            manifests_brought: imported.manifests_brought,
            tags: imported.tags,
            tags_removed: imported.tags_removed,
            repositories_deleted: imported.repositories_deleted,
            tags_left: imported
                .tags_left
                .into_iter()
                .map(|bundle::TagLeft { tag, why }| TagLeft { tag, why })
                .collect(),
        }
    }
}

impl From<domain::BackupState> for BackupOutcome {
    fn from(state: domain::BackupState) -> Self {
        match state {
            domain::BackupState::Running => Self::Running,
            domain::BackupState::Made(done) => (*done).into(),
            domain::BackupState::Restored(restored) => (*restored).into(),
            domain::BackupState::Exported(written) => (*written).into(),
            domain::BackupState::Imported(imported) => (*imported).into(),
            domain::BackupState::Failed { reason, kind } => {
                let kind = match kind {
                    domain::FailureKind::Full => "full",
                    domain::FailureKind::Missing => "missing",
                    domain::FailureKind::Conflict => "conflict",
                    domain::FailureKind::Damaged => "damaged",
                    domain::FailureKind::Stopped => "stopped",
                    domain::FailureKind::Other => "other",
                };
                Self::Failed {
                    kind: kind.to_owned(),
                    message: reason,
                }
            }
        }
    }
}

impl From<domain::BackupJob> for BackupJob {
    fn from(job: domain::BackupJob) -> Self {
        Self {
            id: job.id,
            place: job.place.display().to_string(),
            started_at: job.started_ms.into(),
            ended_at: job.ended_ms.map(Into::into),
            progress: job.reached.into(),
            outcome: job.state.into(),
        }
    }
}
