//! A TCP stream becomes a TLS stream, or turns out to speak plain HTTP.
//!
//! The first byte tells: a TLS record of a handshake begins with 0x16. Source: RFC 8446 section 5.1.
//! Fails: a handshake that ends early, an `io::Error` of no consequence for anybody else.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::certificates::ACME_ALPN;
use crate::files::{LOOK, Stamp, stamp};
use crate::{Certificates, ClientAuth, Error, clients};

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Minimum {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// Makes TLS streams.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ArcSwap<ServerConfig>>,
    recipe: Arc<Recipe>,
    /// How the files of the client CAs looked when they were read.
    read_at: Vec<Stamp>,
}

/// Out of what the configuration of rustls is made, at the start and when the client CAs change.
struct Recipe {
    certificates: Arc<Certificates>,
    minimum: Minimum,
    clients: Option<(Vec<PathBuf>, ClientAuth)>,
    http2: bool,
}

/// What a connection turned out to be.
pub enum Accepted {
    /// TLS; the handshake is done.
    Tls(Box<Stream>),
    /// Plain text, nothing of it read yet.
    Plain(TcpStream),
    /// An authority that looked at a certificate: it has seen what it came for.
    Asked,
}

/// A TLS connection.
pub struct Stream(tokio_rustls::server::TlsStream<TcpStream>);

impl Recipe {
    /// Reads the client CAs, so it blocks.
    fn cook(&self) -> Result<ServerConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = match self.minimum {
            Minimum::Tls12 => &[&TLS13, &TLS12],
            Minimum::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| Error::Unusable {
                what: "this choice of TLS versions".into(),
                reason: error.to_string(),
            })?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some((authorities, wanted)) => {
                builder.with_client_cert_verifier(clients::verifier(&provider, authorities, *wanted)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&self.certificates) as _);
        let spoken: &[&[u8]] = if self.http2 {
            &[b"h2", b"http/1.1"]
        } else {
            &[b"http/1.1"]
        };
        config.alpn_protocols = spoken
            .iter()
            .chain(&[ACME_ALPN])
            .map(|name| name.to_vec())
            .collect();
        Ok(config)
    }

    fn stamps(&self) -> Vec<Stamp> {
        let authorities = self.clients.iter().flat_map(|(authorities, _)| authorities);
        authorities.map(|path| stamp(path)).collect()
    }
}

impl Acceptor {
    /// Presents what `certificates` holds; `http2` offers HTTP/2 beside HTTP/1.1. Reads the client CAs, so it blocks.
    pub fn new(
        certificates: Arc<Certificates>,
        minimum: Minimum,
        clients: Option<(&[PathBuf], ClientAuth)>,
        http2: bool,
    ) -> Result<Self, Error> {
        let recipe = Recipe {
            certificates,
            minimum,
            clients: clients.map(|(authorities, wanted)| (authorities.to_vec(), wanted)),
            http2,
        };
        Ok(Self {
            read_at: recipe.stamps(),
            config: Arc::new(ArcSwap::from_pointee(recipe.cook()?)),
            recipe: Arc::new(recipe),
        })
    }

    /// What is presented.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.recipe.certificates
    }

    /// Keeps up with the files of the client CAs, until `stop`: new connections are judged by what they hold now. Files that
    /// cannot be used change nothing. Sessions are not resumed across a change, so whom it shuts out is shut out at once.
    pub async fn watch_clients(self, stop: CancellationToken) {
        if self.read_at.is_empty() {
            return;
        }
        let mut known = self.read_at.clone();
        let mut seen = known.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let recipe = Arc::clone(&self.recipe);
            let stamps = tokio::task::spawn_blocking(move || recipe.stamps()).await;
            let stamps = stamps.unwrap_or_default();
            // Read once they lie still, as certificate files are.
            if stamps != seen {
                seen = stamps;
                continue;
            }
            if stamps == known {
                continue;
            }
            known = stamps;
            let recipe = Arc::clone(&self.recipe);
            match tokio::task::spawn_blocking(move || recipe.cook()).await {
                Ok(Ok(config)) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the certificate authorities of clients were read again and are in use");
                }
                Ok(Err(error)) => {
                    tracing::error!(code = error.code(), "{error}");
                    tracing::error!(
                        "the new certificate authorities of clients cannot be used; the old ones stay in use"
                    );
                }
                Err(stopped) => {
                    tracing::error!(%stopped, "the certificate authorities of clients could not be read again");
                }
            }
        }
    }

    /// Waits for the first byte, and does the handshake if there is one.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Accepted> {
        const HANDSHAKE: u8 = 0x16;
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if first == [HANDSHAKE] => {}
            _ => return Ok(Accepted::Plain(stream)),
        }
        let stream = match tokio_rustls::TlsAcceptor::from(self.config.load_full())
            .accept(stream)
            .into_fallible()
            .await
        {
            Ok(stream) => stream,
            Err((error, stream)) => {
                let _ = let_go(stream).await;
                return Err(error);
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(ACME_ALPN) {
            return Ok(Accepted::Asked);
        }
        Ok(Accepted::Tls(Box::new(Stream(stream))))
    }
}

/// Ends a refused connection so that the alert arrives: closed with bytes unread, it would be reset, and the client would
/// not learn why. Source: RFC 9112 section 9.6.
async fn let_go(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    for _ in 0..64 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
