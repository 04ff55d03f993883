//! What can go wrong, in the words of the domain. Nothing here knows a status code; the causes are kept.

use oci::{Digest, ManifestError, Reference, RepositoryName};

use crate::policies::RuleError;
use crate::quota::QuotaRefusal;
use crate::{Gone, UploadStatus};

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no such blob.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The blob's bytes were found damaged.
    #[error(
        "the stored bytes of blob {0} are damaged: push an image that has it again, which repairs it, or have the operator \
         run landfall scrub run --repair-from"
    )]
    BlobDamaged(Digest),
    /// The manifest's bytes were found damaged.
    #[error(
        "the stored bytes of manifest {0} are damaged: push it again, which repairs it, or have the operator run landfall \
         scrub run --repair-from"
    )]
    ManifestDamaged(Digest),
    /// Nothing is wrong with the digest, or it is not here: there is nothing to heal.
    #[error("nothing is known to be wrong with {0} here: landfall scrub status lists what is")]
    NotDamaged(Digest),
    /// One such run is enough.
    #[error("a {0} is running already: wait for its end")]
    AlreadyRunning(&'static str),
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
    #[error("{} {} declared, but {received} arrived", oci::counted(*.declared, "byte"), oci::either(*.declared, "was", "were"))]
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
    /// It is not there, and it is known what became of it.
    #[error("{0}")]
    Gone(Box<Gone>),
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
    #[error(
        "the registry is read-only by its configuration (storage.maintenance.readonly.enabled); pulls work; it takes writes again \
         once that is false there and was reloaded"
    )]
    ReadOnly,
    /// Writes are off, because somebody said so.
    #[error("the registry is read-only now: {reason}")]
    ReadOnlyMode {
        /// Why, and who said so.
        reason: String,
    },
    /// An immutable tag would have been moved or deleted.
    #[error(
        "tag {tag} is immutable here (rule {rule}): it stays at {digest}; push under another tag, or remove that rule first"
    )]
    TagImmutable {
        /// The tag.
        tag: Box<str>,
        /// Where it leads.
        digest: Digest,
        /// The rule that makes it so.
        rule: Box<str>,
    },
    /// A repository would have been deleted, or renamed out of a rule's reach, with immutable tags in it.
    #[error(
        "{0}: remove such a rule first (`landfall immutable rm RULE`, or in the configuration file if it is there); \
         a name under which they are immutable too can be given all the same"
    )]
    RepositoryImmutable(Box<catalog::ImmutableTags>),
    /// A quota would have been passed.
    #[error(transparent)]
    OverQuota(Box<QuotaRefusal>),
    /// A rule is wrong, or cannot be made or removed.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Retention runs already, here or on another server.
    #[error("retention is running already; wait until it is done")]
    RetentionBusy,
    /// Retention must not run now.
    #[error("retention waits: {0}")]
    RetentionWaits(String),
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
    /// Whatever should have the right bytes cannot be asked.
    #[error(transparent)]
    Source(#[from] crate::scrub::SourceError),
    /// Content could not be written out.
    #[error(transparent)]
    Export(#[from] crate::export::ExportError),
    /// A backup could not be made or brought back.
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    /// A bundle could not be made or brought.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
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
            catalog::Error::Immutable { tag, digest, rule } => Self::TagImmutable {
                tag: tag.into(),
                digest,
                rule: rule.into(),
            },
            catalog::Error::HasImmutable(tags) => Self::RepositoryImmutable(tags),
            catalog::Error::OverQuota(over) => Self::OverQuota(Box::new(QuotaRefusal {
                over: *over,
                biggest: Vec::new(),
            })),
            other => Self::Catalog(other),
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// At most ten digests, for a sentence.
fn list(digests: &[Digest]) -> String {
    let shown: Vec<String> = digests.iter().take(10).map(ToString::to_string).collect();
    let more = if digests.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
