//! `n`, `last` and `Link`: how lists are cut into pages; and the memory that a page may take.
//!
//! A document of more than [`SMALL`](crate::room::SMALL) bytes is sent from a seat in the room that all connections
//! share, and keeps it until the client has taken it.
//! Source: distribution-spec "Listing Tags" (`n`, `last`); RFC 8288 for `Link`.

use bytes::Bytes;
use http::{HeaderMap, Response};
use oci::Code;

use crate::body::Body;
use crate::v2::query::{Query, encode};
use crate::v2::refusal::Refusal;

/// What a client asks of a list.
pub(crate) struct Wanted {
    /// At most so many entries; none leaves it to the list.
    pub(crate) n: Option<usize>,
    /// After this one; it need not exist.
    pub(crate) last: Option<String>,
}

impl Wanted {
    /// Reads `n` and `last`. A larger `n` than `max` is cut to it. Fails: `n` that is no number.
    pub(crate) fn read(query: &Query, max: usize) -> Result<Self, Refusal> {
        let n = match query.get("n") {
            None => None,
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                Some(text.parse().unwrap_or(usize::MAX).min(max))
            }
            Some(text) => {
                let shown: String = text.chars().take(40).collect();
                return Err(Refusal::Bad {
                    code: Code::PaginationNumberInvalid,
                    message: format!("n must be a number of entries, 0 or more, not {shown:?}"),
                });
            }
        };
        Ok(Self {
            n,
            last: query.get("last").map(str::to_owned),
        })
    }
}

/// The answer with a list.
pub(crate) fn answer(document: Bytes, media_type: &'static str) -> Response<Body> {
    let mut response = super::json(Vec::new(), media_type);
    *response.body_mut() = document.into();
    response
}

/// Points to the next page.
pub(crate) fn next(headers: &mut HeaderMap, path: &str, parameters: &[(&str, &str)]) {
    let query: Vec<String> = parameters
        .iter()
        .map(|(key, value)| format!("{key}={}", encode(value)))
        .collect();
    super::put(
        headers,
        http::header::LINK,
        &format!("<{path}?{}>; rel=\"next\"", query.join("&")),
    );
}
