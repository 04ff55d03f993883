//! Garbage collection over the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Time};

/// What waits to be collected.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcStatus {
    /// By kind.
    pub pending: GcPending,
    /// Whether somebody, such as a backup, keeps all bytes for now.
    pub bytes_held: bool,
    /// Why less is collected now than is due.
    pub waiting: Option<GcWaiting>,
}

/// What waits, by kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcPending {
    /// Manifests in the trash; the bytes of the blobs that no live manifest names.
    pub trash: PendingKind,
    /// Deleted repositories that can come back; all bytes that count for them, shared or not.
    #[serde(default)]
    pub repositories: PendingKind,
    /// Repositories' hold on blobs that no manifest names, while clients may still count on it.
    pub leased: PendingKind,
    /// Files that nothing names any more, while readers may be on their way to them.
    pub files: PendingKind,
    /// Files that the catalog did not know, in quarantine.
    pub quarantine: PendingKind,
}

/// Things of one kind that wait.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize, ToSchema)]
pub struct PendingKind {
    /// How many.
    pub count: u64,
    /// Bytes that go with them.
    pub bytes: u64,
    /// When the first one's time comes.
    pub first_at: Option<Time>,
    /// When the last one's does.
    pub last_at: Option<Time>,
    /// When all of their bytes will be gone, unless something holds or pauses that.
    pub gone_by: Option<Time>,
}

/// Why less is collected now than is due.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum GcWaiting {
    /// The registry takes no writes.
    ReadOnly,
    /// It has just started.
    Started {
        /// When that ends.
        until: Time,
    },
    /// Somebody paused it.
    Paused {
        /// Who.
        by: String,
        /// When it goes on by itself.
        until: Time,
    },
    /// The clock jumped, so that no promise can be trusted to have had its time.
    Clock {
        /// What was noticed.
        by: String,
        /// When it goes on by itself.
        until: Time,
    },
}

/// What to collect.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GcRunRequest {
    /// Repositories whose trash ends now, for good, and whose leases end in an hour.
    pub urgent: Vec<String>,
    /// Only say what `urgent` would do.
    pub dry_run: bool,
}

/// What is or would be ended at once in one repository.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcUrgent {
    /// The repository.
    pub repository: String,
    /// Manifests in its trash, which cannot be restored then.
    pub manifests: u64,
    /// Bytes that they alone hold, and those that no manifest names.
    pub bytes: u64,
    /// When those are gone.
    pub gone_by: Time,
}

/// What one turn did.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcRun {
    /// Manifests that followed a deleted index into the trash.
    pub trashed: u64,
    /// Manifests that are gone from the trash for good.
    pub purged: u64,
    /// Blobs that no repository has any more.
    pub blobs: u64,
    /// Files that were removed.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// What was, or with `dry_run` would be, ended at once.
    pub urgent: Vec<GcUrgent>,
    /// Why what is due was left for later.
    pub waiting: Option<GcWaiting>,
}

/// A pause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcPause {
    /// Who asked for it.
    pub by: String,
    /// When collection goes on by itself.
    pub until: Time,
}

/// The end of pauses.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GcResumed {
    /// Whether there was one.
    pub was_paused: bool,
}

impl Document for GcStatus {
    const SCHEMA: &'static str = "landfall.gc.status/1";
}

impl Document for GcRun {
    const SCHEMA: &'static str = "landfall.gc.run/1";
}

impl Document for GcPause {
    const SCHEMA: &'static str = "landfall.gc.pause/1";
}

impl Document for GcResumed {
    const SCHEMA: &'static str = "landfall.gc.resume/1";
}
