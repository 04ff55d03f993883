//! Listeners, connections, and the way down.
//!
//! Shape: `serve` accepts until it is told to stop; then it accepts no more, refuses new requests on open
//! connections, lets running ones finish for the drain time, and returns. Fails: nothing; a failed accept is retried.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tls::Acceptor;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Door};
use crate::beside::Beside;
use crate::body::Body;
use crate::connection::{Caller, Pages};
use crate::context::Live;
use crate::health::{Health, debug_answer};
use crate::linger::{Farewell, Places};
use crate::metrics::{self, Metrics};
use crate::origin::Peer;
use crate::pages;
use crate::patience::{Patient, Working};
use crate::speech::{Fresh, Socket, Speech};

/// A connection to the debug address that says nothing for so long is closed.
const DEBUG_IDLE: Duration = Duration::from_secs(30);

/// Where connections come in.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
    /// The admin socket: the admin API and health, for who the kernel says may.
    Admin(UnixListener),
    /// TCP with TLS; who speaks plain HTTP here is told so.
    Tls(TcpListener, Acceptor),
    /// Plain HTTP beside TLS: sends everybody there, and answers an ACME authority.
    Plain(TcpListener, Beside),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Fresh, Peer, Door)> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) | Self::Plain(listener, _) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole, so waiting for more to send only costs time.
                stream.set_nodelay(true)?;
                Ok((Fresh::Tcp(stream.into_std()?), Peer::Ip(address.ip()), Door::Http))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Fresh::Unix(stream.into_std()?), Peer::Local, Door::Http))
            }
            Self::Admin(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok((Fresh::Unix(stream.into_std()?), Peer::Local, Door::Socket(uid)))
            }
        }
    }

    /// What connections of this listener speak.
    fn speech(&self) -> io::Result<Speech> {
        Ok(match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Admin(_) => Speech::Clear,
            Self::Tls(listener, acceptor) => Speech::Tls(
                acceptor.clone(),
                Beside {
                    certificates: Arc::clone(acceptor.certificates()),
                    https_port: listener.local_addr()?.port(),
                    redirects_programs: false,
                },
            ),
            Self::Plain(_, beside) => Speech::Beside(beside.clone()),
        })
    }
}

/// Serves until `stop`, then drains for at most `options.drain`.
pub async fn serve(live: Arc<Live>, listener: Listener, stop: CancellationToken) {
    let lanes = live.now().lanes.clone();
    let places = Arc::new(Places::new(live.now().options.connections_max));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let pages = Pages {
        public: pages::router(Arc::clone(&live)),
        admin: admin::router(),
    };
    let speech = match listener.speech() {
        Ok(speech) => speech,
        Err(error) => {
            tracing::error!(%error, "a listener cannot say where it listens");
            return;
        }
    };
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((fresh, peer, door, place)) = accepted else {
            continue;
        };
        let caller = Caller {
            live: Arc::clone(&live),
            pages: pages.clone(),
            peer,
            door,
            watcher: graceful.watcher(),
        };
        let (speech, places) = (speech.clone(), Arc::clone(&places));
        let (stop, cut) = (stop.clone(), cut.clone());
        lanes.spawn(&connections, async move {
            let _place: OwnedSemaphorePermit = place;
            let time = caller.live.now().options.head_time;
            let opened = tokio::select! {
                // Who has not finished the handshake when the server goes down has asked for nothing yet.
                () = stop.cancelled() => return,
                opened = tokio::time::timeout(time, speech.open(fresh)) => opened,
            };
            match opened {
                Ok(Ok(Some(opened))) => {
                    let left = tokio::select! {
                        left = caller.converse(opened) => left,
                        () = cut.cancelled() => None,
                    };
                    if let Some(stream) = left {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = places.linger(stream) => {}
                        }
                    }
                }
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
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
async fn next(listener: &Listener, places: &Places) -> Option<(Fresh, Peer, Door, OwnedSemaphorePermit)> {
    let place = places.take().await?;
    match listener.accept().await {
        Ok((fresh, peer, door)) => Some((fresh, peer, door, place)),
        Err(error) => {
            // Out of descriptors, or a client that was gone before we came: others may do better.
            tracing::debug!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// What `http.debug.addr` answers with.
#[derive(Clone)]
pub struct Debug {
    /// At `/debug/health`.
    pub health: Arc<Health>,
    /// At this path, where they are wanted.
    pub metrics: Option<(String, Arc<Metrics>)>,
}

impl Debug {
    async fn answer(self, path: &str) -> Response<Body> {
        match self.metrics {
            _ if path == "/debug/health" => debug_answer(&self.health),
            Some((at, metrics)) if path == at => metrics::answer(metrics).await,
            _ => crate::v2::empty(StatusCode::NOT_FOUND),
        }
    }
}

/// `http.debug.addr`: health and metrics, and nothing else, until `stop`.
pub async fn serve_debug(debug: Debug, listener: TcpListener, stop: CancellationToken) {
    const CONNECTIONS_MAX: usize = 64;
    let listener = Listener::Tcp(listener);
    let places = Places::new(CONNECTIONS_MAX);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((fresh, _, _, place)) = accepted else {
            continue;
        };
        let Ok(Socket::Tcp(stream)) = fresh.settle() else {
            continue;
        };
        let debug = debug.clone();
        tokio::spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let debug = debug.clone();
                async move { Ok::<_, std::convert::Infallible>(debug.answer(request.uri().path()).await) }
            });
            // Nobody has a body to send here.
            let (working, farewell) = (Working::default(), Farewell::default());
            let io = TokioIo::new(Patient::new(Box::new(stream), DEBUG_IDLE, working, farewell));
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
