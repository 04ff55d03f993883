//! The tags of a repository.
//!
//! Source: distribution-spec "Listing Tags" (end-8).

use access::Pull;
use http::Response;
use oci::RepositoryName;
use serde::Serialize;

use super::base::document;
use super::page::{self, Wanted};
use super::{Exchange, json};
use crate::body::Body;
use crate::v2::refusal::Refusal;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: Vec<String>,
}

/// end-8: `GET /v2/<name>/tags/list?n=&last=` -> 200 in byte order, `Link` if there are more; 404 NAME_UNKNOWN, 400.
pub(crate) async fn list(x: &Exchange<'_>, name: &RepositoryName) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let wanted = Wanted::read(&x.query, x.server.options.tags_max)?;
    let mut page = x.server.registry.tags(&permit, wanted.last, wanted.n).await?;
    if wanted.n == Some(0) {
        page.more = false;
    }
    let last = page.tags.last().filter(|_| page.more).cloned();
    let mut response = json(
        document(&Tags {
            name,
            tags: page.tags,
        }),
        "application/json",
    );
    if let (Some(n), Some(last)) = (wanted.n, last) {
        let path = x.server.origin.path(&format!("/v2/{name}/tags/list"));
        page::next(
            response.headers_mut(),
            &path,
            &[("n", &n.to_string()), ("last", &last)],
        );
    }
    Ok(response)
}
