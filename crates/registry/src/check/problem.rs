//! What a check can find, in one line each, with what to do.

use std::fmt;

use oci::Digest;
use uuid::Uuid;

use crate::Damage;

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A rule of the catalog is broken.
    Rule(String),
    /// A blob's bytes are not what they should be.
    Blob {
        /// Which.
        digest: Digest,
        /// Where its bytes should be; none: in the catalog.
        location: Option<String>,
        /// What is wrong with them.
        damage: Damage,
        /// Whether the server knows it, and so serves it no more.
        is_known: bool,
    },
    /// A manifest's document is not what it should be.
    Manifest {
        /// Which.
        digest: Digest,
        /// Whether the server knows it, and so serves it no more.
        is_known: bool,
    },
    /// A blob's row names a place that is none.
    NoPlace {
        /// Which blob.
        digest: Digest,
        /// What its row says.
        location: String,
    },
    /// Fewer bytes of an upload are kept than its client was told.
    Upload {
        /// Which.
        id: Uuid,
        /// What its client was told.
        promised: u64,
        /// How many there are.
        kept: u64,
    },
    /// More files are unknown than crashes leave: the catalog may be another one's.
    ManyUnknown {
        /// How many.
        files: u64,
    },
    /// A file that waits to be removed is served.
    Doomed {
        /// Where it lies.
        location: String,
    },
}

impl Problem {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Rule(_) | Self::NoPlace { .. } | Self::Doomed { .. } => {
                "this is a fault of Landfall's: keep a backup, and tell its makers this line"
            }
            Self::Blob { is_known: true, .. } | Self::Manifest { is_known: true, .. } => {
                "push an image that has it, or: landfall scrub run --repair-from SOURCE"
            }
            Self::Blob { .. } | Self::Manifest { .. } => {
                "landfall scrub run writes it down and puts it aside; then push it again, or: landfall scrub run --repair-from SOURCE"
            }
            Self::Upload { .. } => "nothing: the client is told to start this upload again",
            Self::ManyUnknown { .. } => {
                "keep these files; if the catalog was lost or replaced, stop the server and restore a backup: landfall restore FOLDER"
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => f.write_str(rule),
            Self::Blob {
                digest,
                location,
                damage,
                is_known,
            } => {
                let known = if *is_known { " (known)" } else { "" };
                match location {
                    Some(location) => write!(f, "blob {digest}{known}: {damage} (blobs/{location})"),
                    None => write!(f, "blob {digest}{known}: {damage} (in the catalog)"),
                }
            }
            Self::Manifest { digest, is_known } => {
                let known = if *is_known { " (known)" } else { "" };
                write!(
                    f,
                    "manifest {digest}{known}: its bytes have changed (in the catalog)"
                )
            }
            Self::NoPlace { digest, location } => {
                write!(
                    f,
                    "blob {digest}: its row names a place that is none: {location:?}"
                )
            }
            Self::Upload { id, promised, kept } => {
                write!(
                    f,
                    "upload {id}: its client was told that {promised} bytes are here, and {kept} are"
                )
            }
            Self::ManyUnknown { files } => {
                write!(
                    f,
                    "{files} stored files are unknown to the catalog, which are more than crashes leave: it may have been \
                     replaced by another one or an empty one"
                )
            }
            Self::Doomed { location } => {
                write!(f, "blobs/{location} is served, and is to be removed")
            }
        }
    }
}
