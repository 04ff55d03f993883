//! Listeners, connections, and the way down.
//!
//! Shape: `serve` accepts until it is told to stop; then it accepts no more, refuses new requests on open
//! connections, lets running ones finish for the drain time, and returns. Fails: nothing; a failed accept is retried.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{answer, protocol};
use crate::context::Live;
use crate::health::{Health, debug_answer};
use crate::origin::Peer;
use crate::pages;
use crate::patience::Patient;

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
pub async fn serve(live: Arc<Live>, listener: Listener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(live.now().options.connections_max));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let pages = pages::router(Arc::clone(&live));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let context = live.now();
        let io = TokioIo::new(Patient::new(stream, context.options.idle_connection));
        let (handler, pages) = (Arc::clone(&live), pages.clone());
        let service = service_fn(move |request| answer(Arc::clone(&handler), pages.clone(), request, peer));
        let connection = protocol(&context).serve_connection(io, service).into_owned();
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            if let Err(error) = watched.await {
                // A client that hangs up or speaks nonsense is its own affair.
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let context = live.now();
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
        tracing::warn!(
            connections = connections.len(),
            "some requests took longer than the drain time and were cut"
        );
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
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let health = Arc::clone(&health);
        tokio::spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let response = match request.uri().path() {
                    "/debug/health" => debug_answer(&health),
                    _ => crate::v2::empty(http::StatusCode::NOT_FOUND),
                };
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let io = TokioIo::new(Patient::new(stream, Duration::from_mins(1)));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
