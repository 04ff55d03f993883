//! What can go wrong, in the words of the domain. Nothing here knows a status code; the causes are kept.

use oci::{Digest, ManifestError, Reference, RepositoryName};

use crate::UploadStatus;

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no such blob.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The blob's bytes were found damaged.
    #[error("the stored bytes of blob {0} are damaged; push it again to repair it")]
    BlobDamaged(Digest),
    /// A live manifest still names the blob.
    #[error("blob {digest} is still named by {}; delete that first", list(by))]
    BlobInUse {
        /// The blob.
        digest: Digest,
        /// Some of the manifests that name it.
        by: Vec<Digest>,
    },
    /// More bytes than one blob may have.
    #[error("a blob may have at most {max} bytes here (limits.blob)")]
    BlobTooLarge {
        /// The limit.
        max: u64,
    },
    /// No such session, or it ended, expired or belongs to another repository.
    #[error("this upload is not known: it ended, expired or never was; start a new one")]
    UploadUnknown,
    /// A chunk that does not start where the upload stands.
    #[error("this chunk does not start where the upload stands, at byte {}", .0.offset)]
    OutOfOrder(UploadStatus),
    /// The body is not as long as was said.
    #[error("{declared} bytes were declared, but {received} arrived")]
    SizeMismatch {
        /// What the request said.
        declared: u64,
        /// What came.
        received: u64,
    },
    /// The user has too many uploads open.
    #[error(
        "too many uploads are open for this user, {max} are allowed (limits.upload_sessions); finish or cancel one"
    )]
    TooManyUploads {
        /// The limit.
        max: u64,
    },
    /// The client left in the middle of a body; what arrived is kept.
    #[error("the request's body ended early; what arrived is kept and the upload can be resumed")]
    BodyCut,
    /// The content is not what its digest says.
    #[error("the content has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the bytes are.
        actual: Digest,
    },
    /// The repository has no such manifest.
    #[error("manifest {0} is not in this repository")]
    ManifestUnknown(Reference),
    /// An index lists the manifest.
    #[error("manifest {digest} is still listed by {}; delete that first", list(by))]
    ManifestInUse {
        /// The manifest.
        digest: Digest,
        /// Some of the indexes that list it.
        by: Vec<Digest>,
    },
    /// The document breaks a rule.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The document is too large.
    #[error("a manifest may have at most {max} bytes here (limits.manifest)")]
    ManifestTooLarge {
        /// The limit.
        max: u64,
    },
    /// What the manifest names and the repository lacks.
    #[error("the manifest names content that is not in this repository: {}", list(.0))]
    Missing(Vec<Digest>),
    /// A layer points to where it must not.
    #[error("the URL {url:?} is not allowed for a layer (validation.manifests.urls)")]
    UrlRefused {
        /// The URL.
        url: String,
    },
    /// `If-Match` or `If-None-Match` does not hold.
    #[error("the tag is not what the request's condition says")]
    PreconditionFailed,
    /// Nothing was ever pushed there.
    #[error("repository {0} is not known")]
    RepositoryUnknown(RepositoryName),
    /// Deletion is off.
    #[error("deletion is disabled here (storage.delete.enabled)")]
    DeleteDisabled,
    /// Writes are off.
    #[error("the registry is read-only now (storage.maintenance.readonly)")]
    ReadOnly,
    /// The disk is full, or nearly.
    #[error("the registry's disk is full: free some space there, then push again; pulls go on")]
    NoRoom,
    /// More work is waiting than can be done soon.
    #[error("the registry is busy; try again in a moment")]
    Busy,
    /// The registry is shutting down.
    #[error("the registry is shutting down; try again in a moment")]
    Closing,
    /// The catalog stopped taking writes after a failed flush; only a restart mends it.
    #[error("the catalog failed to reach the disk and has stopped; the registry must be restarted")]
    Broken,
    /// The folder to adopt is none.
    #[error(transparent)]
    Adopt(#[from] crate::adopt::AdoptError),
    /// The registry to adopt from did not give what it should.
    #[error(transparent)]
    Remote(#[from] crate::adopt::RemoteError),
    /// Content could not be written out.
    #[error(transparent)]
    Export(#[from] crate::export::ExportError),
    /// A task died; nothing was acknowledged.
    #[error("the operation was interrupted ({0}); try again")]
    Interrupted(String),
    /// The disk failed.
    #[error("the registry's disk failed; try again, or tell its operator: the server's log says why")]
    Store(#[source] store::Error),
    /// The catalog failed.
    #[error("the registry's catalog failed; try again, or tell its operator: the server's log says why")]
    Catalog(#[source] catalog::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoRoom { .. } => Self::NoRoom,
            store::Error::DigestMismatch { expected, actual } => Self::DigestMismatch { expected, actual },
            store::Error::Stopping => Self::Closing,
            store::Error::UploadBusy { .. } => Self::Busy,
            other => Self::Store(other),
        }
    }
}

impl From<catalog::Error> for Error {
    fn from(error: catalog::Error) -> Self {
        match error {
            // Others were in the way, or the database server is away: the same request may succeed soon.
            catalog::Error::Busy | catalog::Error::Conflict { .. } | catalog::Error::Unreachable { .. } => {
                Self::Busy
            }
            catalog::Error::NoRoom { .. } => Self::NoRoom,
            catalog::Error::Broken => Self::Broken,
            catalog::Error::Closed => Self::Closing,
            catalog::Error::UploadUnknown => Self::UploadUnknown,
            other => Self::Catalog(other),
        }
    }
}

/// At most ten digests, for a sentence.
fn list(digests: &[Digest]) -> String {
    let shown: Vec<String> = digests.iter().take(10).map(ToString::to_string).collect();
    let more = if digests.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
