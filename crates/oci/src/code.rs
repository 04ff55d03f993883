//! The error codes of the wire, in their spelling.
//!
//! Source: distribution-spec "Error Codes" (code-1 … code-14), and those that the CNCF registry adds.

/// What an OCI error document says in `code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// code-1: blob unknown to the registry, or not linked in this repository.
    BlobUnknown,
    /// code-2: blob upload invalid.
    BlobUploadInvalid,
    /// code-3: blob upload unknown to the registry.
    BlobUploadUnknown,
    /// code-4: the digest does not match the content, or is no digest.
    DigestInvalid,
    /// code-5: a manifest names a manifest or blob that is not here.
    ManifestBlobUnknown,
    /// code-6: manifest invalid.
    ManifestInvalid,
    /// code-7: manifest unknown to the registry.
    ManifestUnknown,
    /// code-8: invalid repository name.
    NameInvalid,
    /// code-9: repository name not known to the registry.
    NameUnknown,
    /// code-10: the length does not match what was declared.
    SizeInvalid,
    /// code-11: authentication required.
    Unauthorized,
    /// code-12: access to the resource is denied.
    Denied,
    /// code-13: the operation is not supported.
    Unsupported,
    /// code-14: too many requests.
    TooManyRequests,
    /// Kept for clients of the CNCF registry: a chunk out of order.
    RangeInvalid,
    /// Kept for clients of the CNCF registry: a bad tag in a push.
    TagInvalid,
    /// Kept for clients of the CNCF registry: `n` is no number.
    PaginationNumberInvalid,
    /// The registry cannot serve now.
    Unavailable,
    /// Nothing better fits.
    Unknown,
}

impl Code {
    /// The spelling in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }
}
