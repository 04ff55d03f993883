//! What a fresh connection speaks, found out before the first request.
//!
//! Fails: a TLS handshake that ends early; that is the client's affair.

use std::io;

use tls::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::beside::{Aside, Beside};
use crate::outlet::{self, Passing, Shortcuts};

/// A connection that is not on its lane yet.
pub(crate) enum Fresh {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A connection on its lane.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Fresh {
    /// From now on the runtime that this is called in waits for its bytes.
    pub(crate) fn settle(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

/// What connections of one listener speak.
#[derive(Clone)]
pub(crate) enum Speech {
    /// HTTP as it is.
    Clear,
    /// TLS, or plain HTTP by mistake.
    Tls(Acceptor, Beside),
    /// Plain HTTP beside TLS.
    Beside(Beside),
}

/// Bytes to and from a client.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A connection that is ready for requests.
pub(crate) struct Opened {
    pub(crate) stream: Box<dyn Stream>,
    /// Ways past hyper's memory, where nothing must see the bytes.
    pub(crate) shortcuts: Option<Shortcuts>,
    /// Answers before everybody else.
    pub(crate) beside: Option<Aside>,
    /// Whether HTTP/2 may be spoken, where that does not depend on the settings of the moment.
    pub(crate) h2: Option<bool>,
}

impl Speech {
    /// Finds out; `None` for who wanted nothing but a look at the certificate.
    pub(crate) async fn open(self, fresh: Fresh) -> io::Result<Option<Opened>> {
        let socket = fresh.settle()?;
        let aside = |stream: TcpStream, beside: Beside| Opened {
            stream: Box::new(stream),
            shortcuts: None,
            beside: Some(Aside::Instead(beside)),
            h2: None,
        };
        Ok(Some(match (self, socket) {
            (_, Socket::Unix(stream)) => clear(stream),
            (Self::Clear, Socket::Tcp(stream)) => clear(stream),
            (Self::Beside(beside), Socket::Tcp(stream)) => aside(stream, beside),
            (Self::Tls(acceptor, beside), Socket::Tcp(stream)) => match acceptor.accept(stream).await? {
                Accepted::Plain(stream) => aside(stream, beside),
                Accepted::Asked => return Ok(None),
                Accepted::Tls(stream) => Opened {
                    stream,
                    shortcuts: None,
                    beside: Some(Aside::Also(beside)),
                    // What may be spoken was agreed in the handshake.
                    h2: Some(true),
                },
            },
        }))
    }
}

/// HTTP as it is, on a socket that the kernel can send files to.
fn clear(socket: impl outlet::Socket) -> Opened {
    let (stream, shortcuts) = Passing::new(socket);
    Opened {
        stream: Box::new(stream),
        shortcuts: Some(shortcuts),
        beside: None,
        h2: None,
    }
}
