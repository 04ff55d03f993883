//! What refers to a manifest: signatures, SBOMs, attestations.
//!
//! Never 404, also for an unknown repository or subject: clients take that for "not supported". Fails: 503 where a large
//! page found no room in memory in time.
//! Source: distribution-spec "Listing Referrers" (end-12).

use std::sync::Arc;

use access::{Permit, Pull};
use catalog_entry::Entry;
use http::Response;
use oci::{Digest, RepositoryName, media_types};
use registry::{Error, Referrers, ReferrersPage, ReferrersWanted};
use serde::Serialize;

use super::page::{self, Wanted};
use super::{Exchange, put};
use crate::body::Body;
use crate::room::{SMALL, Seat};
use crate::v2::refusal::Refusal;

/// Clients stop reading a little above 4 MiB, and some read only the first page: it is as full as fits.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 16 * 1024;
/// Most entries of a page.
const PAGE_ENTRIES_MAX: usize = 20_000;
/// What a page takes of the room for each of its bytes while it is made: its entries, and the document.
const PAGE_WEIGHT: usize = 2;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry<'a>>,
}

/// end-12: `GET /v2/<name>/referrers/<digest>?artifactType=&n=` -> 200, always; 400 DIGEST_INVALID.
pub(crate) async fn list(
    x: &Exchange<'_>,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let wanted = Wanted::read(&x.query, PAGE_ENTRIES_MAX)?;
    let types = x.query.all("artifactType").filter(|text| !text.is_empty());
    let wanted = ReferrersWanted {
        subject: subject.clone(),
        types: types.map(str::to_owned).collect(),
        after: wanted.last.as_deref().and_then(|last| last.parse().ok()),
        limit: wanted.n.filter(|&n| n > 0).unwrap_or(PAGE_ENTRIES_MAX),
        bytes_max: PAGE_BYTES_MAX,
        heavy: SMALL,
    };
    let (limit, types) = (wanted.limit, wanted.types.clone());
    let (page, seat, bytes) = read(x, &permit, wanted).await?;
    let next = page.next;
    let index = Index {
        schema_version: 2,
        media_type: media_types::OCI_INDEX,
        manifests: page.entries.iter().map(Entry::from).collect(),
    };
    let mut document = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut document, &index).map_err(|error| Error::Interrupted(error.to_string()))?;
    drop(index);
    drop(page);
    let document = seat.shrink(document.len()).hold(document.into());
    let mut response = page::answer(document, media_types::OCI_INDEX);
    if !types.is_empty() {
        put(response.headers_mut(), "oci-filters-applied", "artifactType");
    }
    if let Some(next) = next {
        let path = x.server.origin.path(&format!("/v2/{name}/referrers/{subject}"));
        let (limit, next) = (limit.to_string(), next.to_string());
        let mut parameters = vec![("n", limit.as_str()), ("last", next.as_str())];
        parameters.extend(types.iter().map(|text| ("artifactType", text.as_str())));
        page::next(response.headers_mut(), &path, &parameters);
    }
    Ok(response)
}

/// A page, the room that it has in memory, and about how many bytes it takes. A large one is weighed first, and read
/// when there is room for it.
async fn read(
    x: &Exchange<'_>,
    permit: &Permit<Pull>,
    mut wanted: ReferrersWanted,
) -> Result<(Arc<ReferrersPage>, Seat, usize), Refusal> {
    let registry = &x.server.registry;
    let bytes = match registry.referrers(permit, wanted.clone()).await? {
        Referrers::Page(page) => return Ok((page, Seat::uncounted(), SMALL)),
        Referrers::Heavy { bytes } => bytes,
    };
    let seat = x.server.manifests.take(bytes.saturating_mul(PAGE_WEIGHT)).await;
    let seat = seat.map_err(|_| Error::Busy)?;
    (wanted.bytes_max, wanted.heavy) = (bytes.min(PAGE_BYTES_MAX), bytes);
    match registry.referrers(permit, wanted).await? {
        Referrers::Page(page) => Ok((page, seat, bytes)),
        // Its first entry went, and the next one is alone larger than all that was weighed.
        Referrers::Heavy { .. } => Err(Error::Busy.into()),
    }
}

mod catalog_entry {
    //! One descriptor of the list.

    use registry::Referrer;
    use serde::Serialize;
    use serde_json::value::RawValue;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Entry<'a> {
        media_type: &'a str,
        digest: String,
        size: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        artifact_type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<&'a RawValue>,
    }

    impl<'a> From<&'a Referrer> for Entry<'a> {
        fn from(referrer: &'a Referrer) -> Self {
            Self {
                media_type: &referrer.media_type,
                digest: referrer.digest.to_string(),
                size: referrer.size,
                artifact_type: referrer.artifact_type.as_deref(),
                // Written by us when the manifest was pushed, so it is JSON.
                annotations: referrer
                    .annotations
                    .as_deref()
                    .and_then(|text| serde_json::from_str(text).ok()),
            }
        }
    }
}
