//! What endpoints take: parameters of the query, a page of a list, a JSON body.
//!
//! Fails: 400, with what is wrong and what is right; a page of another site in a browser gets 403.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BODY_BYTES_MAX, Refusal};
use crate::v2::query::Query;

/// The JSON body. An empty one counts as `{}`.
#[derive(Clone, Debug)]
pub struct Given<T>(pub T);

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
}

impl Page {
    /// Most items of one page.
    pub const LIMIT_MAX: usize = 1000;
    const LIMIT_DEFAULT: usize = 100;

    fn read(params: &Params) -> Result<Self, Refusal> {
        let limit = params.get("limit")?.unwrap_or(Self::LIMIT_DEFAULT);
        if !(1..=Self::LIMIT_MAX).contains(&limit) {
            let most = Self::LIMIT_MAX;
            return Err(Refusal::bad(format!(
                "`limit` cannot be {limit}: it is 1 to {most}"
            )));
        }
        Ok(Self {
            limit,
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

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let most = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = axum::body::to_bytes(request.into_body(), most)
            .await
            .map_err(|_| Refusal::too_large(BODY_BYTES_MAX))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        match serde_json::from_slice(text) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(Refusal::bad(format!(
                "the JSON of the request cannot be used: {error}"
            ))),
        }
    }
}

/// A body is JSON, and says so: a form of a web page cannot.
pub(super) fn check_is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok());
    let kind = said.unwrap_or_default().split(';').next().unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::bad(match said {
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
