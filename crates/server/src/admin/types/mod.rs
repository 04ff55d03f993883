//! What goes over the wire of the admin API, in both directions: the server writes these types, and the command line reads
//! them.
//!
//! Units: times are RFC 3339 in UTC, sizes bytes; digests, names and tags are texts. A shape has a name and a version
//! (`landfall.gc.status/1`); a field may be added to a version, never removed or given another meaning.

mod backup;
mod check;
mod gc;
mod history;
mod rules;
mod scrub;
mod usage;
mod why;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

pub use backup::{
    Backup, BackupJob, BackupOutcome, BackupProgress, BackupRequest, BackupStatus, ExportRequest,
    ImportRequest, RestoreRequest, TagLeft,
};
pub use check::{CheckCounts, CheckOrder, CheckProblem, CheckStatus};
pub use gc::{
    GcPause, GcPending, GcResumed, GcRun, GcRunRequest, GcStatus, GcUrgent, GcWaiting, PendingKind,
};
pub use history::{
    Repository, RepositoryDeleted, RepositoryRename, RepositorySet, Tag, TagDeleted, TagMove, TagMoved,
    TagStep, TagStepKind, TagTaken, TrashEmptied, TrashEmpty, TrashItem, TrashKind, TrashRestore,
    TrashRestored,
};
pub use rules::{
    ImmutableSpec, Mode, ModeRequest, Policy, PolicyOrder, PolicyRemoved, PolicyRule, PolicySet, QuotaSpec,
    QuotaUsed, RetentionDecision, RetentionReport, RetentionRun, RetentionRunRequest, RetentionSpec,
    RetentionStatus, RetentionTotals, Untagged,
};
pub use scrub::{
    DamageCause, Damaged, DamagedKind, NeededBy, ScrubOrder, ScrubPause, ScrubResumed, ScrubRun, ScrubSource,
    ScrubStatus, SourceFailure,
};
pub use usage::{RepositoryUsage, TagUsage, Usage};
pub use why::{Holder, KeptBlob, KeptFile, KeptLink, KeptManifest, WhyKept};

/// An answer that is one object.
pub trait Document {
    /// Its name and version.
    const SCHEMA: &'static str;
}

/// An object that stands in lists.
pub trait Item {
    /// The name and version of the list.
    const LIST: &'static str;
}

/// One object, with the name of its shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Documented<T> {
    /// `T::SCHEMA`
    pub schema: String,
    /// The object; its fields stand beside `schema`.
    #[serde(flatten)]
    pub value: T,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// `T::LIST`
    pub schema: String,
    /// What is on it.
    pub items: Vec<T>,
    /// What `after` takes for the next page; none on the last one.
    pub next: Option<String>,
}

/// Every answer that is no success.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What is wrong.
    pub error: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Stable, such as `LF-API-011`.
    pub code: String,
    /// What happened, why, and what to do.
    pub message: String,
    /// Facts for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub detail: Option<serde_json::Value>,
}

/// A point in time: Unix milliseconds here, RFC 3339 in UTC over the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-12-02T04:00:00Z")]
pub struct Time(pub i64);

impl From<i64> for Time {
    fn from(ms: i64) -> Self {
        Self(ms)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is before or after all calendars is the first or the last moment of them.
        let end = if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        write!(f, "{}", jiff::Timestamp::from_millisecond(self.0).unwrap_or(end))
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<jiff::Timestamp>()?.as_millisecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| serde::de::Error::custom(format!("{text:?} is no time: {error}")))
    }
}
