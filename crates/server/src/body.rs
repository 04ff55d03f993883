//! What a response carries: nothing, some bytes, or pieces of blobs that are read as the client takes them.
//!
//! Units: bytes. A blob body knows that it is bytes *a..=b* of an open file. Memory: one piece of `PIECE` bytes for
//! each transfer while the pool has room, `SMALL` beyond that, so slow clients cannot hold the server's memory.
//! Fails: a file that ends early or cannot be read aborts the response; never a clean short body.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use registry::BlobFile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::v2::range::Span;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;
/// Bytes read at once when many transfers run.
const SMALL: usize = 16 * 1024;

/// Room for large pieces, shared by all connections.
#[derive(Clone, Debug)]
pub struct ReadPool(Arc<Semaphore>);

impl ReadPool {
    /// A pool of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PIECE)))
    }
}

/// A response's body.
pub enum Body {
    /// No bytes.
    Empty,
    /// These bytes.
    Full(Bytes),
    /// Pieces of a blob, with what a multipart answer puts between them.
    Blob(BlobBody),
    /// A page's body.
    Page(axum::body::Body),
}

/// Pieces to send, in order.
pub struct BlobBody {
    pieces: VecDeque<Piece>,
    left: u64,
    pool: ReadPool,
    reading: Option<Reading>,
}

/// One piece: bytes at hand, or a span of a file.
pub enum Piece {
    /// At hand.
    Bytes(Bytes),
    /// To be read.
    File(BlobFile, Span),
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }
}

impl BlobBody {
    /// A body of these pieces.
    #[must_use]
    pub fn new(pieces: Vec<Piece>, pool: ReadPool) -> Self {
        let left = pieces.iter().map(Piece::len).sum();
        Self {
            pieces: pieces.into(),
            left,
            pool,
            reading: None,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(outcome) = reading.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.reading = None;
                let bytes = outcome.inspect_err(|error| {
                    tracing::error!(%error, "a blob could not be read to its end; the response is cut");
                })?;
                self.left -= bytes.len() as u64;
                return Poll::Ready(Some(Ok(bytes)));
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Bytes(bytes)) => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Piece::File(file, span)) => self.read(file, span),
            }
        }
    }

    fn read(&mut self, file: BlobFile, span: Span) {
        let room = Arc::clone(&self.pool.0).try_acquire_owned().ok();
        let most = if room.is_some() { PIECE } else { SMALL };
        let now = usize::try_from(span.len()).unwrap_or(usize::MAX).min(most);
        let next = span.first + now as u64;
        if next <= span.last {
            self.pieces.push_front(Piece::File(
                file.clone(),
                Span {
                    first: next,
                    last: span.last,
                },
            ));
        }
        self.reading = Some(Box::pin(async move {
            let bytes = file.read_at(span.first, now).await.map_err(io::Error::other)?;
            Ok(match room {
                Some(room) => Bytes::from_owner(Held { bytes, _room: room }),
                None => bytes,
            })
        }));
    }
}

/// Bytes that give their room back when the connection has written them.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, span) => span.len(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Blob(blob) => blob
                .poll_piece(cx)
                .map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
            Self::Page(page) => Pin::new(page).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Blob(blob) => blob.left == 0 && blob.reading.is_none(),
            Self::Page(page) => page.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Blob(blob) => SizeHint::with_exact(blob.left),
            Self::Page(page) => page.size_hint(),
        }
    }
}
