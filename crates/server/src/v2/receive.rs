//! The body of a request, as it comes off the connection.
//!
//! Units: bytes. A client that sends nothing for the idle time is gone. Fails: `BodyCut`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use registry::{Body, BodyCut};

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
}

impl ClientBody {
    pub(crate) fn new(incoming: Incoming, idle: Duration) -> Self {
        Self {
            stream: Some(Stream { incoming, idle }),
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
}

impl Body for Stream {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        loop {
            match tokio::time::timeout(self.idle, self.incoming.frame()).await {
                Err(_) | Ok(Some(Err(_))) => return Some(Err(BodyCut)),
                Ok(None) => return None,
                // Trailers say nothing here.
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
            }
        }
    }
}
