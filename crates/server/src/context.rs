//! What every request needs: the domain, who may come in, how links are made, and the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::Authenticator;
use http::{HeaderName, HeaderValue};
use registry::Registry;

use crate::access_log::AccessLog;
use crate::body::ReadPool;
use crate::health::Health;
use crate::origin::Origin;
use crate::room::Room;
use crate::v2::state::StateKey;

/// Everything that handlers share.
pub struct Context {
    /// The domain.
    pub registry: Registry,
    /// Who may come in.
    pub access: Authenticator,
    /// How links to us are made.
    pub origin: Origin,
    /// Signs where uploads stand.
    pub states: StateKey,
    /// Memory for blobs on their way out.
    pub reads: ReadPool,
    /// Memory for large manifests on their way in and out.
    pub manifests: Room,
    /// Whether the registry is fit to serve.
    pub health: Arc<Health>,
    /// One line for each request.
    pub access_log: AccessLog,
    /// Limits and additions.
    pub options: Options,
    /// Set when the server is going down.
    pub closing: AtomicBool,
}

/// Limits, and what is added to answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http.headers`: on every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `catalog.maxentries`.
    pub catalog_entries_max: usize,
    /// `tags.maxtags`.
    pub tags_max: usize,
    /// A request's body may pause for so long.
    pub idle_body: Duration,
    /// A connection on which no byte moves for so long is closed.
    pub idle_connection: Duration,
    /// A request's head must be complete after so long.
    pub head_time: Duration,
    /// Most connections at once; more wait in the listener's queue.
    pub connections_max: usize,
    /// Cleartext HTTP/2 by prior knowledge.
    pub h2c: bool,
    /// `http.draintimeout`: how long running requests may take after the order to stop.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            catalog_entries_max: 1000,
            tags_max: 1000,
            idle_body: Duration::from_mins(1),
            idle_connection: Duration::from_mins(2),
            head_time: Duration::from_mins(1),
            connections_max: 4096,
            h2c: true,
            drain: Duration::from_secs(30),
        }
    }
}

impl Context {
    /// True once the server is going down: new requests are refused.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}
