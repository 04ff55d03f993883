//! Checks over the wire: how far one is, and the problems that it found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Item, Time};

/// What a check is to do.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOrder {
    /// Read every byte back and hash it.
    #[serde(default)]
    pub deep: bool,
    /// How fast, in bytes a second; as fast as the disk gives them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
}

/// How far a check is, and what it found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckStatus {
    /// Whether every byte is read back.
    pub deep: bool,
    /// When it began.
    pub started_at: Time,
    /// When it ended; null while it lasts.
    pub ended_at: Option<Time>,
    /// What was looked at so far.
    pub counts: CheckCounts,
    /// Why it did not come to its end.
    pub failure: Option<String>,
}

/// What a check looked at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckCounts {
    /// Blobs in files.
    pub blobs: u64,
    /// Blobs in the catalog.
    pub inline: u64,
    /// Manifests' documents.
    pub manifests: u64,
    /// Bytes of all those.
    pub bytes: u64,
    /// Bytes that were read back.
    pub hashed_bytes: u64,
    /// Files in the folders of blobs.
    pub files: u64,
    /// Files that wait to be removed.
    pub tombstones: u64,
    /// Files in quarantine.
    pub quarantine: u64,
    /// Uploads that are not finished.
    pub uploads: u64,
    /// Files that no row knows, as a crash may leave them; the server puts them aside by itself.
    pub unknown: u64,
    /// Files of uploads that no row knows; the next start removes them.
    pub left_uploads: u64,
    /// Things in the server's folders that are not its own; left alone.
    pub strangers: u64,
    /// Problems.
    pub problems: u64,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckProblem {
    /// What, in one line.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Document for CheckStatus {
    const SCHEMA: &'static str = "landfall.check.status/1";
}

impl Item for CheckProblem {
    const LIST: &'static str = "landfall.check.problem.list/1";
}
