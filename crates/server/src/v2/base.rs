//! The root of the API, the list of repositories, and the list of extensions.
//!
//! Source: distribution-spec "Determining Support" (end-1), "Extensions"; the catalog list of the CNCF registry.

use http::Response;
use registry::Error;
use serde::Serialize;

use super::page::{self, Wanted};
use super::{Exchange, json};
use crate::body::Body;
use crate::room::Admitted;
use crate::v2::refusal::Refusal;

/// Entries of a catalog page where the client does not say.
const CATALOG_DEFAULT: usize = 100;

/// end-1: `GET|HEAD /v2/` -> 200 for who is let in.
pub(crate) fn ping() -> Response<Body> {
    json(b"{}".to_vec(), "application/json")
}

/// `GET /v2/_oci/ext/discover` -> 200 with no extensions.
pub(crate) fn extensions() -> Response<Body> {
    json(br#"{"extensions":[]}"#.to_vec(), "application/json")
}

#[derive(Serialize)]
struct Repositories {
    repositories: Vec<String>,
}

/// `GET /v2/_catalog?n=&last=` -> 200 with the repositories that the caller may pull; 400.
pub(crate) async fn catalog(x: &Exchange<'_>) -> Result<Response<Body>, Refusal> {
    let wanted = Wanted::read(&x.query, x.server.options.catalog_entries_max)?;
    let n = wanted
        .n
        .unwrap_or(CATALOG_DEFAULT.min(x.server.options.catalog_entries_max));
    let (page, last) = repositories(x, wanted.last.clone(), n).await?;
    let (page, last) = match x.server.manifests.admit(page).await.map_err(|_| Error::Busy)? {
        Admitted::Now(page) => (page, last),
        Admitted::Again(seat) => {
            let (page, last) = repositories(x, wanted.last, n).await?;
            (seat.hold(page.into()), last)
        }
    };
    let mut response = page::answer(page, "application/json");
    if let Some(last) = last {
        let path = x.server.origin.path("/v2/_catalog");
        page::next(
            response.headers_mut(),
            &path,
            &[("n", &n.to_string()), ("last", &last)],
        );
    }
    Ok(response)
}

/// A page of at most `n` repositories, and its last one if there are more.
async fn repositories(
    x: &Exchange<'_>,
    last: Option<String>,
    n: usize,
) -> Result<(Vec<u8>, Option<String>), Refusal> {
    let (repositories, more) = match n {
        0 => (Vec::new(), false),
        n => x.server.registry.repositories(&x.caller, last, n).await?,
    };
    let last = repositories.last().filter(|_| more).cloned();
    Ok((document(&Repositories { repositories }), last))
}

/// A document of ours as JSON. Strings and numbers only, so it cannot fail.
pub(crate) fn document(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
