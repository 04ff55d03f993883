//! What is wished of a restore, and what comes of it.

use oci::{Digest, RepositoryName, Tag};

/// How an operation is to be taken back.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RestoreWish {
    /// Tags that somebody set since are set back all the same.
    pub force: bool,
    /// A tag that somebody set since comes back under this name.
    pub as_tag: Option<Tag>,
    /// A repository comes back under this name.
    pub as_repository: Option<RepositoryName>,
    /// Nothing is done; the answer is what would come of it.
    pub dry_run: bool,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Restored {
    /// As it was before the operation, as far as nothing new stands in the way.
    Done {
        /// Manifests that are served again.
        manifests: Vec<Digest>,
        /// Tags that are as they were.
        tags: Vec<Tag>,
        /// Tags that somebody set since and that still stand; they stay as they are.
        taken: Vec<TakenTag>,
        /// Manifests that are purged, and the tags that led to them with them.
        gone: Vec<Digest>,
    },
    /// The repository is there again, with all that it held.
    Repository(RepositoryName),
    /// Nothing: all that would come back is tags that somebody set since.
    Taken(Vec<TakenTag>),
    /// Nothing: another repository has that name by now.
    NameTaken(RepositoryName),
    /// Nothing: this repository, which it was in, was deleted itself, and must come back first.
    RepositoryDeleted(RepositoryName),
    /// There is no such operation.
    Unknown,
    /// It took nothing away, so it is not in the trash: a push, a rename, a restore.
    NotInTrash,
    /// It was taken back before.
    AlreadyUndone,
    /// What it took away is gone for good, or is back already.
    Gone,
}

/// A tag that is not free to come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenTag {
    /// Its name.
    pub tag: Tag,
    /// Where it would lead.
    pub wanted: Digest,
    /// Where it leads.
    pub now: Digest,
    /// Who did that.
    pub by: Option<String>,
    /// When.
    pub at: i64,
}
