//! Blobs: look, pull whole or in ranges, delete.
//!
//! Units: bytes. Source: distribution-spec "Pulling blobs" (end-2), "Deleting blobs" (end-10); RFC 9110 sections 13, 14.

use access::{Delete, Pull};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oci::{Digest, RepositoryName};
use registry::{Blob, Content};

use super::range::{Span, Wanted};
use super::{CONTENT_DIGEST, Exchange, empty, names_digest, put};
use crate::body::{BlobBody, Body, Piece};
use crate::v2::refusal::Refusal;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// end-2: `HEAD /v2/<name>/blobs/<digest>` -> 200 with the size; 404 BLOB_UNKNOWN.
pub(crate) async fn stat(
    x: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let size = x.server.registry.blob_size(&permit, digest).await?;
    let status = if is_known(x, digest) {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let mut response = empty(status);
    describe(response.headers_mut(), digest);
    if status == StatusCode::OK {
        response.headers_mut().insert(CONTENT_LENGTH, size.into());
    }
    Ok(response)
}

/// end-2: `GET /v2/<name>/blobs/<digest>` -> 200, 206, 304; 404 BLOB_UNKNOWN, 416.
pub(crate) async fn pull(
    x: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let blob = x.server.registry.open_blob(&permit, digest).await?;
    if is_known(x, digest) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        describe(response.headers_mut(), digest);
        return Ok(response);
    }
    let header = x
        .head
        .headers
        .get(RANGE)
        .filter(|_| range_holds(x, digest))
        .map(HeaderValue::as_bytes);
    let (size, wanted) = (blob.size, Wanted::read(header, blob.size));
    let mut response = match wanted {
        Wanted::Whole => whole(x, blob),
        Wanted::Part(span) => part(x, &blob, span),
        Wanted::Parts(spans) => parts(x, &blob, &spans),
        Wanted::Unsatisfiable => return Err(Refusal::RangeOutside(size)),
    };
    describe(response.headers_mut(), digest);
    Ok(response)
}

/// end-10: `DELETE /v2/<name>/blobs/<digest>` -> 202; 404 BLOB_UNKNOWN, 405 while a manifest names it.
pub(crate) async fn delete(
    x: &Exchange<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Delete, name)?;
    x.server.registry.delete_blob(&permit, digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn describe(headers: &mut HeaderMap, digest: &Digest) {
    let digest = digest.to_string();
    put(headers, CONTENT_DIGEST, &digest);
    put(headers, ETAG, &format!("\"{digest}\""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.entry(CONTENT_TYPE).or_insert(OCTETS);
}

fn is_known(x: &Exchange<'_>, digest: &Digest) -> bool {
    names_digest(x.head.headers.get(IF_NONE_MATCH), &digest.to_string())
}

fn range_holds(x: &Exchange<'_>, digest: &Digest) -> bool {
    let condition = x.head.headers.get(IF_RANGE);
    condition.is_none() || names_digest(condition, &digest.to_string())
}

fn whole(x: &Exchange<'_>, blob: Blob) -> Response<Body> {
    let size = blob.size;
    let body = match blob.content {
        Content::Inline(bytes) => Body::from(bytes),
        Content::File(_) if size == 0 => Body::Empty,
        Content::File(file) => {
            let piece = Piece::File(
                file,
                Span {
                    first: 0,
                    last: size - 1,
                },
            );
            Body::Blob(BlobBody::new(vec![piece], x.means.clone()))
        }
    };
    Response::new(body)
}

fn part(x: &Exchange<'_>, blob: &Blob, span: Span) -> Response<Body> {
    let mut response = Response::new(Body::Blob(BlobBody::new(
        vec![piece(blob, span)],
        x.means.clone(),
    )));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    put(
        response.headers_mut(),
        CONTENT_RANGE,
        &content_range(span, blob.size),
    );
    response
}

/// One part for each range, in the order asked, never merged: clients count them.
fn parts(x: &Exchange<'_>, blob: &Blob, spans: &[Span]) -> Response<Body> {
    let boundary = blob.digest.hex()[..32].to_owned();
    let mut pieces = Vec::with_capacity(spans.len() * 2 + 1);
    for span in spans {
        let range = content_range(*span, blob.size);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n"
        );
        pieces.push(Piece::Bytes(head.into()));
        pieces.push(piece(blob, *span));
    }
    pieces.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    let mut response = Response::new(Body::Blob(BlobBody::new(pieces, x.means.clone())));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    put(
        response.headers_mut(),
        CONTENT_TYPE,
        &format!("multipart/byteranges; boundary={boundary}"),
    );
    response
}

fn content_range(span: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.first, span.last)
}

fn piece(blob: &Blob, span: Span) -> Piece {
    match &blob.content {
        Content::File(file) => Piece::File(file.clone(), span),
        Content::Inline(bytes) => Piece::Bytes(inline(bytes, span)),
    }
}

fn inline(bytes: &Bytes, span: Span) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(span.first)..at(span.last + 1))
}
