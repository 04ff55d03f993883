//! What refers to a manifest: signatures, SBOMs, attestations.
//!
//! Never 404, also for an unknown repository or subject: clients take that for "not supported".
//! Source: distribution-spec "Listing Referrers" (end-12).

use access::Pull;
use catalog_entry::Entry;
use http::Response;
use oci::{Digest, RepositoryName, media_types};
use serde::Serialize;

use super::base::document;
use super::page::{self, Wanted};
use super::{Exchange, json, put};
use crate::body::Body;
use crate::v2::refusal::Refusal;

/// Clients stop reading a little above 4 MiB, and some read only the first page: it is as full as fits.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 16 * 1024;
/// Most entries of a page.
const PAGE_ENTRIES_MAX: usize = 20_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

/// end-12: `GET /v2/<name>/referrers/<digest>?artifactType=&n=` -> 200, always; 400 DIGEST_INVALID.
pub(crate) async fn list(
    x: &Exchange<'_>,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let wanted = Wanted::read(&x.query, PAGE_ENTRIES_MAX)?;
    let limit = wanted.n.filter(|&n| n > 0).unwrap_or(PAGE_ENTRIES_MAX);
    let after = wanted.last.as_deref().and_then(|last| last.parse().ok());
    let types: Vec<String> = x
        .query
        .all("artifactType")
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    let page = x
        .server
        .registry
        .referrers(&permit, subject, types.clone(), after, PAGE_BYTES_MAX, limit)
        .await?;
    let index = Index {
        schema_version: 2,
        media_type: media_types::OCI_INDEX,
        manifests: page.entries.into_iter().map(Entry::from).collect(),
    };
    let mut response = json(document(&index), media_types::OCI_INDEX);
    if !types.is_empty() {
        put(response.headers_mut(), "oci-filters-applied", "artifactType");
    }
    if let Some(next) = page.next {
        let path = x.server.origin.path(&format!("/v2/{name}/referrers/{subject}"));
        let (limit, next) = (limit.to_string(), next.to_string());
        let mut parameters = vec![("n", limit.as_str()), ("last", next.as_str())];
        parameters.extend(types.iter().map(|text| ("artifactType", text.as_str())));
        page::next(response.headers_mut(), &path, &parameters);
    }
    Ok(response)
}

mod catalog_entry {
    //! One descriptor of the list.

    use registry::Referrer;
    use serde::Serialize;
    use serde_json::value::RawValue;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Entry {
        media_type: String,
        digest: String,
        size: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        artifact_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Box<RawValue>>,
    }

    impl From<Referrer> for Entry {
        fn from(referrer: Referrer) -> Self {
            Self {
                media_type: referrer.media_type,
                digest: referrer.digest.to_string(),
                size: referrer.size,
                artifact_type: referrer.artifact_type,
                // Written by us when the manifest was pushed, so it is JSON.
                annotations: referrer
                    .annotations
                    .and_then(|text| RawValue::from_string(text).ok()),
            }
        }
    }
}
