//! What another registry answers: bytes on their way, whole documents, and which failures are of the moment.
//!
//! Units: bytes. Fails: `RemoteError`; a body that pauses for a minute is cut.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use registry::adopt::RemoteError;
use registry::{Body, BodyCut};
use serde::Deserialize;

use crate::url_login;

/// A server that says nothing for so long has gone.
pub(super) const SILENCE: Duration = Duration::from_mins(1);
/// Larger than any manifest or page of a list.
const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The bytes of a blob on their way.
pub(crate) struct Stream {
    pub(super) body: Incoming,
    /// Bytes at the start that are here already.
    pub(super) skip: u64,
}

impl Body for Stream {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        loop {
            let frame = match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Ok(None) => return None,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) | Err(_) => return Some(Err(BodyCut)),
            };
            let Ok(mut bytes) = frame.into_data() else {
                continue;
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            let rest = bytes.split_off(skipped);
            if !rest.is_empty() {
                return Some(Ok(rest));
            }
        }
    }
}

/// What a registry, or the proxy in front of it, answers while it cannot: a later run gets what it asked for. An error of
/// another kind is about the one thing that was asked for.
pub(super) fn busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// An answer that means "not now".
#[derive(Debug, thiserror::Error)]
#[error("it answers {0}")]
pub(super) struct Busy(pub(super) StatusCode);

pub(super) async fn whole(address: &str, response: Response<Incoming>) -> Result<Bytes, RemoteError> {
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect();
    match tokio::time::timeout(SILENCE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(source)) if source.is::<LengthLimitError>() => {
            let answer = format!("more than {DOCUMENT_BYTES_MAX} bytes");
            Err(unexpected(address, answer))
        }
        Ok(Err(source)) => Err(RemoteError::Unreachable {
            address: shown(address),
            source,
        }),
        Err(late) => Err(unreachable(address, late)),
    }
}

pub(super) async fn document<T: for<'de> Deserialize<'de>>(
    address: &str,
    response: Response<Incoming>,
) -> Result<T, RemoteError> {
    let body = whole(address, response).await?;
    serde_json::from_slice(&body).map_err(|error| unexpected(address, error.to_string()))
}

pub(super) fn unexpected(address: &str, answer: String) -> RemoteError {
    RemoteError::Unexpected {
        address: shown(address),
        answer,
    }
}

/// An address as it may be told: what another server leads to may carry a login, or a signature in its query.
pub(super) fn shown(address: &str) -> String {
    let address = url_login::hidden(address);
    match address.split_once('?') {
        Some((path, _)) => path.to_owned(),
        None => address,
    }
}

pub(super) fn unreachable(
    address: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> RemoteError {
    RemoteError::Unreachable {
        address: shown(address),
        source: Box::new(source),
    }
}
