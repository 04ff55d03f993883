//! Places for connections, and those whose client still sends although its last answer is complete.
//!
//! Closed with bytes unread, a connection is reset by the kernel, and the client may lose the answer or fail before it looks
//! for it. So only the write side is shut down, and what still comes is read and thrown away until the client hangs up.
//! hyper, the request and their memory are gone by then; what is left is a socket, a task and the place of the connection.
//! Bounded in time, bytes and number, and whoever needs a place gets it: a client that means ill gains nothing over one that
//! asks for something. Over HTTP/2 a stream is refused, and the connection goes on.
//! Source: RFC 9112 section 9.6.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::Duration;

use http::{Request, Version};
use http_body::Body;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::speech::Stream;

/// A client that sends nothing for so long has seen the answer, or never will.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// Also one that goes on is let go then.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Most that is thrown away. The kernels between two machines hold some ten MiB, so whoever looks for an answer now and
/// then finds it long before; whoever looks at the end only may have a body of this size.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most that linger at once: a crowd that is refused together, with at most some ten MiB for their TLS sessions.
const LINGERING_MAX: usize = 256;
/// One read, on the thread's stack: as long as a record of TLS.
const READ_BYTES: usize = 16 * 1024;

/// What is left of a connection after its last answer. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Farewell(Arc<Left>);

#[derive(Default)]
struct Left {
    /// The request was read to its end: nothing is lost by closing.
    is_settled: AtomicBool,
    /// The stream, its write side shut down.
    stream: Mutex<Option<Box<dyn Stream>>>,
}

impl Farewell {
    /// A request has come; its body, if it has one, has not.
    pub(crate) fn begin(&self, request: &Request<impl Body>) {
        let is_settled = request.version() > Version::HTTP_11 || request.body().is_end_stream();
        self.0.is_settled.store(is_settled, Ordering::Relaxed);
    }

    /// Its body was read to the end.
    pub(crate) fn settle(&self) {
        self.0.is_settled.store(true, Ordering::Relaxed);
    }

    /// The stream's write side was shut down, the last that hyper does with it. Where more may come, it is kept.
    pub(crate) fn keep(&self, stream: &mut Box<dyn Stream>) {
        if !self.0.is_settled.load(Ordering::Relaxed) {
            let nothing = Box::new(tokio::io::empty());
            *self.stream() = Some(std::mem::replace(stream, nothing));
        }
    }

    /// What was kept.
    pub(crate) fn take(&self) -> Option<Box<dyn Stream>> {
        self.stream().take()
    }

    fn stream(&self) -> MutexGuard<'_, Option<Box<dyn Stream>>> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many connections there may be.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// Those that linger, the oldest first, and some that have ended.
    lingering: Mutex<VecDeque<CancellationToken>>,
}

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            lingering: Mutex::default(),
        }
    }

    /// A place, waited for; where none is free, whoever has lingered longest goes.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 {
            end_oldest(&mut self.lingering());
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Reads away what comes until the client hangs up, or has had its time. Its place is still its own.
    pub(crate) async fn linger(&self, mut stream: impl AsyncRead + Unpin) {
        let turn = self.begin();
        let _ends = turn.clone().drop_guard();
        tokio::select! {
            biased;
            () = turn.cancelled() => {}
            _ = timeout(TIME_MAX, read_away(&mut stream)) => {}
        }
    }

    fn begin(&self) -> CancellationToken {
        let turn = CancellationToken::new();
        let mut lingering = self.lingering();
        lingering.retain(|other| !other.is_cancelled());
        lingering.push_back(turn.clone());
        // Looked at last: whoever found none to end before waits for a place now.
        if lingering.len() > LINGERING_MAX || self.free.available_permits() == 0 {
            end_oldest(&mut lingering);
        }
        turn
    }

    fn lingering(&self) -> MutexGuard<'_, VecDeque<CancellationToken>> {
        self.lingering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_oldest(lingering: &mut VecDeque<CancellationToken>) {
    while let Some(oldest) = lingering.pop_front() {
        if !oldest.is_cancelled() {
            oldest.cancel();
            return;
        }
    }
}

async fn read_away(stream: &mut (impl AsyncRead + Unpin)) {
    let mut left = BYTES_MAX;
    while left > 0 {
        match timeout(IDLE_MAX, read_once(stream)).await {
            Ok(Ok(read @ 1..)) => left = left.saturating_sub(read),
            Ok(Ok(0) | Err(_)) | Err(_) => return,
        }
    }
}

/// Reads what is there, into memory that is held no longer than that.
async fn read_once(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
        Ok(room.filled().len()).into()
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_goes_soon_and_who_hangs_up_at_once() {
        let places = Places::new(2);
        let (ours, theirs) = tokio::io::duplex(1024);
        let began = Instant::now();
        places.linger(ours).await;
        assert_eq!(began.elapsed().as_secs(), IDLE_MAX.as_secs());
        drop(theirs);
        let began = Instant::now();
        places.linger(tokio::io::empty()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_little_or_much_goes_in_the_end() {
        let places = Places::new(2);
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let trickle = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        places.linger(ours).await;
        assert_eq!(began.elapsed().as_secs(), TIME_MAX.as_secs());
        trickle.await.unwrap();
        let began = Instant::now();
        places.linger(tokio::io::repeat(b'x')).await;
        assert!(began.elapsed() < IDLE_MAX, "bytes end it, not time");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_gives_way_to_whoever_needs_its_place() {
        let places = Arc::new(Places::new(2));
        let place = places.take().await.unwrap();
        let (ours, _theirs) = tokio::io::duplex(1024);
        let lingering = tokio::spawn({
            let places = Arc::clone(&places);
            async move {
                places.linger(ours).await;
                drop(place);
            }
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        let _second = places.take().await.unwrap();
        assert!(!lingering.is_finished(), "there was another place");
        let third = places.take().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        // All places are taken, and somebody may be waiting.
        let (ours, _theirs) = tokio::io::duplex(1024);
        places.linger(ours).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_lingers_has_a_bound() {
        let places = Places::new(10 * LINGERING_MAX);
        let turns: Vec<_> = (0..LINGERING_MAX + 3).map(|_| places.begin()).collect();
        let ended = turns.iter().filter(|turn| turn.is_cancelled()).count();
        assert_eq!(ended, 3);
        assert!(turns[2].is_cancelled() && !turns[3].is_cancelled(), "the oldest");
    }
}
