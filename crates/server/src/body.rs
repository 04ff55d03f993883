//! What a response carries: nothing, some bytes, or pieces of blobs that are read as the client takes them.
//!
//! Units: bytes. A blob body knows that it is bytes *a..=b* of an open file. Where the connection has an outlet, the
//! kernel sends them; elsewhere they pass through memory: one piece of `PIECE` bytes for each transfer while the pool has
//! room, `SMALL` beyond that, so slow clients cannot hold the server's memory.
//! Fails: a file that ends early or cannot be read aborts the response; never a clean short body.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use registry::BlobFile;

use crate::outlet::Outlet;
use crate::read_pool::ReadPool;
use crate::v2::range::Span;

/// How far ahead of what goes out a disk is asked: one large run while the last one is sent.
const AHEAD: u64 = 2 * 1024 * 1024;
/// What is shorter goes through memory, in one write with what stands before it.
const OUTLET_MIN: u64 = 32 * 1024;

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
    means: Means,
    reading: Option<Reading>,
    /// Bytes were not in the page cache.
    is_cold: bool,
    /// Up to where the disk has been asked for bytes ahead.
    asked_until: u64,
}

/// How the bytes of files get out.
#[derive(Clone)]
pub(crate) struct Means {
    /// Memory, for connections that must see the bytes.
    pub(crate) pool: ReadPool,
    /// The kernel, where the connection lets it.
    pub(crate) outlet: Option<Outlet>,
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
    pub(crate) fn new(pieces: Vec<Piece>, means: Means) -> Self {
        let left = pieces.iter().map(Piece::len).sum();
        Self {
            pieces: pieces.into(),
            left,
            means,
            reading: None,
            is_cold: false,
            asked_until: 0,
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
                return self.gone(bytes);
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Bytes(bytes)) => return self.gone(bytes),
                Some(Piece::File(file, span)) => {
                    if let Some(bytes) = self.read(file, span) {
                        return self.gone(bytes);
                    }
                }
            }
        }
    }

    fn gone(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        self.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(bytes)))
    }

    /// The first bytes of the span, or none yet: then they are being read. The rest of it is the next piece.
    fn read(&mut self, file: BlobFile, span: Span) -> Option<Bytes> {
        match &self.means.outlet {
            Some(outlet) if span.len() >= OUTLET_MIN && file.file().is_some() => {
                let outlet = outlet.clone();
                self.hand_over(file, span, outlet)
            }
            _ => self.copy(file, span),
        }
    }

    fn hand_over(&mut self, file: BlobFile, span: Span, outlet: Outlet) -> Option<Bytes> {
        let now = self.split(&file, span, Outlet::RUN_MAX);
        let is_here = file.is_cached(span.first, now as u64);
        self.look_ahead(is_here, &file, span, now);
        if is_here {
            return Some(outlet.stand_in(file, span.first, now));
        }
        self.reading = Some(Box::pin(async move {
            file.bring(span.first, now as u64)
                .await
                .map_err(io::Error::other)?;
            Ok(outlet.stand_in(file, span.first, now))
        }));
        None
    }

    fn copy(&mut self, file: BlobFile, span: Span) -> Option<Bytes> {
        let mut room = self.means.pool.take();
        let now = self.split(&file, span, room.len());
        room.cut(now);
        let is_here = file.read_cached(room.bytes_mut(), span.first) == now;
        self.look_ahead(is_here, &file, span, now);
        if is_here {
            return Some(room.into_bytes());
        }
        self.reading = Some(Box::pin(async move {
            let room = file.read_into(span.first, room).await.map_err(io::Error::other)?;
            Ok(room.into_bytes())
        }));
        None
    }

    /// Once bytes were missing in the page cache, those behind the next `now` are read while these go out.
    fn look_ahead(&mut self, is_here: bool, file: &BlobFile, span: Span, now: usize) {
        self.is_cold |= !is_here;
        let next = span.first + now as u64;
        if !self.is_cold || next > span.last || next < self.asked_until {
            return;
        }
        let len = AHEAD.min(span.last - next + 1);
        self.asked_until = next + len;
        let file = file.clone();
        // A disk that fails will say so when it is their turn.
        tokio::spawn(async move { drop(file.bring(next, len).await) });
    }

    /// How much of the span is the next step of at most `most` bytes; what is left is put back.
    fn split(&mut self, file: &BlobFile, span: Span, most: usize) -> usize {
        let now = usize::try_from(span.len()).unwrap_or(usize::MAX).min(most);
        let first = span.first + now as u64;
        if first <= span.last {
            let rest = Span {
                first,
                last: span.last,
            };
            self.pieces.push_front(Piece::File(file.clone(), rest));
        }
        now
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
