//! Scrub over the wire: how it stands, runs, what is damaged and who needs it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Item, Time};

/// How the reading back of stored bytes stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScrubStatus {
    /// `scrub.rate`, in bytes a second; 0: nothing is read back by itself.
    pub rate: u64,
    /// The pause, while one lasts.
    pub pause: Option<ScrubPause>,
    /// Whether the registry takes no writes, so that scrubbing rests.
    pub read_only: bool,
    /// Blobs and manifests that are damaged.
    pub damaged: u64,
    /// Blobs that a read failed on and that were not read back since.
    pub suspects: u64,
    /// When the file that was read longest ago was.
    pub oldest_verified_at: Option<Time>,
    /// Bytes that were read back since the server started.
    pub read_bytes: u64,
    /// The last run that somebody asked for since the server started.
    pub run: Option<ScrubRun>,
}

/// A pause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScrubPause {
    /// Who asked for it.
    pub by: String,
    /// When scrubbing goes on by itself.
    pub until: Time,
}

/// The end of a pause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScrubResumed {
    /// Whether there was one.
    pub was_paused: bool,
}

/// What a run is to do.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrubOrder {
    /// Of 10,000 files, so many are read, chosen at random; all if absent; 0 for a run that only heals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u32>,
    /// Bytes a second; as fast as the disk gives them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Where right bytes can be had; only over the socket, for the server goes there with its own rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair_from: Option<ScrubSource>,
}

/// Where right bytes can be had.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrubSource {
    /// A folder on the server's machine, or the URL of a registry.
    pub place: String,
    /// A user there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// That user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScrubRun {
    /// When it began.
    pub started_at: Time,
    /// When it ended; null while it lasts.
    pub ended_at: Option<Time>,
    /// Files that were read.
    pub files: u64,
    /// Bytes of those, and of what lies in the catalog.
    pub bytes: u64,
    /// Damaged things that it found.
    pub found: u64,
    /// Damaged things that the source healed.
    pub healed: u64,
    /// Damaged things that the source does not have.
    pub not_healed: u64,
    /// Why it did not come to its end.
    pub failure: Option<String>,
    /// What `repair_from` did, where that ended it.
    #[serde(default)]
    pub source_failure: Option<SourceFailure>,
}

/// How a registry that should have right bytes failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFailure {
    /// It does not answer.
    Unreachable,
    /// It wants a login, or another one.
    Login,
}

/// Something whose stored bytes are not what its digest names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Damaged {
    /// What it should be.
    pub digest: String,
    /// Bytes that it should have.
    pub size: u64,
    /// `blob` or `manifest`.
    pub kind: DamagedKind,
    /// What is wrong.
    pub cause: DamageCause,
    /// When that was found.
    pub found_at: Time,
    /// Live manifests that need it, at most 20 of them.
    pub needed_by: Vec<NeededBy>,
}

/// What is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DamagedKind {
    /// A blob.
    Blob,
    /// A manifest.
    Manifest,
}

/// What is wrong with stored bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DamageCause {
    /// There are none.
    Missing,
    /// There are more or fewer than there should be.
    WrongSize,
    /// They are others.
    Changed,
    /// The disk cannot read them.
    Unreadable,
}

/// A manifest that needs damaged bytes, or is damaged itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NeededBy {
    /// Whose it is.
    pub repository: String,
    /// Which.
    pub manifest: String,
    /// Tags that lead to it, or to an index that lists it.
    pub tags: Vec<String>,
}

impl Document for ScrubStatus {
    const SCHEMA: &'static str = "landfall.scrub.status/1";
}

impl Document for ScrubRun {
    const SCHEMA: &'static str = "landfall.scrub.run/1";
}

impl Document for ScrubPause {
    const SCHEMA: &'static str = "landfall.scrub.pause/1";
}

impl Document for ScrubResumed {
    const SCHEMA: &'static str = "landfall.scrub.resume/1";
}

impl Item for Damaged {
    const LIST: &'static str = "landfall.scrub.damaged.list/1";
}
