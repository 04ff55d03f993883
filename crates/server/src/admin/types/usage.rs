//! Where the bytes are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, GcPending, Item, Time};

/// Everything.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Blobs that are stored.
    pub blobs: u64,
    /// Bytes of those, each once.
    pub bytes: u64,
    /// What of all this is on its way out, and when it is gone.
    pub pending: GcPending,
    /// Bytes that are free on the disk.
    pub disk_free: u64,
    /// Bytes that the disk has.
    pub disk_total: u64,
}

/// One repository. `unique`, `shared` and `pending` are all of its bytes; `trash` is a part of `unique`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RepositoryUsage {
    /// Its name.
    pub name: String,
    /// Tags.
    pub tags: u64,
    /// Manifests that are served.
    pub manifests: u64,
    /// Bytes of blobs that its manifests name, and no manifest of another repository does.
    pub unique: u64,
    /// Bytes of blobs that manifests of other repositories name too.
    pub shared: u64,
    /// Bytes that would be free if it were deleted, with its trash.
    pub would_free: u64,
    /// Of `unique`: bytes that only its trash holds.
    pub trash: u64,
    /// When all of its trash will be gone.
    pub trash_gone_by: Option<Time>,
    /// Bytes of blobs that no manifest of it names.
    pub pending: u64,
    /// When those will be gone.
    pub pending_gone_by: Option<Time>,
}

/// The image of a tag: a manifest, what it lists, and what refers to those.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagUsage {
    /// The tag.
    pub tag: String,
    /// Where it leads.
    pub digest: String,
    /// Manifests of the image.
    pub manifests: u64,
    /// Bytes of its blobs.
    pub bytes: u64,
    /// Bytes of blobs that no other manifest names, in any repository or trash.
    pub unique: u64,
    /// The rest of them.
    pub shared: u64,
    /// Bytes that would be free if the image were deleted; none where something else holds it, such as another tag.
    pub would_free: u64,
}

impl Document for Usage {
    const SCHEMA: &'static str = "landfall.usage/1";
}

impl Document for RepositoryUsage {
    const SCHEMA: &'static str = "landfall.usage.repository/1";
}

impl Item for RepositoryUsage {
    const LIST: &'static str = "landfall.usage.repositories/1";
}

impl Item for TagUsage {
    const LIST: &'static str = "landfall.usage.tags/1";
}
