//! Listeners, connections, and the way down.
//!
//! Shape: `serve` accepts until it is told to stop; then it accepts no more, refuses new requests on open
//! connections, lets running ones finish for the drain time, and returns. Fails: nothing; a failed accept is retried.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{answer, protocol};
use crate::context::Context;
use crate::health::{Health, debug_answer};
use crate::origin::Peer;
use crate::pages;
use crate::patience::{Patient, Working};

/// A connection for `/debug/health` that says nothing for so long is closed.
const DEBUG_IDLE: Duration = Duration::from_secs(30);

/// Where connections come in.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole, so waiting for more to send only costs time.
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer::Ip(address.ip())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Local))
            }
        }
    }
}

/// Serves until `stop`, then drains for at most `options.drain`.
pub async fn serve(context: Arc<Context>, listener: Listener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(context.options.connections_max));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let pages = pages::router(Arc::clone(&context));
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let working = Working::default();
        let io = TokioIo::new(Patient::new(
            stream,
            context.options.idle_connection,
            working.clone(),
        ));
        let (handler, pages) = (Arc::clone(&context), pages.clone());
        let service = service_fn(move |request| {
            answer(
                Arc::clone(&handler),
                pages.clone(),
                request,
                peer,
                working.clone(),
            )
        });
        let connection = protocol(&context).serve_connection(io, service).into_owned();
        let (watched, cut) = (graceful.watch(connection), cut.clone());
        connections.spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            let ended = tokio::select! {
                ended = watched => ended,
                () = cut.cancelled() => return,
            };
            if let Err(error) = ended {
                // A client that hangs up or speaks nonsense is its own affair.
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    context.closing.store(true, Ordering::SeqCst);
    connections.close();
    tracing::info!(
        connections = connections.len(),
        "stopping: running requests may finish, new ones are refused"
    );
    let drained = async {
        graceful.shutdown().await;
        connections.wait().await;
    };
    if tokio::time::timeout(context.options.drain, drained)
        .await
        .is_err()
    {
        let left = connections.len();
        tracing::warn!(
            connections = left,
            "some requests took longer than the drain time and are cut"
        );
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> Option<(Box<dyn Stream>, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Out of descriptors, or a client that was gone before we came: others may do better.
            tracing::debug!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// `http.debug.addr`: `/debug/health` and nothing else, until `stop`.
pub async fn serve_debug(health: Arc<Health>, listener: TcpListener, stop: CancellationToken) {
    const CONNECTIONS_MAX: usize = 64;
    let listener = Listener::Tcp(listener);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, _, place)) = accepted else {
            continue;
        };
        let health = Arc::clone(&health);
        tokio::spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let response = match request.uri().path() {
                    "/debug/health" => debug_answer(&health),
                    _ => crate::v2::empty(http::StatusCode::NOT_FOUND),
                };
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let io = TokioIo::new(Patient::new(stream, DEBUG_IDLE, Working::default()));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(DEBUG_IDLE)
                .serve_connection(io, service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
