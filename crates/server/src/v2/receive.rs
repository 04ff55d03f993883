//! The body of a request, as it comes off the connection.
//!
//! Units: bytes. A client that sends nothing for the idle time is gone. Fails: `BodyCut`.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body::Frame;
use hyper::body::Incoming;
use registry::{Body, BodyCut, Intake};

use crate::inlet::{DIRECT_MIN, Inlet};
use crate::linger::Farewell;

/// Most of a refused body that is read for the client's sake: a manifest that is too large, and some more.
const DRAIN_BYTES: usize = 6 * 1024 * 1024;
/// And for how long.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A request's body; whoever takes it reads it to its end.
pub(crate) struct ClientBody {
    stream: Option<Stream>,
}

/// The bytes of a body, one piece after the other.
pub(crate) struct Stream {
    incoming: Incoming,
    idle: Duration,
    direct: Option<Direct>,
    /// The client left while its bytes came past hyper.
    is_cut: bool,
    /// hyper has said that there is no more.
    is_ended: bool,
    farewell: Farewell,
}

/// A body that may be received past hyper.
struct Direct {
    inlet: Inlet,
    /// Bytes that are still to come.
    left: u64,
    is_asked: bool,
    is_granted: bool,
    /// Bytes that came past hyper …
    received: u64,
    /// … and those of them that it has passed a stand-in on for.
    stood_in: u64,
}

/// What a wait for a body ends with.
enum Next {
    Frame(Option<Result<Frame<Bytes>, hyper::Error>>),
    /// hyper has no more, and the socket's bytes may be had.
    Granted,
}

impl ClientBody {
    pub(crate) fn new(incoming: Incoming, idle: Duration, farewell: Farewell) -> Self {
        Self {
            stream: Some(Stream {
                incoming,
                idle,
                direct: None,
                is_cut: false,
                is_ended: false,
                farewell,
            }),
        }
    }

    /// True once somebody took the body, or if there is none.
    pub(crate) fn is_taken(&self) -> bool {
        self.stream
            .as_ref()
            .is_none_or(|stream| stream.incoming.is_end_stream())
    }

    /// The body, for its one reader.
    pub(crate) fn take(&mut self) -> Option<Stream> {
        self.stream.take()
    }

    /// Reads and forgets a little.
    pub(crate) async fn drain(&mut self) {
        let Some(mut stream) = self.take() else { return };
        let reading = async {
            let mut read = 0;
            while let Some(Ok(bytes)) = stream.next().await {
                read += bytes.len();
                if read > DRAIN_BYTES {
                    break;
                }
            }
        };
        // Either way the answer goes out; the connection closes if there is more.
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }
}

impl Stream {
    /// The whole body, if it has at most `max` bytes: `Ok(None)` where it has more. `expected` bytes are made ready, so
    /// that it takes no more memory than that.
    pub(crate) async fn collect(mut self, expected: usize, max: u64) -> Result<Option<Bytes>, BodyCut> {
        let mut all = BytesMut::with_capacity(expected);
        while let Some(bytes) = self.next().await {
            let bytes = bytes?;
            if (all.len() + bytes.len()) as u64 > max {
                return Ok(None);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all.freeze()))
    }

    /// The same, received past hyper where that can be.
    pub(crate) fn through(mut self, inlet: Option<Inlet>) -> Self {
        let left = self.incoming.size_hint().exact();
        self.direct = inlet.zip(left).map(|(inlet, left)| Direct {
            inlet,
            left,
            is_asked: false,
            is_granted: false,
            received: 0,
            stood_in: 0,
        });
        self
    }

    async fn wait(&mut self) -> Result<Next, BodyCut> {
        let Self {
            incoming,
            idle,
            direct,
            ..
        } = self;
        let next = poll_fn(|cx| {
            // Asked first: what hyper passed on before it granted anything is seen by the look at its frames then.
            let granted = direct
                .as_ref()
                .is_some_and(|direct| direct.is_asked && direct.inlet.is_granted(cx));
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Next::Frame(frame)),
                Poll::Pending if granted => Poll::Ready(Next::Granted),
                Poll::Pending => Poll::Pending,
            }
        });
        tokio::time::timeout(*idle, next).await.map_err(|_| BodyCut)
    }
}

impl Direct {
    /// What of a frame is bytes, and no stand-in.
    fn sift(&mut self, bytes: Bytes) -> Option<Bytes> {
        if self.stood_in < self.received {
            self.stood_in += bytes.len() as u64;
            return None;
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Some(bytes)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(direct) = &self.direct {
            direct.inlet.release();
        }
        if self.is_ended || self.incoming.is_end_stream() {
            self.farewell.settle();
        }
    }
}

impl Body for Stream {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        if let Some(direct) = &mut self.direct {
            if std::mem::take(&mut direct.is_granted) {
                direct.inlet.release();
            } else if !direct.is_asked && direct.left >= DIRECT_MIN {
                direct.inlet.ask();
                direct.is_asked = true;
            }
        }
        if self.is_cut {
            return Some(Err(BodyCut));
        }
        loop {
            let frame = match self.wait().await {
                Ok(Next::Frame(Some(Ok(frame)))) => frame,
                Ok(Next::Frame(None)) => {
                    self.is_ended = true;
                    return None;
                }
                Ok(Next::Frame(Some(Err(_)))) | Err(BodyCut) => return Some(Err(BodyCut)),
                Ok(Next::Granted) => {
                    if let Some(direct) = &mut self.direct {
                        (direct.is_asked, direct.is_granted) = (false, true);
                    }
                    return Some(Ok(Bytes::new()));
                }
            };
            // Trailers say nothing here.
            let Ok(bytes) = frame.into_data() else { continue };
            let bytes = match &mut self.direct {
                Some(direct) => direct.sift(bytes),
                None => Some(bytes),
            };
            if let Some(bytes) = bytes {
                return Some(Ok(bytes));
            }
        }
    }

    fn is_direct(&self) -> bool {
        self.direct
            .as_ref()
            .is_some_and(|direct| direct.is_granted && direct.left > 0 && !self.is_cut)
    }

    async fn receive(&mut self, intake: Intake) -> Option<Intake> {
        let Some(direct) = &self.direct else {
            return Some(intake);
        };
        let inlet = direct.inlet.clone();
        inlet.lend(intake, direct.left);
        while !self.is_cut && !inlet.is_filled() {
            match self.wait().await {
                Ok(Next::Frame(Some(Ok(frame)))) => {
                    if let (Ok(bytes), Some(direct)) = (frame.into_data(), &mut self.direct) {
                        direct.stood_in += bytes.len() as u64;
                    }
                }
                Ok(Next::Granted) => {}
                Ok(Next::Frame(_)) | Err(BodyCut) => self.is_cut = true,
            }
        }
        let intake = inlet.take()?;
        if let Some(direct) = &mut self.direct {
            direct.left = direct.left.saturating_sub(intake.received() as u64);
            direct.received += intake.received() as u64;
        }
        Some(intake)
    }
}
