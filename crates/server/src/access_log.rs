//! One line for each request, when its answer begins.
//!
//! No query, no credentials: a query may carry a signature, and a password never reaches a log.
//! Source: `log.accesslog` of the CNCF registry; the combined log format of Apache.

use std::sync::Arc;
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::origin::Peer;
use crate::v2::Told;

/// How requests are logged.
#[derive(Clone)]
pub enum AccessLog {
    /// Not at all.
    Off,
    /// As events of the log, in its format.
    Events,
    /// In combined log format, each line to this writer, which must not wait.
    Combined(Arc<dyn Fn(&str) + Send + Sync>),
}

/// What is known of a request before it is handled.
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) agent: String,
    pub(crate) referer: String,
    pub(crate) client: Peer,
}

impl Line {
    pub(crate) fn new(
        method: &Method,
        path: &str,
        version: Version,
        headers: &HeaderMap,
        client: Peer,
    ) -> Self {
        let text = |name| {
            let value: Option<&http::HeaderValue> = headers.get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or("-")
                .chars()
                .take(200)
                .collect()
        };
        Self {
            method: method.clone(),
            path: path.chars().take(500).collect(),
            version,
            agent: text(USER_AGENT),
            referer: text(REFERER),
            client,
        }
    }
}

impl AccessLog {
    pub(crate) fn write(&self, line: &Line, told: &Told, status: StatusCode, bytes: u64, took: Duration) {
        let user = told.user.as_deref().unwrap_or("-");
        let client = match line.client {
            Peer::Ip(ip) => ip.to_canonical().to_string(),
            Peer::Local => "-".to_owned(),
        };
        match self {
            Self::Off => {}
            Self::Events => {
                let route = told.route.as_ref().map_or("-", |route| route.label());
                let repo = told
                    .route
                    .as_ref()
                    .and_then(|route| route.repository())
                    .map_or("-", |name| &**name);
                tracing::info!(
                    target: "access",
                    client,
                    user,
                    method = %line.method,
                    path = line.path,
                    route,
                    repo,
                    status = status.as_u16(),
                    bytes,
                    dur_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    ua = line.agent,
                    "request"
                );
            }
            Self::Combined(write) => {
                let now = jiff::Timestamp::now()
                    .strftime("%d/%b/%Y:%H:%M:%S +0000")
                    .to_string();
                let quoted = |text: &str| text.replace(['"', '\\'], "_");
                let entry = format!(
                    "{client} - {} [{now}] \"{} {} {:?}\" {} {bytes} \"{}\" \"{}\"\n",
                    quoted(user),
                    line.method,
                    quoted(&line.path),
                    line.version,
                    status.as_u16(),
                    quoted(&line.referer),
                    quoted(&line.agent),
                );
                write(&entry);
            }
        }
    }
}
