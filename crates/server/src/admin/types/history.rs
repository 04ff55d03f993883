//! Tags and their history, the trash, and repositories over the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Item, Time};

/// A tag.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tag {
    /// Its name.
    pub tag: String,
    /// Where it leads.
    pub digest: String,
    /// What that is served as.
    pub media_type: String,
    /// Bytes of the image, with all platforms that it lists.
    pub bytes: u64,
    /// What it runs on, as far as it is known.
    pub platforms: Vec<String>,
    /// When it was pushed; a restore or a rollback is no push.
    pub pushed_at: Time,
    /// By whom.
    pub pushed_by: Option<String>,
    /// Pulls by this tag and by the digest.
    pub pulls: u64,
    /// The last one.
    pub last_pull_at: Option<Time>,
}

/// One step in the life of a tag.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagStep {
    /// Its place in the history.
    pub seq: i64,
    /// When.
    pub at: Time,
    /// What happened.
    pub kind: TagStepKind,
    /// Where the tag led before.
    pub old: Option<String>,
    /// Where it leads since.
    pub new: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// From which address.
    pub from: Option<String>,
    /// The operation that it was part of.
    pub op: i64,
    /// Why, where that was written down.
    pub reason: Option<String>,
    /// The retention rule that took it; several with commas between them.
    pub rule: Option<String>,
}

/// What befell a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TagStepKind {
    /// It was set.
    Set,
    /// It was deleted.
    Deleted,
    /// Its image was deleted.
    Trashed,
    /// What was done to it was taken back.
    Restored,
    /// It was set back to what it once was.
    RolledBack,
}

/// Where a tag is to lead.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TagMove {
    /// For a rollback a step of its history or a digest of it, and without it to what it was before its last move; else a tag
    /// or digest of the repository.
    pub to: Option<String>,
    /// Only say what would come of it.
    pub dry_run: bool,
}

/// A tag that was moved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagMoved {
    /// Where it led.
    pub from: Option<String>,
    /// Where it leads.
    pub to: String,
    /// Manifests that came out of the trash for it.
    pub restored: Vec<String>,
}

/// A tag that was deleted; its image stays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagDeleted {
    /// The operation, to undo it by.
    pub op: i64,
    /// Where it led.
    pub digest: String,
    /// Until when it can come back.
    pub until: Time,
}

/// A delete that can be taken back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrashItem {
    /// The operation.
    pub op: i64,
    /// What it took.
    pub kind: TrashKind,
    /// Where.
    pub repository: String,
    /// Whether that was deleted itself since, so that it must come back first.
    pub in_deleted_repository: bool,
    /// The tag, the digest or the repository's name.
    pub target: String,
    /// When.
    pub at: Time,
    /// Who.
    pub by: Option<String>,
    /// From which address.
    pub from: Option<String>,
    /// Why, where that was written down.
    pub reason: Option<String>,
    /// The retention rule that took it; several with commas between them.
    pub rule: Option<String>,
    /// Until when it can be taken back.
    pub until: Time,
    /// Tags that went with a manifest, 100 at most.
    pub tags: Vec<String>,
    /// Manifests that went.
    pub manifests: u64,
    /// Bytes that are free when it is gone; none where it has too many blobs to say that.
    pub frees: Option<u64>,
}

/// What a delete took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrashKind {
    /// A tag.
    Tag,
    /// A manifest, and what hung on it alone.
    Manifest,
    /// A blob.
    Blob,
    /// A repository.
    Repository,
}

/// How a delete is to be taken back.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrashRestore {
    /// Tags that somebody set since are set back all the same.
    pub force: bool,
    /// Another name for the tag that somebody set since, or for the repository.
    pub new_name: Option<String>,
    /// Only say what would come of it.
    pub dry_run: bool,
}

/// What came back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrashRestored {
    /// The operation that was taken back.
    pub op: i64,
    /// Where.
    pub repository: String,
    /// Manifests that are served again.
    pub manifests: Vec<String>,
    /// Tags that are as they were.
    pub tags: Vec<String>,
    /// Tags that somebody set since, and that stay as they are.
    pub taken: Vec<TagTaken>,
    /// Manifests that are gone for good.
    pub gone: Vec<String>,
}

/// A tag that did not come back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TagTaken {
    /// The tag.
    pub tag: String,
    /// Where it would lead.
    pub wanted: String,
    /// Where it leads.
    pub now: String,
    /// Who set it so.
    pub by: Option<String>,
    /// When.
    pub at: Time,
}

/// Which part of the trash ends.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrashEmpty {
    /// Of this repository only.
    pub repository: Option<String>,
    /// What was deleted so many seconds ago, or longer.
    pub older_than_seconds: u64,
}

/// What can no more come back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrashEmptied {
    /// Deletes.
    pub operations: u64,
    /// Manifests, beside those of whole repositories.
    pub manifests: u64,
}

/// A repository.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// When it came into being.
    pub created_at: Time,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Manifests in its trash.
    pub trashed: u64,
    /// Bytes of its blobs, each once, shared or not.
    pub bytes: u64,
    /// When somebody pushed last.
    pub last_push_at: Option<Time>,
    /// Pulls of manifests.
    pub pulls: u64,
    /// The last one.
    pub last_pull_at: Option<Time>,
    /// How long what is deleted there can be brought back, if it says that itself.
    pub undo_window_seconds: Option<u64>,
}

/// Settings of a repository.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepositorySet {
    /// How long what is deleted there can be brought back; none: as long as the registry says.
    pub undo_window_seconds: Option<u64>,
}

/// A new name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryRename {
    /// The name.
    pub name: String,
}

/// A repository that is in the trash.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RepositoryDeleted {
    /// The operation, to undo it by.
    pub op: i64,
    /// Until when it can come back.
    pub until: Time,
}

macro_rules! documents {
    ($($name:ident $schema:literal;)*) => {
        $(impl Document for $name {
            const SCHEMA: &'static str = $schema;
        })*
    };
}
documents! {
    TagMoved "landfall.tag.moved/1";
    TagDeleted "landfall.tag.deleted/1";
    TrashRestored "landfall.trash.restored/1";
    TrashEmptied "landfall.trash.emptied/1";
    Repository "landfall.repo.show/1";
    RepositoryDeleted "landfall.repo.deleted/1";
}

impl Item for Tag {
    const LIST: &'static str = "landfall.tag.list/1";
}

impl Item for TagStep {
    const LIST: &'static str = "landfall.tag.history/1";
}

impl Item for TrashItem {
    const LIST: &'static str = "landfall.trash.list/1";
}

impl Item for Repository {
    const LIST: &'static str = "landfall.repo.list/1";
}
