//! A connection on which no byte moves for too long is closed.
//!
//! Reading and writing share one deadline: a long upload moves bytes in, a long download out. While a request is worked
//! on (a flush, a second hash), nothing need move; a body that pauses has a time of its own. Fails: `TimedOut`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::linger::Farewell;
use crate::speech::Stream;

/// How many requests of a connection are worked on.
#[derive(Clone, Default)]
pub(crate) struct Working(Arc<AtomicUsize>);

/// One of them; dropped, it is done.
pub(crate) struct AtWork(Working);

impl Working {
    pub(crate) fn begin(&self) -> AtWork {
        self.0.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that gives up when nothing moves for `idle`.
pub(crate) struct Patient {
    stream: Box<dyn Stream>,
    idle: Duration,
    /// When something moved last. The alarm is not set anew each time: it looks here when it rings.
    moved: Instant,
    alarm: Pin<Box<Sleep>>,
    working: Working,
    farewell: Farewell,
}

impl Patient {
    pub(crate) fn new(stream: Box<dyn Stream>, idle: Duration, working: Working, farewell: Farewell) -> Self {
        Self {
            stream,
            idle,
            moved: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(idle)),
            working,
            farewell,
        }
    }

    /// Passes progress on, and ends a wait that took too long.
    fn judge<R>(&mut self, outcome: Poll<io::Result<R>>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.moved = Instant::now();
            return outcome;
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            if self.working.0.load(Ordering::Relaxed) > 0 {
                self.moved = Instant::now();
            }
            let until = self.moved + self.idle;
            if until <= Instant::now() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no byte moved on the connection for too long",
                )));
            }
            self.alarm.as_mut().reset(until);
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.judge(outcome, cx)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let Self { stream, farewell, .. } = &mut *self;
        farewell.keep(stream);
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
