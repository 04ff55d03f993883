//! Failure -> status and error document of the admin API. The only file here that does so; errors of the domain have no
//! `_` arm, so a new one must be placed.
//!
//! Codes are kept: a program may depend on them. What the domain says is said as it is, with what to do next.
#![deny(clippy::wildcard_enum_match_arm)]

use std::io::ErrorKind;

use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use registry::backup::{FailureKind, kind_of};
use registry::{Error as E, RuleError, SourceError};
use serde_json::{Value, json};

use super::reply;
use crate::api::{Fault, Problem};

/// Why a call is refused, or how it failed.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    detail: Option<Value>,
    challenge: Option<String>,
}

impl Refusal {
    /// A refusal with a code of its own; the message says what happened, why, and what to do.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
            challenge: None,
        }
    }

    /// 400: what was sent cannot be used.
    #[must_use]
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "LF-API-001", message)
    }

    /// 404: what is named is not there.
    #[must_use]
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "LF-API-011", message)
    }

    /// 409: not as things are now.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "LF-API-012", message)
    }

    /// Facts for programs, beside the message.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    pub(super) fn nowhere(path: &str) -> Self {
        let message = format!("nothing is at {path}; /api/v1/openapi.json lists all that is");
        Self::new(StatusCode::NOT_FOUND, "LF-API-002", message)
    }

    pub(super) fn method(method: &Method) -> Self {
        let message = format!("this path does not take {method}; /api/v1/openapi.json says what it takes");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "LF-API-003", message)
    }

    pub(super) fn login(rejected: access::Rejected, challenge: Option<String>) -> Self {
        let message = format!("{rejected}; the admin API is for the users named in `admin.users`");
        Self {
            challenge,
            ..Self::new(StatusCode::UNAUTHORIZED, "LF-API-004", message)
        }
    }

    pub(super) fn no_admin(name: &str) -> Self {
        let message =
            format!("{name} is no admin: `admin.users` in the server's configuration names those who are");
        Self::new(StatusCode::FORBIDDEN, "LF-API-005", message)
    }

    pub(super) fn no_logins() -> Self {
        let message = "this registry asks nobody for a login, so nobody is an admin over HTTP: \
             run the command on the server's machine, where its socket needs no login, \
             or give the registry users (`landfall user add admin`)";
        Self::new(StatusCode::FORBIDDEN, "LF-API-006", message)
    }

    pub(super) fn too_large(most: u64) -> Self {
        let message = format!("a request has at most {most} bytes here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "LF-API-007", message)
    }

    pub(super) fn no_json(message: String) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "LF-API-017", message)
    }

    pub(super) fn stranger(uid: Option<u32>, ours: u32) -> Self {
        let who = uid.map_or_else(|| "somebody unknown".to_owned(), |uid| format!("user {uid}"));
        let message = format!(
            "the admin socket is for root and for user {ours}, whom the server runs as, and this is {who}: \
             become one of them, or log in over HTTP with --server URL --user NAME"
        );
        Self::new(StatusCode::FORBIDDEN, "LF-API-008", message)
    }

    pub(super) fn other_site() -> Self {
        let message = "a page of another site asked the browser for this";
        Self::new(StatusCode::FORBIDDEN, "LF-API-009", message)
    }

    pub(super) fn starting() -> Self {
        let message =
            "the registry is starting: it takes over what an older registry left; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "LF-API-010", message)
    }
}

impl From<E> for Refusal {
    fn from(error: E) -> Self {
        let (status, code) = place(&error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let causes = crate::v2::refusal::causes(&error);
            tracing::error!(%error, causes, "a call of the admin API failed");
        }
        let refusal = Self::new(status, code, message(&error));
        match detail(&error) {
            Some(detail) => refusal.with_detail(detail),
            None => refusal,
        }
    }
}

impl From<oci::BadName> for Refusal {
    fn from(bad: oci::BadName) -> Self {
        Self::bad(bad.to_string())
    }
}

impl From<oci::BadDigest> for Refusal {
    fn from(bad: oci::BadDigest) -> Self {
        Self::bad(bad.to_string())
    }
}

fn place(error: &E) -> (StatusCode, &'static str) {
    match error {
        E::Source(SourceError::Folder { source, .. }) if source.kind() == ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "LF-API-011")
        }
        E::SizeMismatch { .. }
        | E::BodyCut
        | E::DigestMismatch { .. }
        | E::ManifestInvalid(_)
        | E::Missing(_)
        | E::Source(SourceError::Folder { .. } | SourceError::Remote(_))
        | E::Rule(RuleError::Bad(_))
        | E::UrlRefused { .. } => (StatusCode::BAD_REQUEST, "LF-API-001"),
        E::ManifestTooLarge { .. } | E::BlobTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "LF-API-007"),
        E::Busy | E::Closing | E::Broken | E::TooManyUploads { .. } | E::Interrupted(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "LF-API-010")
        }
        E::BlobUnknown(_)
        | E::UploadUnknown
        | E::ManifestUnknown(_)
        | E::RepositoryUnknown(_)
        | E::NotDamaged(_)
        | E::Gone(_)
        | E::Rule(RuleError::Unknown(_)) => (StatusCode::NOT_FOUND, "LF-API-011"),
        E::BlobInUse { .. }
        | E::AlreadyRunning(_)
        | E::ManifestInUse { .. }
        | E::OutOfOrder(_)
        | E::PreconditionFailed
        | E::DeleteDisabled
        | E::ReadOnly
        | E::ReadOnlyMode { .. }
        | E::TagImmutable { .. }
        | E::RepositoryImmutable(_)
        | E::Rule(RuleError::OfFile(_) | RuleError::Broken(..))
        | E::RetentionBusy
        | E::RetentionWaits(_) => (StatusCode::CONFLICT, "LF-API-012"),
        E::NoRoom | E::OverQuota(_) => (StatusCode::INSUFFICIENT_STORAGE, "LF-API-013"),
        E::Backup(_) | E::Bundle(_) => match kind_of(error) {
            FailureKind::Full => (StatusCode::INSUFFICIENT_STORAGE, "LF-API-013"),
            FailureKind::Missing => (StatusCode::NOT_FOUND, "LF-API-011"),
            FailureKind::Conflict | FailureKind::Damaged => (StatusCode::CONFLICT, "LF-API-012"),
            FailureKind::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "LF-API-010"),
            FailureKind::Other => (StatusCode::INTERNAL_SERVER_ERROR, "LF-API-014"),
        },
        E::BlobDamaged(_)
        | E::ManifestDamaged(_)
        | E::Adopt(_)
        | E::Remote(_)
        | E::Export(_)
        | E::Store(_)
        | E::Catalog(_) => (StatusCode::INTERNAL_SERVER_ERROR, "LF-API-014"),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most errors say all in their message"
)]
fn message(error: &E) -> String {
    match error {
        // Nobody pushes here: another tag is no way out.
        E::TagImmutable { tag, digest, rule } => format!(
            "tag {tag} is immutable by the rule {rule:?} and stays at {digest}: remove that rule first \
             (`landfall immutable rm '{rule}'`, or in the configuration file if it is there)"
        ),
        E::Source(folder @ SourceError::Folder { source, .. }) => format!("{folder}: {source}"),
        _ => error.to_string(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most errors say all in their message"
)]
fn detail(error: &E) -> Option<Value> {
    match error {
        E::BlobInUse { by, .. } | E::ManifestInUse { by, .. } => {
            let by: Vec<String> = by.iter().map(ToString::to_string).collect();
            Some(json!({ "used_by": by }))
        }
        E::RepositoryUnknown(name) => Some(json!({ "repository": name.to_string() })),
        E::OverQuota(refusal) => Some(crate::v2::refusal::quota_detail(refusal)),
        _ => None,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            error: Fault {
                code: self.code.to_owned(),
                message: self.message,
                detail: self.detail,
            },
        };
        let mut response = reply::json(self.status, &problem);
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
