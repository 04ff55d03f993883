//! What endpoints take: parameters of the query, a page of a list, a JSON body.
//!
//! Fails: 400 (415 where a body is not said to be JSON), with what is wrong and what is right; a page of another site in a browser gets 403.

use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BODY_BYTES_MAX, Refusal};
use crate::v2::query::Query;

/// The JSON body. An empty one counts as `{}`; what does not fit the `Doc` was refused before.
#[derive(Clone, Debug)]
pub struct Given<T>(pub T);

/// What varies in the path, without percent-escapes.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// The parameters of the query. Those that the endpoint's `Doc` does not name were refused before.
#[derive(Debug)]
pub struct Params(Query);

/// Which part of a list is wanted.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many items at most.
    pub limit: usize,
    after: Option<String>,
}

impl Params {
    /// A parameter, if it is there.
    pub fn get<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error| Refusal::bad(format!("the parameter `{name}` cannot be {text:?}: {error}")))
        };
        self.0.get(name).map(parse).transpose()
    }

    /// A parameter that is a whole number within these bounds, if it is there.
    pub fn number(&self, name: &str, bounds: RangeInclusive<usize>) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.0.get(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = bounds.into_inner();
            Refusal::bad(format!(
                "the parameter `{name}` cannot be {text:?}: it is a whole number from {least} to {most}"
            ))
        })
    }
}

impl Page {
    /// Most items of one page.
    pub const LIMIT_MAX: usize = 1000;
    const LIMIT_DEFAULT: usize = 100;

    fn read(params: &Params) -> Result<Self, Refusal> {
        let limit = params.number("limit", 1..=Self::LIMIT_MAX)?;
        Ok(Self {
            limit: limit.unwrap_or(Self::LIMIT_DEFAULT),
            after: params.get("after")?,
        })
    }

    /// Where the page before ended, as its `Listing::new` was told; none for the first page.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Refusal> {
        let Some(text) = &self.after else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| Refusal::bad("`after` takes what `next` of the page before says, and nothing else"))
    }

    pub(super) fn cursor(key: &impl Serialize) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(Query::read(parts.uri.query())))
    }
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::read(&Params(Query::read(parts.uri.query())))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Refusal::bad(format!("{} cannot be read", parts.uri.path()))),
        }
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let most = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = axum::body::to_bytes(request.into_body(), most)
            .await
            .map_err(|_| Refusal::too_large(BODY_BYTES_MAX))?;
        json(&bytes).map(Self)
    }
}

/// The value that a body is.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| {
        let said = error.to_string();
        // Of what fits its schema, only a field that stands twice is no value; all else would be told in Rust's words.
        if error.is_data() && !said.starts_with("duplicate field") {
            return Refusal::bad("the body does not fit this path: /api/v1/openapi.json says what it takes");
        }
        if error.is_eof() {
            let (line, column) = (error.line(), error.column());
            return Refusal::bad(format!(
                "the JSON of the body ends too early, at line {line} column {column}"
            ));
        }
        Refusal::bad(format!("the body is not JSON that can be used: {said}"))
    })
}

/// Every `%` begins an escape, and together they are UTF-8 without control characters: no name here has any.
pub(super) fn check_escapes(what: &str, text: &str) -> Result<(), Refusal> {
    let bad = |why: &str| Refusal::bad(format!("the {what} of the request cannot be read: {why}"));
    let hex = |text: Option<&str>| text.and_then(|hex| u8::from_str_radix(hex, 16).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    decoded.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        // A sign is none of the digits, though a number may have one.
        let byte = hex(piece.get(..2).filter(|hex| !hex.starts_with('+')));
        let byte = byte.ok_or_else(|| {
            let begun: String = piece.chars().take(2).collect();
            bad(&format!(
                "%{begun} is no percent-escape, which has two hexadecimal digits"
            ))
        })?;
        decoded.push(byte);
        decoded.extend_from_slice(&piece.as_bytes()[2..]);
    }
    match String::from_utf8(decoded) {
        Err(_) => Err(bad("its percent-escapes are no UTF-8")),
        Ok(text) if text.contains(char::is_control) => Err(bad("there is a control character in it")),
        Ok(_) => Ok(()),
    }
}

/// A body is JSON, and says so: a form of a web page cannot.
pub(super) fn check_is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok());
    let kind = said.unwrap_or_default().split(';').next().unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::no_json(match said {
        Some(said) => format!("the body is {said:?}: send JSON, and `Content-Type: application/json`"),
        None => "the body has no Content-Type: send JSON, and `Content-Type: application/json`".to_owned(),
    }))
}

/// A browser that keeps the login must not do what a page of another site makes it ask for.
/// Source: Fetch Metadata Request Headers.
pub(super) fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refusal::other_site()),
    }
}
