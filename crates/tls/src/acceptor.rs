//! A TCP stream becomes a TLS stream, or turns out to speak plain HTTP.
//!
//! The first byte tells: a TLS record of a handshake begins with 0x16. Source: RFC 8446 section 5.1.
//! Fails: a handshake that ends early, an `io::Error` of no consequence for anybody else.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::certificates::ACME_ALPN;
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
    inner: tokio_rustls::TlsAcceptor,
    certificates: Arc<Certificates>,
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

impl Acceptor {
    /// Presents what `certificates` holds; `http2` offers HTTP/2 beside HTTP/1.1. Reads the client CAs, so it blocks.
    pub fn new(
        certificates: Arc<Certificates>,
        minimum: Minimum,
        clients: Option<(&[PathBuf], ClientAuth)>,
        http2: bool,
    ) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = match minimum {
            Minimum::Tls12 => &[&TLS13, &TLS12],
            Minimum::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| Error::Unusable {
                what: "this choice of TLS versions".into(),
                reason: error.to_string(),
            })?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((authorities, wanted)) => {
                builder.with_client_cert_verifier(clients::verifier(&provider, authorities, wanted)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as _);
        let spoken: &[&[u8]] = if http2 {
            &[b"h2", b"http/1.1"]
        } else {
            &[b"http/1.1"]
        };
        config.alpn_protocols = spoken
            .iter()
            .chain(&[ACME_ALPN])
            .map(|name| name.to_vec())
            .collect();
        Ok(Self {
            inner: Arc::new(config).into(),
            certificates,
        })
    }

    /// What is presented.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
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
        let stream = match self.inner.accept(stream).into_fallible().await {
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
