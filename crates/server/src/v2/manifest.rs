//! Manifests: look, pull, push, delete.
//!
//! `Accept` is ignored: what is stored is served, with one old exception for clients that know no lists.
//! Source: distribution-spec "Pulling manifests" (end-3), "Pushing manifests" (end-7), "Deleting tags" and
//! "Deleting manifests" (end-9).

use access::{Delete, Permit, Pull, Push};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, Response, StatusCode};
use oci::{Code, Digest, Manifest, MediaType, Reference, RepositoryName, Tag, media_types};
use registry::{Error, ManifestPush, ManifestStat, Precondition, StoredManifest};

use super::receive::ClientBody;
use super::{CONTENT_DIGEST, Exchange, empty, names_digest, put};
use crate::body::Body;
use crate::v2::refusal::Refusal;

/// Most `tag` parameters of one push.
pub const TAGS_MAX: usize = 100;

/// end-3: `HEAD /v2/<name>/manifests/<reference>` -> 200, 304; 404 MANIFEST_UNKNOWN.
pub(crate) async fn stat(
    x: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let mut stat = x.server.registry.stat_manifest(&permit, reference).await?;
    if wants_single_image(x, reference, &stat.media_type) {
        stat = single_image(x, &permit, reference).await?.stat;
    }
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), &stat);
    if names_digest(x.head.headers.get(IF_NONE_MATCH), &stat.digest.to_string()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_LENGTH, stat.size.into());
    }
    Ok(response)
}

/// end-3: `GET /v2/<name>/manifests/<reference>` -> 200 with the exact bytes, 304; 404 MANIFEST_UNKNOWN.
pub(crate) async fn pull(
    x: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let mut manifest = read(x, &permit, reference).await?;
    x.server.registry.count_pull(&manifest);
    if wants_single_image(x, reference, &manifest.stat.media_type) {
        manifest = single_image(x, &permit, reference).await?;
    }
    let known = names_digest(
        x.head.headers.get(IF_NONE_MATCH),
        &manifest.stat.digest.to_string(),
    );
    let mut response = if known {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(Body::from(manifest.body))
    };
    describe(response.headers_mut(), &manifest.stat);
    Ok(response)
}

/// end-7: `PUT /v2/<name>/manifests/<reference>?tag=` -> 201; 400, 403, 412, 413, 414.
pub(crate) async fn push(
    x: &Exchange<'_>,
    name: &RepositoryName,
    reference: Reference,
    body: &mut ClientBody,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Push, name)?;
    let tags = match &reference {
        Reference::Digest(_) => tag_parameters(x)?,
        Reference::Tag(_) => Vec::new(),
    };
    let push = ManifestPush {
        precondition: precondition(x, &reference),
        content_type: x.header(CONTENT_TYPE).map(str::to_owned),
        body: document(x, body).await?,
        tags: tags.clone(),
        reference,
    };
    let pushed = x.server.registry.push_manifest(&permit, push).await?;
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    put(
        headers,
        LOCATION,
        &x.manifest_link(name, &Reference::Digest(pushed.digest.clone())),
    );
    put(headers, CONTENT_DIGEST, &pushed.digest.to_string());
    if let Some(subject) = pushed.subject {
        put(headers, "oci-subject", &subject.to_string());
    }
    if !tags.is_empty() {
        put(
            headers,
            "oci-tag",
            &tags.iter().map(|tag| &**tag).collect::<Vec<_>>().join(", "),
        );
    }
    Ok(response)
}

/// end-9: `DELETE /v2/<name>/manifests/<reference>` -> 202; 404 MANIFEST_UNKNOWN, 405.
pub(crate) async fn delete(
    x: &Exchange<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Delete, name)?;
    x.server.registry.delete_manifest(&permit, reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

fn describe(headers: &mut HeaderMap, stat: &ManifestStat) {
    let digest = stat.digest.to_string();
    put(headers, CONTENT_TYPE, &stat.media_type);
    put(headers, CONTENT_DIGEST, &digest);
    put(headers, ETAG, &format!("\"{digest}\""));
}

/// A manifest whose bytes have their room. Where there is none now, they are dropped and read again when there is.
async fn read(
    x: &Exchange<'_>,
    permit: &Permit<Pull>,
    reference: &Reference,
) -> Result<StoredManifest, Refusal> {
    let room = &x.server.manifests;
    let mut manifest = x.server.registry.manifest(permit, reference).await?;
    let bytes = manifest.body.len();
    let seat = if let Some(seat) = room.try_take(bytes) {
        seat
    } else {
        drop(manifest);
        let seat = room.take(bytes).await.map_err(|_| Error::Busy)?;
        manifest = x.server.registry.manifest(permit, reference).await?;
        seat
    };
    manifest.body = seat.hold(manifest.body);
    Ok(manifest)
}

/// The document, read up to the limit.
async fn document(x: &Exchange<'_>, body: &mut ClientBody) -> Result<bytes::Bytes, Refusal> {
    let max = x.server.registry.rules().manifest_bytes_max;
    let declared: Option<u64> = x.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
    if declared.is_some_and(|declared| declared > max) {
        return Err(Error::ManifestTooLarge { max }.into());
    }
    let Some(stream) = body.take() else {
        return Ok(bytes::Bytes::new());
    };
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    // Without a length it could be of any size up to the limit.
    let seat = x.server.manifests.take(bytes(declared.unwrap_or(max))).await;
    let seat = seat.map_err(|_| Error::Busy)?;
    match stream.collect(bytes(declared.unwrap_or(0)), max).await {
        // The seat is held until the push is answered: the bytes go all the way to the catalog.
        Ok(Some(bytes)) => Ok(seat.shrink(bytes.len()).hold(bytes)),
        Ok(None) => Err(Error::ManifestTooLarge { max }.into()),
        Err(registry::BodyCut) => Err(Error::BodyCut.into()),
    }
}

fn tag_parameters(x: &Exchange<'_>) -> Result<Vec<Tag>, Refusal> {
    let mut tags: Vec<Tag> = Vec::new();
    for (text, count) in x.query.all("tag").zip(1..) {
        if count > TAGS_MAX {
            return Err(Refusal::TooManyTags);
        }
        let bad = |bad: oci::BadName| Refusal::Bad {
            code: Code::TagInvalid,
            message: bad.to_string(),
        };
        let tag: Tag = text.parse().map_err(bad)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// A condition on the tag. One that we cannot read as a digest can never hold.
fn precondition(x: &Exchange<'_>, reference: &Reference) -> Precondition {
    if matches!(reference, Reference::Digest(_)) {
        return Precondition::None;
    }
    let none_match = x.header(IF_NONE_MATCH).map(str::trim);
    let wanted = x.header(IF_MATCH).map(|text| text.trim().trim_matches('"'));
    match (none_match, wanted) {
        (Some("*"), _) => Precondition::TagAbsent,
        (_, Some(text)) => match text.parse() {
            Ok(digest) => Precondition::TagIs(digest),
            Err(_) => Precondition::TagIs(Digest::Sha256([0; 32])),
        },
        _ => Precondition::None,
    }
}

/// A client that asks for a Docker list by tag, and says that it knows single Docker images only.
fn wants_single_image(x: &Exchange<'_>, reference: &Reference, media_type: &str) -> bool {
    if media_type != media_types::DOCKER_LIST || !matches!(reference, Reference::Tag(_)) {
        return false;
    }
    let lines = x
        .head
        .headers
        .get_all(ACCEPT)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    let accepted: Vec<&str> = lines
        .flat_map(|line| line.split(','))
        .map(|one| one.split(';').next().unwrap_or_default().trim())
        .collect();
    let knows_lists = |one: &&str| *one == "*/*" || MediaType::parse(one).is_some_and(MediaType::is_index);
    accepted.contains(&media_types::DOCKER_MANIFEST) && !accepted.iter().any(knows_lists)
}

/// The linux/amd64 child of a list; the list itself where it has none.
async fn single_image(
    x: &Exchange<'_>,
    permit: &Permit<Pull>,
    reference: &Reference,
) -> Result<StoredManifest, Refusal> {
    let list = read(x, permit, reference).await?;
    let parsed = Manifest::parse(&list.body, Some(&list.stat.media_type)).map_err(Error::from)?;
    let child = parsed.manifests.iter().find(|child| {
        child
            .platform
            .as_ref()
            .is_some_and(|on| on.os == "linux" && on.architecture == "amd64")
    });
    match child {
        Some(child) => Ok(read(x, permit, &Reference::Digest(child.digest.clone())).await?),
        None => Ok(list),
    }
}
