//! Uploads: begin (or mount, or push whole), append, ask, finish, cancel.
//!
//! Units: bytes. Shape: every answer about a session carries `Location`, `Range: 0-<last>` and `Docker-Upload-UUID`,
//! so a client can go on from any of them.
//! Source: distribution-spec "Pushing blobs" (end-4 … end-6), "Mounting a blob" (end-11), end-13, end-14.

use access::{Permit, Pull, Push};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, Response, StatusCode};
use oci::{Algorithm, Code, Digest, RepositoryName};
use registry::{Chunk, Error, MountFrom, UploadStatus};
use uuid::Uuid;

use super::receive::{ClientBody, Stream};
use super::{CONTENT_DIGEST, Exchange, empty, put, range};
use crate::body::Body;
use crate::v2::refusal::Refusal;

type Answer = Result<Response<Body>, Refusal>;

/// end-4, end-11: `POST /v2/<name>/blobs/uploads/` -> 202; 201 with `digest` and a body, or for a mount.
pub(crate) async fn begin(x: &Exchange<'_>, name: &RepositoryName, body: &mut ClientBody) -> Answer {
    let permit = x.caller.may(Push, name)?;
    if let Some(digest) = x.query.get("mount").and_then(|text| text.parse().ok())
        && mount(x, &permit, &digest).await?
    {
        return Ok(created(x, name, &digest));
    }
    let algorithm: Algorithm = match x.query.get("digest-algorithm") {
        Some(text) => text.parse()?,
        None => Algorithm::Sha256,
    };
    if let Some(text) = x.query.get("digest").filter(|_| x.query.get("mount").is_none()) {
        let digest: Digest = text.parse()?;
        let stream = take(x, body)?;
        x.server
            .registry
            .push_blob(&permit, digest.clone(), length(x), stream)
            .await?;
        return Ok(created(x, name, &digest));
    }
    let status = x.server.registry.begin_upload(&permit, algorithm).await?;
    Ok(at(x, name, &status, StatusCode::ACCEPTED))
}

/// A wrong or forbidden source is no error: the client sends the bytes instead.
async fn mount(x: &Exchange<'_>, into: &Permit<Push>, digest: &Digest) -> Result<bool, Refusal> {
    let registry = &x.server.registry;
    match x.query.get("from") {
        None => Ok(registry
            .mount_blob(into, MountFrom::Anywhere(&x.caller), digest.clone())
            .await?),
        Some(from) => {
            let Ok(from) = from.parse::<RepositoryName>() else {
                return Ok(false);
            };
            let Ok(permit) = x.caller.may(Pull, &from) else {
                return Ok(false);
            };
            Ok(registry
                .mount_blob(into, MountFrom::Repository(&permit), digest.clone())
                .await?)
        }
    }
}

/// end-5: `PATCH <location>` -> 202; 404, 416, 400 SIZE_INVALID.
pub(crate) async fn append(
    x: &Exchange<'_>,
    name: &RepositoryName,
    id: Uuid,
    body: &mut ClientBody,
) -> Answer {
    let permit = x.caller.may(Push, name)?;
    let chunk = chunk(x, &permit, id).await?;
    let stream = take(x, body)?;
    let outcome = x.server.registry.append(&permit, id, chunk, stream).await;
    let status = survive(x, &permit, id, outcome).await?;
    Ok(at(x, name, &status, StatusCode::ACCEPTED))
}

/// end-6: `PUT <location>&digest=` -> 201; 400 DIGEST_INVALID ends the session, 404, 416.
pub(crate) async fn finish(
    x: &Exchange<'_>,
    name: &RepositoryName,
    id: Uuid,
    body: &mut ClientBody,
) -> Answer {
    let permit = x.caller.may(Push, name)?;
    let missing = || Refusal::Bad {
        code: Code::DigestInvalid,
        message: "the last request of an upload needs the parameter digest".into(),
    };
    let digest: Digest = x.query.get("digest").ok_or_else(missing)?.parse()?;
    let chunk = chunk(x, &permit, id).await?;
    let stream = take(x, body)?;
    let outcome = x
        .server
        .registry
        .finish_upload(&permit, id, digest.clone(), chunk, stream)
        .await;
    survive(x, &permit, id, outcome).await?;
    Ok(created(x, name, &digest))
}

/// end-13: `GET|HEAD <location>` -> 204 with where the upload stands; 404.
pub(crate) async fn status(x: &Exchange<'_>, name: &RepositoryName, id: Uuid) -> Answer {
    let permit = x.caller.may(Push, name)?;
    let status = x.server.registry.upload_status(&permit, id).await?;
    Ok(at(x, name, &status, StatusCode::NO_CONTENT))
}

/// end-14: `DELETE <location>` -> 204; 404. Needs the right to push, not to delete.
pub(crate) async fn cancel(x: &Exchange<'_>, name: &RepositoryName, id: Uuid) -> Answer {
    let permit = x.caller.may(Push, name)?;
    x.server.registry.cancel_upload(&permit, id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn take(x: &Exchange<'_>, body: &mut ClientBody) -> Result<Stream, Refusal> {
    let stream = body.take().ok_or(Refusal::Domain(Error::BodyCut))?;
    Ok(stream.through(x.inlet.clone()))
}

fn length(x: &Exchange<'_>) -> Option<u64> {
    x.header(CONTENT_LENGTH).and_then(|text| text.parse().ok())
}

/// Where the request says that its bytes belong: `Content-Range`, else the state in the location.
async fn chunk(x: &Exchange<'_>, permit: &Permit<Push>, id: Uuid) -> Result<Chunk, Refusal> {
    if let Some(header) = x.head.headers.get(CONTENT_RANGE) {
        let Some(span) = range::chunk(header.as_bytes()) else {
            let status = x.server.registry.upload_status(permit, id).await?;
            return Err(refuse(x, permit, Error::OutOfOrder(status), &status));
        };
        let declared = span.len();
        if let Some(received) = length(x).filter(|&length| length != declared) {
            let status = x.server.registry.upload_status(permit, id).await?;
            return Err(refuse(
                x,
                permit,
                Error::SizeMismatch { declared, received },
                &status,
            ));
        }
        return Ok(Chunk {
            at: Some(span.first),
            length: Some(declared),
        });
    }
    let at = match x.query.get("_state") {
        None => None,
        Some(state) => {
            let bad = |_| Refusal::Bad {
                code: Code::BlobUploadInvalid,
                message:
                    "the _state of this upload's location was not made here; use the location as it was given"
                        .into(),
            };
            Some(
                x.server
                    .states
                    .read(permit.repository(), id, state)
                    .map_err(bad)?,
            )
        }
    };
    Ok(Chunk {
        at,
        length: length(x),
    })
}

/// Failures that leave the session usable say where it stands.
async fn survive<T>(
    x: &Exchange<'_>,
    permit: &Permit<Push>,
    id: Uuid,
    outcome: Result<T, Error>,
) -> Result<T, Refusal> {
    match outcome {
        Err(Error::OutOfOrder(status)) => Err(refuse(x, permit, Error::OutOfOrder(status), &status)),
        Err(error @ (Error::SizeMismatch { .. } | Error::BodyCut)) => {
            match x.server.registry.upload_status(permit, id).await {
                Ok(status) => Err(refuse(x, permit, error, &status)),
                Err(_) => Err(error.into()),
            }
        }
        other => Ok(other?),
    }
}

fn refuse(x: &Exchange<'_>, permit: &Permit<Push>, error: Error, status: &UploadStatus) -> Refusal {
    Refusal::Upload(error, Box::new(*status), location(x, permit.repository(), status))
}

fn created(x: &Exchange<'_>, name: &RepositoryName, digest: &Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    put(
        response.headers_mut(),
        LOCATION,
        &x.link(&format!("/v2/{name}/blobs/{digest}")),
    );
    put(response.headers_mut(), CONTENT_DIGEST, &digest.to_string());
    response
}

fn at(x: &Exchange<'_>, name: &RepositoryName, status: &UploadStatus, code: StatusCode) -> Response<Body> {
    let mut response = empty(code);
    progress(response.headers_mut(), status, &location(x, name, status));
    response
}

fn location(x: &Exchange<'_>, name: &RepositoryName, status: &UploadStatus) -> String {
    let state = x.server.states.sign(name, status.id, status.offset);
    x.link(&format!("/v2/{name}/blobs/uploads/{}?_state={state}", status.id))
}

/// The headers of every answer about a session. An empty one and one of a single byte both stand at `0-0`.
pub(crate) fn progress(headers: &mut HeaderMap, status: &UploadStatus, location: &str) {
    put(headers, LOCATION, location);
    put(headers, RANGE, &format!("0-{}", status.offset.saturating_sub(1)));
    put(headers, "docker-upload-uuid", &status.id.to_string());
}
