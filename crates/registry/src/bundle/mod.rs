//! Bundles: content for a registry that no network leads to, as one tar file; all of it, or what came since another bundle.
//!
//! ```text
//! BUNDLE.json                          what is in it: repositories, manifests, tags and where they led before
//! <repository>/blobs/<alg>/<hex>       bytes of blobs and manifests; a second repository has a hard link to the first one's
//! <repository>/oci-layout, index.json  so that the unpacked folder is an OCI image layout that others read
//! END.json                             the digest of BUNDLE.json: what has none was cut off
//! ```
//! (No repository has capital letters in its name, so none is taken for the two documents.)
//! `write` makes one while the registry goes on working: from a copy of its catalog, under a hold that keeps its bytes.
//! `read` opens one, and knows before anything is changed whether it is whole; `import` brings it.
//! Units: bytes. Fails: `BundleError`. Source: image-spec "Image Layout"; POSIX ustar with the GNU forms for long names.

mod deleted;
mod fit;
mod import;
mod read;
mod record;
mod tags;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use oci::{counted, either};

pub use import::Imported;
pub use read::describe;
pub use record::{BundleBase, BundleCover, BundleManifest, BundleRecord, BundleRepository, BundleTag};
pub use tags::TagLeft;
pub use write::{Since, Written};

/// Why a bundle was not written, or not brought.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The target is there already.
    #[error("{} is there already: give another name", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// The disk of the target is full.
    #[error("no room for {}: make room, or write to another disk", .0.display())]
    NoRoom(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was being read.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// No bundle, or not all of one.
    #[error("{} is no whole bundle: {why}. Nothing was changed; copy it again from where it was made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer Landfall made it.
    #[error("{} was made by a newer Landfall: use that version, or a later one", .0.display())]
    Newer(PathBuf),
    /// Content of ours has no good bytes.
    #[error(
        "blob {digest} of {repository} has no good bytes here ({why}): push it again, or leave that repository out"
    )]
    Source {
        /// The blob.
        digest: String,
        /// Who serves it.
        repository: String,
        /// What is wrong with it.
        why: String,
    },
    /// The bundle to continue is none of ours.
    #[error("{} was made by another registry: what came since it is not known here", .0.display())]
    Foreign(PathBuf),
    /// The change to continue is none of ours yet.
    #[error(
        "change {asked} is none that was made here (the last is {last}): give the number that the last bundle told, the file \
         of a bundle, or `last`"
    )]
    NoChange {
        /// The one that was named.
        asked: i64,
        /// The last one.
        last: i64,
    },
    /// Nothing was exported yet.
    #[error("no bundle was made here before: make a whole one first (without --since)")]
    NoLast,
    /// What it continues was not brought here.
    #[error("{}", gap(before, *count, first))]
    Gap {
        /// The bundle that comes before it, or the change up to which something must have been brought.
        before: BundleBase,
        /// Repositories of which something is missing.
        count: usize,
        /// Some of them, and up to where each was brought.
        first: Vec<String>,
    },
    /// What the bundle builds on is not here.
    #[error("{}", does_not_fit(base.as_deref(), *base_is_here, *count, first))]
    DoesNotFit {
        /// The bundle that it continues.
        base: Option<String>,
        /// Whether that one was imported here.
        base_is_here: bool,
        /// Blobs and manifests that are missing.
        count: usize,
        /// Some of them, each with its repository.
        first: Vec<String>,
    },
    /// Told to stop.
    #[error("stopped before its end")]
    Stopped,
}

fn gap(before: &BundleBase, count: usize, first: &[String]) -> String {
    let (list, seq) = (first.join(", "), before.seq);
    let more = if count > first.len() { ", …" } else { "" };
    let (before, fix) = match &before.id {
        Some(id) => (
            format!("bundle {id} (up to change {seq})"),
            "import that one first, or a bundle that was made without --since",
        ),
        None => (
            format!("change {seq}"),
            "import the bundles up to there first, or one that was made without --since",
        ),
    };
    format!(
        "this bundle continues {before}, which was not imported here: {} would be left without what came before: \
         {list}{more}; {fix}. Nothing was changed",
        counted(count, "repository")
    )
}

fn does_not_fit(base: Option<&str>, base_is_here: bool, count: usize, first: &[String]) -> String {
    let list = first.join(", ");
    let more = if count > first.len() { ", …" } else { "" };
    let what = match (base, base_is_here) {
        (Some(base), false) => {
            format!("it continues bundle {base}, which was not imported here: import that one first")
        }
        (Some(base), true) => format!(
            "it continues bundle {base}, and some of that is not here any more: make a bundle without --since"
        ),
        (None, _) => "make a bundle without --since".to_owned(),
    };
    format!(
        "this bundle needs {} that {} neither in it nor here ({list}{more}); {what}. Nothing was changed",
        counted(count, "thing"),
        either(count, "is", "are")
    )
}

impl BundleError {
    fn write(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom(path.to_owned()),
            _ => Self::Write {
                path: path.to_owned(),
                source,
            },
        }
    }

    fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}
