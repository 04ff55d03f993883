//! What every request needs: the domain, who may come in, how links are made, and the limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use access::Authenticator;
use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use registry::Registry;

use crate::access_log::AccessLog;
use crate::health::Health;
use crate::lanes::Lanes;
use crate::metrics::Metrics;
use crate::origin::Origin;
use crate::read_pool::ReadPool;
use crate::room::Room;
use crate::v2::state::StateKey;

/// Everything that handlers share. A clone shares the domain, the key, the pools, the lanes and what is known of the state.
#[derive(Clone)]
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
    /// What is counted, where somebody asks for it.
    pub metrics: Option<Arc<Metrics>>,
    /// One line for each request.
    pub access_log: AccessLog,
    /// Limits and additions.
    pub options: Options,
    /// Where connections live.
    pub lanes: Lanes,
    /// Set when the server is going down.
    pub closing: Arc<AtomicBool>,
}

/// Limits, and what is added to answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http.headers`: on every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `catalog.maxentries`.
    pub catalog_entries_max: usize,
    /// `backup.to`: where backups go, and the only place that may be named over HTTP.
    pub backup_to: Option<PathBuf>,
    /// `admin.users`: who may work with the admin API, with their login.
    pub admins: Vec<String>,
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
            backup_to: None,
            admins: Vec::new(),
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

/// The context of the moment: a reload replaces it, and each request keeps the one that it began with.
pub struct Live(ArcSwap<Context>);

impl Live {
    /// Begins with this context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self(ArcSwap::from_pointee(context))
    }

    /// The context for a request that begins now.
    #[must_use]
    pub fn now(&self) -> Arc<Context> {
        self.0.load_full()
    }

    /// Replaces it for all requests to come.
    pub fn replace(&self, context: Context) {
        self.0.store(Arc::new(context));
    }
}

impl Context {
    /// True once the server is going down: new requests are refused.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}
