//! What an adoption found: counts, and everything that was not as it should be.
//!
//! Units: sizes are bytes. Paths are those of the source, below its root.

use std::fmt;
use std::path::PathBuf;

use oci::Digest;
use serde::Serialize;

/// Most damages that a report lists; more are counted.
pub(super) const DAMAGES_MAX: usize = 10_000;

/// How far a run is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Progress {
    /// Repositories that were looked through.
    pub repositories: u64,
    /// Repositories that there are.
    pub repositories_total: u64,
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The repository after which an earlier run was taken up; what it counted is not counted again.
    pub resumed_after: Option<String>,
    /// Repositories.
    pub repositories: u64,
    /// Tags that lead to a manifest which is here.
    pub tags: u64,
    /// Tags that were set or deleted here later than at the source, and stay so.
    pub tags_kept: u64,
    /// Manifests.
    pub manifests: u64,
    /// Of those, manifests that came now.
    pub manifests_new: u64,
    /// Manifests that were deleted here, and stay so.
    pub manifests_deleted: u64,
    /// Of those manifests, how many are of Docker schema 1: served, but no client of today pulls them.
    pub schema1: u64,
    /// Bytes of the manifests, which lie in the catalog.
    pub bytes_manifests: u64,
    /// Different blobs.
    pub blobs: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes in those that no tag leads to.
    pub bytes_untagged: u64,
    /// Blobs that came now, or of a survey would come, as one more name of the source's file.
    pub linked: u64,
    /// Blobs that came now as a clone of the source's file.
    pub cloned: u64,
    /// Blobs that came now as a copy, with those small enough to lie in the catalog. Of a survey: those that would be copied,
    /// or cloned where the disk can.
    pub copied: u64,
    /// Bytes of those that were copied.
    pub bytes_copied: u64,
    /// Files of content that no repository links: left where they are.
    pub unlinked: u64,
    /// Bytes in them.
    pub bytes_unlinked: u64,
    /// Half-done uploads: left where they are.
    pub uploads: u64,
    /// How much was not as it should be.
    pub damage_count: u64,
    /// The first ten thousand of it.
    pub damages: Vec<Damage>,
}

/// Something that is not as it should be, and was left out or is served as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Damage {
    /// Where.
    pub path: PathBuf,
    /// What.
    #[serde(flatten)]
    pub found: Found,
}

/// What can be wrong with a piece of the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// A link file without a digest in it.
    EmptyLink,
    /// A link file with something else in it.
    BadLink {
        /// What it says.
        text: String,
    },
    /// A link file that leads elsewhere than its folder's name says.
    StrayLink {
        /// Where.
        digest: String,
    },
    /// The content that a link leads to is not there.
    MissingData {
        /// Which content.
        digest: String,
    },
    /// The content's file is empty.
    EmptyData {
        /// Which content.
        digest: String,
    },
    /// The content is not what its name says.
    WrongHash {
        /// Which content.
        digest: String,
    },
    /// The content has another size than the manifest gives.
    WrongSize {
        /// Which content.
        digest: String,
        /// What the manifest says.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// It could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// A tag without a link to a manifest.
    TagWithoutManifest,
    /// A tag that leads to a manifest which is not there, or not in this repository any more.
    TagToNothing {
        /// Which manifest.
        digest: String,
    },
    /// A manifest names content that the repository does not have. It is served as it is.
    MissingReference {
        /// Which content.
        digest: String,
    },
    /// Content in a place of a manifest, that is none.
    NotAManifest {
        /// Why.
        reason: String,
    },
    /// A name that the specification does not allow.
    BadName {
        /// Which rule it breaks.
        reason: String,
    },
    /// Nothing that belongs here.
    Foreign,
    /// The folder was a pull-through cache: what it holds may be out of date.
    ProxyCache,
}

impl Found {
    pub(super) fn missing(digest: &Digest) -> Self {
        Self::MissingData {
            digest: digest.to_string(),
        }
    }

    pub(super) fn unreadable(error: &std::io::Error) -> Self {
        Self::Unreadable {
            reason: error.to_string(),
        }
    }
}

impl Damage {
    pub(super) fn new(path: impl Into<PathBuf>, found: Found) -> Self {
        Self {
            path: path.into(),
            found,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.found)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLink => f.write_str("the link is empty, as a full disk leaves it; taken as absent"),
            Self::BadLink { text } => write!(f, "the link holds no digest but {text:?}; taken as absent"),
            Self::StrayLink { digest } => {
                write!(
                    f,
                    "the link leads to {digest}, not to what its folder is named after; taken as absent"
                )
            }
            Self::MissingData { digest } => write!(f, "its content {digest} is missing; left out"),
            Self::EmptyData { digest } => write!(f, "its content {digest} is an empty file; left out"),
            Self::WrongHash { digest } => write!(f, "its content is not {digest}; left out"),
            Self::WrongSize {
                digest,
                expected,
                actual,
            } => write!(
                f,
                "its content {digest} has {} where a manifest says {expected}; left out",
                oci::counted(*actual, "byte")
            ),
            Self::Unreadable { reason } => write!(f, "cannot be read ({reason}); left out"),
            Self::TagWithoutManifest => f.write_str("the tag leads to no manifest; left out"),
            Self::TagToNothing { digest } => {
                write!(
                    f,
                    "the tag leads to {digest}, which this repository does not have; left out"
                )
            }
            Self::MissingReference { digest } => write!(
                f,
                "the manifest names {digest}, which this repository does not have; served as it is"
            ),
            Self::NotAManifest { reason } => write!(f, "not a manifest: {reason}; left out"),
            Self::BadName { reason } => write!(f, "{reason}; left out"),
            Self::Foreign => f.write_str("does not belong to the registry; left alone"),
            Self::ProxyCache => f.write_str(
                "this folder was a pull-through cache, so what it holds may be older than its source",
            ),
        }
    }
}
