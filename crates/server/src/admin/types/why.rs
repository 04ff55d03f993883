//! Why something is still there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Time};

/// Everything that holds a digest. Each list has at most ten entries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WhyKept {
    /// The digest, whole.
    pub digest: String,
    /// As a manifest, in each repository that has it.
    pub manifests: Vec<KeptManifest>,
    /// As a blob.
    pub blob: Option<KeptBlob>,
    /// Files of it that wait to be removed.
    pub files: Vec<KeptFile>,
}

/// What holds a manifest in one repository. A live one that nothing holds stays too: nobody deleted it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptManifest {
    /// The repository.
    pub repository: String,
    /// Tags that lead to it.
    pub tags: Vec<String>,
    /// Indexes that list it.
    pub listed_by: Vec<Holder>,
    /// What it refers to, if that is live.
    pub subject: Option<String>,
    /// Until when clients may count on it.
    pub leased_until: Option<Time>,
    /// The operation that it went to the trash with, or will follow.
    pub trash_op: Option<i64>,
    /// When it may go for good; none if it is live.
    pub purge_at: Option<Time>,
    /// Whether somebody holds it in the trash.
    pub held: bool,
}

/// What holds a blob.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptBlob {
    /// Its bytes.
    pub bytes: u64,
    /// The repositories that have it.
    pub repositories: Vec<KeptLink>,
}

/// What holds a blob in one repository.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptLink {
    /// The repository.
    pub repository: String,
    /// Manifests that name it.
    pub named_by: Vec<Holder>,
    /// Until when clients may count on it.
    pub leased_until: Option<Time>,
    /// Whether a client deleted it here.
    pub deleted: bool,
}

/// A manifest that holds something.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// Its digest.
    pub digest: String,
    /// When it may go for good; none if it is live.
    pub purge_at: Option<Time>,
}

/// A file that waits to be removed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptFile {
    /// Where it lies, below `blobs`.
    pub location: String,
    /// Until when.
    pub until: Time,
}

impl Document for WhyKept {
    const SCHEMA: &'static str = "landfall.why.kept/1";
}
