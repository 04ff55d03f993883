//! The tags of a repository.
//!
//! A list that is wanted whole is made from many short looks at the catalog, into memory that was weighed and waited for
//! before. A tag that is there all the while is on it. Fails: 503 where a large list found no room in memory in time.
//! Source: distribution-spec "Listing Tags" (end-8).

use access::{Permit, Pull};
use bytes::Bytes;
use http::Response;
use oci::RepositoryName;
use registry::Error;
use serde::Serialize;

use super::Exchange;
use super::base::document;
use super::page::{self, Wanted};
use crate::body::Body;
use crate::room::Admitted;
use crate::v2::refusal::Refusal;

/// Tags of one look at a list that is wanted whole: even the longest together are too small to be counted.
const AT_ONCE: usize = 400;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: &'a [String],
}

/// end-8: `GET /v2/<name>/tags/list?n=&last=` -> 200 in byte order, `Link` if there are more; 404 NAME_UNKNOWN, 400.
pub(crate) async fn list(x: &Exchange<'_>, name: &RepositoryName) -> Result<Response<Body>, Refusal> {
    let permit = x.caller.may(Pull, name)?;
    let wanted = Wanted::read(&x.query, x.server.options.tags_max)?;
    let Some(n) = wanted.n else {
        let whole = whole(x, &permit, wanted.last).await?;
        return Ok(page::answer(whole, "application/json"));
    };
    let (page, last) = some(x, &permit, wanted.last.clone(), n).await?;
    let (page, last) = match x.server.manifests.admit(page).await.map_err(|_| Error::Busy)? {
        Admitted::Now(page) => (page, last),
        Admitted::Again(seat) => {
            let (page, last) = some(x, &permit, wanted.last, n).await?;
            (seat.hold(page.into()), last)
        }
    };
    let mut response = page::answer(page, "application/json");
    if let Some(last) = last {
        let path = x.server.origin.path(&format!("/v2/{name}/tags/list"));
        let parameters = [("n", &*n.to_string()), ("last", &*last)];
        page::next(response.headers_mut(), &path, &parameters);
    }
    Ok(response)
}

/// A page of at most `n` tags, and its last one if there are more.
async fn some(
    x: &Exchange<'_>,
    permit: &Permit<Pull>,
    last: Option<String>,
    n: usize,
) -> Result<(Vec<u8>, Option<String>), Refusal> {
    let page = x.server.registry.tags(permit, last, Some(n)).await?;
    let last = page.tags.last().filter(|_| page.more && n > 0).cloned();
    let tags = Tags {
        name: permit.repository(),
        tags: &page.tags,
    };
    Ok((document(&tags), last))
}

/// All tags after `last`.
async fn whole(x: &Exchange<'_>, permit: &Permit<Pull>, last: Option<String>) -> Result<Bytes, Refusal> {
    let (registry, name) = (&x.server.registry, permit.repository());
    let first = registry.tags(permit, last.clone(), Some(AT_ONCE)).await?;
    if !first.more {
        let tags = &first.tags;
        return Ok(document(&Tags { name, tags }).into());
    }
    drop(first);
    let empty = document(&Tags { name, tags: &[] });
    let bytes = empty.len() + registry.weigh_tags(permit, last.clone()).await?;
    let seat = x.server.manifests.take(bytes).await.map_err(|_| Error::Busy)?;
    let mut whole = Vec::with_capacity(bytes);
    whole.extend_from_slice(empty.strip_suffix(b"]}").unwrap_or_default());
    let (mut last, mut comma) = (last, "");
    loop {
        let page = registry.tags(permit, last, Some(AT_ONCE)).await?;
        for tag in &page.tags {
            // Nothing in the grammar of tags is written in another way in JSON.
            for part in [comma, "\"", tag, "\""] {
                whole.extend_from_slice(part.as_bytes());
            }
            comma = ",";
        }
        last = page.tags.last().cloned();
        if !page.more || last.is_none() {
            break;
        }
    }
    whole.extend_from_slice(b"]}");
    Ok(seat.hold(whole.into()))
}
