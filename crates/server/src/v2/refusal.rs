//! Failure -> status and OCI error document. The only file that does so; it has no `_` arm, so a new error must be
//! placed here before it compiles.
//!
//! Source: distribution-spec "Error Codes" (code-1 … code-14), "Endpoints" (failure column).
#![deny(clippy::wildcard_enum_match_arm)]

use access::{Caller, Denied, Rejected};
use http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use oci::{BadDigest, BadName, Code};
use registry::{Error as E, Fate, Sought, UploadStatus};
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::Body;
use crate::v2::route::Misrouted;

/// Why a request is refused, before it is put into words.
#[derive(Debug)]
pub enum Refusal {
    /// No route, wrong method, or a part of the path that breaks its grammar.
    Misrouted(Misrouted),
    /// Nobody was let in; with the challenge, where there is one.
    Rejected(Rejected, Option<String>),
    /// Somebody was let in, but may not.
    Denied(Denied),
    /// The domain refused.
    Domain(E),
    /// An upload was refused in a way that it survives: the headers to go on with.
    Upload(E, Box<UploadStatus>, String),
    /// A parameter or header that cannot be read.
    Bad {
        /// Its code.
        code: Code,
        /// What is wrong with it.
        message: String,
    },
    /// Too many values of `tag`.
    TooManyTags,
    /// The request target is too long.
    TargetTooLong,
    /// The headers are too long.
    HeadersTooLong,
    /// No byte of the range exists in content of this size.
    RangeOutside(u64),
    /// Everything is being shut down.
    Closing,
    /// A health check failed.
    Unfit,
    /// What an older registry left is being adopted.
    Starting,
}

/// One entry of an OCI error document.
#[derive(Serialize)]
struct Entry {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

#[derive(Serialize)]
struct Document {
    errors: Vec<Entry>,
}

impl From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Domain(error)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<BadDigest> for Refusal {
    fn from(bad: BadDigest) -> Self {
        Self::Bad {
            code: Code::DigestInvalid,
            message: bad.to_string(),
        }
    }
}

impl Refusal {
    /// The same for somebody who may not know everything that it says.
    pub(crate) fn seen_by(self, caller: &Caller) -> Self {
        if let Self::Domain(E::Gone(gone)) = &self
            && let Fate::RepositoryRenamed(new) = &gone.fate
            && !caller.visible(new)
        {
            return Self::Domain(gone.as_ref().clone().plain());
        }
        self
    }

    /// The answer. Failures of ours are logged here, once; their cause stays out of the answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let (status, entries) = self.entries();
        let mut body = serde_json::to_vec(&Document { errors: entries }).unwrap_or_default();
        body.push(b'\n');
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if status == StatusCode::INSUFFICIENT_STORAGE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        match self {
            Self::Misrouted(Misrouted::Method(allow)) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Rejected(_, Some(challenge)) => {
                if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                    headers.insert(WWW_AUTHENTICATE, challenge);
                }
            }
            Self::RangeOutside(size) => {
                crate::v2::put(headers, CONTENT_RANGE, &format!("bytes */{size}"));
            }
            Self::Upload(_, status, location) => crate::v2::upload::progress(headers, &status, &location),
            Self::Misrouted(_)
            | Self::Rejected(_, None)
            | Self::Denied(_)
            | Self::Domain(_)
            | Self::Bad { .. }
            | Self::TooManyTags
            | Self::TargetTooLong
            | Self::HeadersTooLong
            | Self::Closing
            | Self::Unfit
            | Self::Starting => {}
        }
        response
    }

    fn entries(&self) -> (StatusCode, Vec<Entry>) {
        let one = |status, code: Code, message: String| {
            (
                status,
                vec![Entry {
                    code: code.as_str(),
                    message,
                    detail: None,
                }],
            )
        };
        match self {
            Self::Misrouted(misrouted) => {
                let (status, code, message) = misrouted_answer(misrouted);
                one(status, code, message)
            }
            Self::Rejected(Rejected::Busy, _) => one(
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                Rejected::Busy.to_string(),
            ),
            Self::Rejected(rejected @ (Rejected::Missing | Rejected::Wrong | Rejected::Malformed), _) => {
                one(StatusCode::UNAUTHORIZED, Code::Unauthorized, rejected.to_string()) // code-11
            }
            Self::Denied(denied) => one(StatusCode::FORBIDDEN, Code::Denied, denied.to_string()), // code-12
            Self::Domain(error) | Self::Upload(error, ..) => domain_entries(error),
            Self::Bad { code, message } => one(StatusCode::BAD_REQUEST, *code, message.clone()),
            Self::TooManyTags => {
                let message = format!("at most {} tags at once", crate::v2::manifest::TAGS_MAX);
                one(StatusCode::URI_TOO_LONG, Code::TagInvalid, message)
            }
            Self::TargetTooLong => {
                let message = format!("a request target has at most {} bytes", crate::v2::TARGET_MAX);
                one(StatusCode::URI_TOO_LONG, Code::Unsupported, message)
            }
            Self::HeadersTooLong => {
                let message = format!(
                    "the headers of a request have at most {} bytes",
                    crate::v2::HEADERS_MAX
                );
                one(
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    Code::Unsupported,
                    message,
                )
            }
            Self::RangeOutside(size) => {
                let message = format!("no byte of this range exists: the blob has {size} bytes");
                one(StatusCode::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, message)
            }
            Self::Unfit => {
                let message = "the registry is out of service now; try again later".to_owned();
                one(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            }
            Self::Closing => one(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                E::Closing.to_string(),
            ),
            Self::Starting => one(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "the registry is starting: it takes over what an older registry left; try again in a moment"
                    .to_owned(),
            ),
        }
    }
}

fn misrouted_answer(misrouted: &Misrouted) -> (StatusCode, Code, String) {
    let bad = StatusCode::BAD_REQUEST;
    match misrouted {
        Misrouted::Nowhere => {
            let message =
                "nothing is served at this path; see the distribution specification for those under /v2/";
            (StatusCode::NOT_FOUND, Code::Unsupported, message.into())
        }
        Misrouted::Method(allow) => {
            let message = format!("this path takes {allow}");
            (StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message)
        }
        Misrouted::Name(name) => (bad, Code::NameInvalid, name.to_string()), // code-8
        Misrouted::Digest(digest) => (bad, Code::DigestInvalid, digest.to_string()), // code-4
        Misrouted::Tag(tag @ BadName::Tag(_)) => (bad, Code::TagInvalid, tag.to_string()),
        Misrouted::Tag(
            other @ (BadName::Repository(_) | BadName::RepositoryLength(_) | BadName::Digest(_)),
        ) => (bad, Code::NameInvalid, other.to_string()),
        Misrouted::NoManifest => {
            let message = "no manifest has such a tag: it breaks the grammar of tags";
            (StatusCode::NOT_FOUND, Code::ManifestUnknown, message.into()) // code-7
        }
        Misrouted::NoUpload => {
            (
                StatusCode::NOT_FOUND,
                Code::BlobUploadUnknown,
                E::UploadUnknown.to_string(),
            ) // code-3
        }
    }
}

fn domain_entries(error: &E) -> (StatusCode, Vec<Entry>) {
    let (status, code) = domain_answer(error);
    if status.is_server_error() {
        log_failure(error);
    }
    let entry = |detail| Entry {
        code: code.as_str(),
        message: error.to_string(),
        detail,
    };
    let entries = match error {
        E::Missing(missing) => missing
            .iter()
            .map(|digest| Entry {
                code: code.as_str(),
                message: format!("{digest} is not in this repository"),
                detail: Some(json!(digest.to_string())),
            })
            .collect(),
        E::BlobInUse { by, .. } | E::ManifestInUse { by, .. } => {
            let by: Vec<String> = by.iter().map(ToString::to_string).collect();
            vec![entry(Some(json!({ "usedBy": by })))]
        }
        E::BlobUnknown(digest)
        | E::BlobDamaged(digest)
        | E::ManifestDamaged(digest)
        | E::NotDamaged(digest) => {
            vec![entry(Some(json!({ "digest": digest.to_string() })))]
        }
        E::ManifestUnknown(reference) => vec![entry(Some(json!({ "reference": reference.to_string() })))],
        E::RepositoryUnknown(name) => vec![entry(Some(json!({ "name": name.to_string() })))],
        E::Gone(gone) => vec![entry(Some(match &gone.sought {
            Sought::Manifest(reference) => json!({ "reference": reference.to_string() }),
            Sought::Blob(digest) => json!({ "digest": digest.to_string() }),
            Sought::Repository => json!({ "name": gone.repository.to_string() }),
        }))],
        E::DigestMismatch { expected, actual } => {
            vec![entry(Some(
                json!({ "expected": expected.to_string(), "actual": actual.to_string() }),
            ))]
        }
        E::NoRoom => vec![entry(Some(json!({ "reason": "disk full" })))],
        E::TagImmutable { tag, digest, rule } => {
            vec![entry(Some(
                json!({ "tag": tag, "digest": digest.to_string(), "rule": rule }),
            ))]
        }
        E::RepositoryImmutable(found) => {
            vec![entry(Some(json!({ "tags": found.some, "rules": found.rules })))]
        }
        E::OverQuota(refusal) => vec![entry(Some(quota_detail(refusal)))],
        E::BlobTooLarge { .. }
        | E::AlreadyRunning(_)
        | E::UploadUnknown
        | E::OutOfOrder(_)
        | E::SizeMismatch { .. }
        | E::TooManyUploads { .. }
        | E::BodyCut
        | E::ManifestInvalid(_)
        | E::ManifestTooLarge { .. }
        | E::UrlRefused { .. }
        | E::PreconditionFailed
        | E::DeleteDisabled
        | E::ReadOnly
        | E::ReadOnlyMode { .. }
        | E::Rule(_)
        | E::RetentionBusy
        | E::RetentionWaits(_)
        | E::Busy
        | E::Closing
        | E::Broken
        | E::Adopt(_)
        | E::Remote(_)
        | E::Source(_)
        | E::Export(_)
        | E::Backup(_)
        | E::Bundle(_)
        | E::Interrupted(_)
        | E::Store(_)
        | E::Catalog(_) => vec![entry(None)],
    };
    (status, entries)
}

fn domain_answer(error: &E) -> (StatusCode, Code) {
    match error {
        E::BlobUnknown(_) | E::NotDamaged(_) => (StatusCode::NOT_FOUND, Code::BlobUnknown), // code-1
        E::UploadUnknown => (StatusCode::NOT_FOUND, Code::BlobUploadUnknown),               // code-3
        E::DigestMismatch { .. } => (StatusCode::BAD_REQUEST, Code::DigestInvalid),         // code-4
        E::Missing(_) => (StatusCode::BAD_REQUEST, Code::ManifestBlobUnknown),              // code-5
        E::ManifestInvalid(_) | E::UrlRefused { .. } => (StatusCode::BAD_REQUEST, Code::ManifestInvalid), // code-6
        E::ManifestTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Code::ManifestInvalid), // code-6
        E::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, Code::Denied),
        E::ManifestUnknown(_) => (StatusCode::NOT_FOUND, Code::ManifestUnknown), // code-7
        E::RepositoryUnknown(_) => (StatusCode::NOT_FOUND, Code::NameUnknown),   // code-9
        E::Gone(gone) => match gone.sought {
            Sought::Manifest(_) => (StatusCode::NOT_FOUND, Code::ManifestUnknown), // code-7
            Sought::Blob(_) => (StatusCode::NOT_FOUND, Code::BlobUnknown),         // code-1
            Sought::Repository => (StatusCode::NOT_FOUND, Code::NameUnknown),      // code-9
        },
        E::SizeMismatch { .. } | E::BodyCut => (StatusCode::BAD_REQUEST, Code::SizeInvalid), // code-10
        E::BlobTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Code::Denied),             // code-12
        E::BlobInUse { .. }
        | E::ManifestInUse { .. }
        | E::DeleteDisabled
        | E::ReadOnly
        | E::ReadOnlyMode { .. } => (StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported), // code-13
        E::AlreadyRunning(_) => (StatusCode::CONFLICT, Code::Denied),
        E::TagImmutable { .. } | E::RepositoryImmutable(_) | E::OverQuota(_) => {
            (StatusCode::FORBIDDEN, Code::Denied) // code-12
        }
        E::TooManyUploads { .. } => (StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests), // code-14
        E::OutOfOrder(_) => (StatusCode::RANGE_NOT_SATISFIABLE, Code::RangeInvalid),
        E::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, Code::Unknown),
        E::Busy | E::Closing | E::Broken => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        // Adopting, exporting and rules are no requests of clients; they fail where they were asked for.
        E::BlobDamaged(_)
        | E::ManifestDamaged(_)
        | E::Rule(_)
        | E::RetentionBusy
        | E::RetentionWaits(_)
        | E::Adopt(_)
        | E::Remote(_)
        | E::Source(_)
        | E::Export(_)
        | E::Backup(_)
        | E::Bundle(_)
        | E::Interrupted(_)
        | E::Store(_)
        | E::Catalog(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown),
    }
}

/// The numbers of a quota, for programs.
pub(crate) fn quota_detail(refusal: &registry::QuotaRefusal) -> Value {
    let over = &refusal.over;
    let biggest: Vec<Value> = refusal
        .biggest
        .iter()
        .map(|(what, size)| json!({ "what": what, "size": size }))
        .collect();
    let limited = match over.limited {
        registry::Limited::Bytes => "bytes",
        registry::Limited::Tags => "tags",
    };
    json!({
        "quota": over.quota, "limited": limited, "used": over.used, "limit": over.limit,
        "wanted": Some(over.wanted).filter(|&wanted| wanted > 0),
        "biggest": biggest,
    })
}

/// The whole chain of causes, which the answer does not carry.
pub(crate) fn causes(error: &E) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    causes.join(": ")
}

fn log_failure(error: &E) {
    let causes = causes(error);
    if matches!(error, E::NoRoom | E::Busy | E::Closing) {
        tracing::warn!(%error, "a request was refused");
    } else {
        tracing::error!(%error, causes, "a request failed");
    }
}
