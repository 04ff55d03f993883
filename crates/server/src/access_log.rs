//! One entry for each request, when its answer begins.
//!
//! No query, no credentials: a query may carry a signature, and a password never reaches a log. How an entry looks is the
//! business of whoever keeps the log. Source: `log.accesslog` of the CNCF registry.

use std::sync::Arc;
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version};

use crate::origin::Peer;
use crate::v2::Told;
use crate::v2::route::Route;

/// Most of a header that is logged, in bytes.
const HEADER_MAX: usize = 200;
/// Most of a path that is logged, in bytes.
const PATH_MAX: usize = 500;

/// How requests are logged.
#[derive(Clone)]
pub enum AccessLog {
    /// Not at all.
    Off,
    /// Here.
    On(Arc<dyn Journal>),
}

/// Keeps entries. It must not wait.
pub trait Journal: Send + Sync {
    /// One request.
    fn keep(&self, entry: &Entry<'_>);
}

/// What is told of a request.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who sent it; none over a unix socket.
    pub client: Option<std::net::IpAddr>,
    /// Who they proved to be, if anybody.
    pub user: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The path, without the query, at most 500 bytes.
    pub path: &'a str,
    /// The version of HTTP.
    pub version: Version,
    /// What the path leads to, without names; `-` for none.
    pub route: &'static str,
    /// The repository that it is about, if it is about one.
    pub repository: Option<&'a str>,
    /// The status of the answer.
    pub status: StatusCode,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// From the head of the request to the head of the answer.
    pub took: Duration,
    /// `User-Agent`, at most 200 bytes; `-` for none.
    pub agent: &'a str,
    /// `Referer`, likewise.
    pub referer: &'a str,
}

/// What is known of a request before it is handled.
pub(crate) struct Asked {
    pub(crate) method: Method,
    uri: Uri,
    version: Version,
    agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    client: Peer,
}

impl Asked {
    pub(crate) fn new<B>(request: &Request<B>, client: Peer) -> Self {
        let header = |name| request.headers().get(name).cloned();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            agent: header(USER_AGENT),
            referer: header(REFERER),
            client,
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}

impl AccessLog {
    pub(crate) fn write(&self, asked: &Asked, told: &Told, status: StatusCode, bytes: u64, took: Duration) {
        let Self::On(journal) = self else { return };
        let route = told.route.as_ref();
        journal.keep(&Entry {
            client: match asked.client {
                Peer::Ip(ip) => Some(ip.to_canonical()),
                Peer::Local => None,
            },
            user: told.user.as_deref(),
            method: &asked.method,
            path: cut(asked.uri.path(), PATH_MAX),
            version: asked.version,
            route: route.map(Route::label).or(told.endpoint).unwrap_or("-"),
            repository: route.and_then(|route| route.repository()).map(|name| &**name),
            status,
            bytes,
            took,
            agent: text(asked.agent.as_ref()),
            referer: text(asked.referer.as_ref()),
        });
    }
}

fn text(header: Option<&HeaderValue>) -> &str {
    let text = header.and_then(|value| value.to_str().ok());
    text.map_or("-", |text| cut(text, HEADER_MAX))
}

/// As much of a text as whole characters fit.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
