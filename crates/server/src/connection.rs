//! One connection: HTTP/1.1, HTTP/2 over TLS or by prior knowledge, each request to where it belongs.
//!
//! Limits: a head of 64 KiB and 100 headers (431), a time for it, an idle time for everything. A request that panics
//! gets a 500; the others on the connection go on.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tower_service::Service;

use crate::access_log::Asked;
use crate::admin::{self, Door};
use crate::body::Body;
use crate::context::{Context, Live};
use crate::linger::Farewell;
use crate::metrics::Metrics;
use crate::origin::Peer;
use crate::outlet::Shortcuts;
use crate::pages;
use crate::patience::{Patient, Working};
use crate::speech::{Opened, Stream};
use crate::v2::{self, Told};

/// Request line and headers together.
const HEAD_BYTES_MAX: usize = (64 + 16) * 1024;
/// A window in which a client may send ahead.
const WINDOW_BYTES: u32 = 512 * 1024;

/// How connections are spoken to.
fn protocol(context: &Context, h2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(context.options.head_time)
        .writev(true) // what an outlet needs: slices are passed on, never copied together
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(64)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(context.options.head_time)
        .keep_alive_timeout(context.options.head_time);
    if h2 { builder } else { builder.http1_only() }
}

/// What is served beside `/v2/`.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) public: axum::Router,
    pub(crate) admin: axum::Router,
}

/// Who has connected, and what its requests need.
pub(crate) struct Caller {
    pub(crate) live: Arc<Live>,
    pub(crate) pages: Pages,
    pub(crate) peer: Peer,
    pub(crate) door: Door,
    pub(crate) watcher: Watcher,
}

impl Caller {
    /// Answers requests until the connection ends, or the server goes down and the running ones are done. The stream is
    /// given back, with its write side shut down, where the client may not have sent all that it wants to.
    pub(crate) async fn converse(self, opened: Opened) -> Option<Box<dyn Stream>> {
        let context = self.live.now();
        let Opened {
            stream,
            shortcuts,
            beside,
            h2,
        } = opened;
        let h2 = h2.unwrap_or(context.options.h2c);
        let (working, farewell) = (Working::default(), Farewell::default());
        let io = TokioIo::new(Patient::new(
            stream,
            context.options.idle_connection,
            working.clone(),
            farewell.clone(),
        ));
        let parting = farewell.clone();
        let Self {
            live,
            pages,
            peer,
            door,
            watcher,
        } = self;
        let service = service_fn(move |request| {
            let (live, pages, beside) = (Arc::clone(&live), pages.clone(), beside.clone());
            let (working, shortcuts, farewell) = (working.clone(), shortcuts.clone(), farewell.clone());
            farewell.begin(&request);
            async move {
                match beside.and_then(|beside| beside.answer(&request)) {
                    Some(response) => Ok(response),
                    None => {
                        answer(
                            live,
                            pages,
                            request,
                            Sender {
                                peer,
                                door,
                                shortcuts,
                                farewell,
                            },
                            working,
                        )
                        .await
                    }
                }
            }
        });
        let connection = protocol(&context, h2).serve_connection(io, service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            // A client that hangs up or speaks nonsense is its own affair.
            tracing::debug!(%error, "a connection ended early");
        }
        parting.take()
    }
}

/// Who sends a request, and how files get to it.
pub(crate) struct Sender {
    pub(crate) peer: Peer,
    pub(crate) door: Door,
    shortcuts: Option<Shortcuts>,
    /// Is told when the body of the request has been read to its end.
    pub(crate) farewell: Farewell,
}

impl Sender {
    /// The shortcuts, if they can be used in this version of HTTP.
    pub(crate) fn shortcuts(&self, version: http::Version) -> Option<Shortcuts> {
        self.shortcuts
            .clone()
            .filter(|_| version <= http::Version::HTTP_11)
    }
}

/// Answers one request, whatever it is.
async fn answer(
    serving: Arc<Live>,
    mut pages: Pages,
    request: Request<Incoming>,
    sender: Sender,
    working: Working,
) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let context = serving.now();
    // While a request is worked on, a silent connection is not an idle one.
    let _at_work = working.begin();
    let _in_flight = context.metrics.as_ref().map(Metrics::begin);
    let asked = Asked::new(&request, context.origin.client(request.headers(), sender.peer));
    let path = asked.path();
    let mut told = Told::default();
    let door = sender.door;
    let inner = match door {
        Door::Http => path.strip_prefix(context.origin.prefix.as_str()),
        // No proxy stands before the socket.
        Door::Socket(_) => Some(path),
    };
    let is_admin = |inner: &str| match door {
        Door::Http => admin::serves(inner),
        Door::Socket(_) => !pages::is_probe(inner),
    };
    let answering = async {
        match (door, inner) {
            (Door::Http, Some(inner)) if inner == "/v2" || inner.starts_with("/v2/") => {
                v2::answer(&context, request, inner, sender, &mut told).await
            }
            (_, Some(inner)) if is_admin(inner) => {
                admin::answer(&context, pages.admin, request, inner, sender, &mut told).await
            }
            _ => match pages.public.call(request).await {
                Ok(response) => response.map(Body::Page),
                Err(never) => match never {},
            },
        }
    };
    let mut response = AssertUnwindSafe(answering)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!(path, "a request ran into a fault of the server; please report it");
            if inner.is_some_and(is_admin) {
                admin::fault()
            } else {
                v2::fault(&asked.method)
            }
        });
    if let Some(metrics) = &context.metrics {
        let inner = path.strip_prefix(context.origin.prefix.as_str()).unwrap_or(path);
        metrics.count(&asked.method, inner, &told, response.status());
    }
    add_headers(&context, &mut response);
    let bytes = http_body::Body::size_hint(response.body())
        .exact()
        .unwrap_or_default();
    context
        .access_log
        .write(&asked, &told, response.status(), bytes, began.elapsed());
    Ok(response)
}

/// `http.headers`: on every answer, in the place of ours of the same name.
fn add_headers(context: &Context, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, _) in &context.options.headers {
        headers.remove(name);
    }
    for (name, value) in &context.options.headers {
        headers.append(name, value.clone());
    }
}
