//! Bytes of blobs go from the page cache to the socket by the kernel's hand, without passing through our memory.
//!
//! hyper writes from memory only. So a body on such a connection hands it a *stand-in*: a slice of one area that nobody
//! ever writes or reads, as long as the bytes it stands for, and notes here which bytes of which file they are. The
//! stream that hyper writes to knows the area by its address and has the kernel send the file's bytes in its place. The
//! stream says that it takes vectored writes, so hyper passes every slice on as it is and copies none.
//! Only for HTTP/1.1 in the clear: HTTP/2 and TLS must see the bytes.
//! Fails: a file that ends early or cannot be read ends the connection; never a clean short body.
//! Source: sendfile(2).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use registry::BlobFile;
use rustix::fs::sendfile;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::inlet::Inlet;

/// Memory that is never touched, so it costs addresses only.
static AREA: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; Outlet::RUN_MAX].into());

/// What the stand-ins that hyper holds stand for, in their order.
#[derive(Clone, Default)]
pub(crate) struct Outlet(Arc<Mutex<VecDeque<Run>>>);

/// Bytes of a file that are to be sent.
struct Run {
    file: BlobFile,
    next: u64,
    left: usize,
}

impl Outlet {
    /// The longest run: enough for the kernel, little enough to look ahead in the page cache.
    pub(crate) const RUN_MAX: usize = 1024 * 1024;

    /// A slice that stands for `len` bytes of the file from `offset` on, at most `RUN_MAX`.
    pub(crate) fn stand_in(&self, file: BlobFile, offset: u64, len: usize) -> Bytes {
        let left = len.min(Self::RUN_MAX);
        self.lock().push_back(Run {
            file,
            next: offset,
            left,
        });
        Bytes::from_static(&AREA[..left])
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_stand_in(bytes: &[u8]) -> bool {
    AREA.as_ptr_range().contains(&bytes.as_ptr())
}

/// A socket that the kernel can send files to.
pub(crate) trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {
    /// Waits until it takes bytes.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Runs `write`; after `WouldBlock`, `poll_writable` waits again.
    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize>;
}

impl Socket for TcpStream {
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, write)
    }
}

impl Socket for UnixStream {
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, write)
    }
}

/// Ways past hyper's memory, on a connection in the clear.
#[derive(Clone, Default)]
pub(crate) struct Shortcuts {
    /// For bytes of files, out.
    pub(crate) outlet: Outlet,
    /// For bytes of bodies, in.
    pub(crate) inlet: Inlet,
}

/// A socket, the files that are to go out through it, and the memory that bodies are to come in to.
pub(crate) struct Passing<S> {
    socket: S,
    shortcuts: Shortcuts,
}

impl<S: Socket> Passing<S> {
    pub(crate) fn new(socket: S) -> (Self, Shortcuts) {
        let shortcuts = Shortcuts::default();
        let passing = Self {
            socket,
            shortcuts: shortcuts.clone(),
        };
        (passing, shortcuts)
    }

    /// Sends what the first stand-in, now `len` bytes long, stands for; how many bytes went.
    fn poll_send(&self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_writable(cx))?;
            match self.send(len) {
                Err(error) if again(&error) => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn send(&self, len: usize) -> io::Result<usize> {
        let mut runs = self.shortcuts.outlet.lock();
        let run = runs
            .front_mut()
            .filter(|run| run.left == len)
            .ok_or_else(|| io::Error::other("a stand-in that stands for nothing"))?;
        let file = run.file.file().ok_or(io::ErrorKind::Unsupported)?;
        let mut offset = run.next;
        let sent = self
            .socket
            .try_write(|| Ok(sendfile(&self.socket, file, Some(&mut offset), run.left)?))
            .inspect_err(|error| {
                if !again(error) && !is_gone(error) {
                    tracing::error!(location = %run.file.location(), %error, "a blob could not be sent to its end");
                }
                if is_of_disk(error) {
                    run.file.suspect();
                }
            })?;
        if sent == 0 {
            run.file.suspect();
            tracing::error!(location = %run.file.location(), "a blob's file ended early; the response is cut");
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        run.next += sent as u64;
        run.left -= sent;
        if run.left == 0 {
            runs.pop_front();
        }
        Ok(sent)
    }
}

fn again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The disk gave the bytes no more; a socket does not fail like this.
fn is_of_disk(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::IO)
}

/// The client left, which is its own affair.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl<S: Socket> AsyncRead for Passing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, shortcuts } = &mut *self;
        shortcuts.inlet.poll_read(socket, cx, buf)
    }
}

impl<S: Socket> AsyncWrite for Passing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if is_stand_in(buf) {
            return self.poll_send(cx, buf.len());
        }
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let begin = bufs.iter().position(|buf| !buf.is_empty()).unwrap_or(bufs.len());
        let bufs = &bufs[begin..];
        let memory = bufs.iter().take_while(|buf| !is_stand_in(buf)).count();
        match bufs.first() {
            Some(first) if memory == 0 => self.poll_send(cx, first.len()),
            _ => Pin::new(&mut self.socket).poll_write_vectored(cx, &bufs[..memory]),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
