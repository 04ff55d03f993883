//! Memory for documents (manifests, lists) on their way in and out, shared by all connections.
//!
//! Units: bytes; counted in KiB. Small ones pass uncounted: they are part of what every connection may cost. Large ones
//! wait for room, so that many clients with large documents wait for each other and not for the machine's memory.
//! Fails: `Full`, after a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is never counted.
pub(crate) const SMALL: usize = 64 * 1024;
/// How long a large document waits for room.
const WAIT: Duration = Duration::from_secs(30);

/// The room.
#[derive(Clone, Debug)]
pub struct Room {
    kib: Arc<Semaphore>,
    all: u32,
}

/// Room for one document; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Option<OwnedSemaphorePermit>);

/// There was no room in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

impl Room {
    /// Room for `bytes` of large documents at a time.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).max(1);
        Self {
            kib: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// A seat for `bytes`, if there is one now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Seat> {
        match self.weight(bytes) {
            0 => Some(Seat::uncounted()),
            kib => Arc::clone(&self.kib)
                .try_acquire_many_owned(kib)
                .ok()
                .map(|permit| Seat(Some(permit))),
        }
    }

    /// A seat for `bytes`, waited for.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Seat, Full> {
        match self.weight(bytes) {
            0 => Ok(Seat::uncounted()),
            kib => match tokio::time::timeout(WAIT, Arc::clone(&self.kib).acquire_many_owned(kib)).await {
                Ok(Ok(permit)) => Ok(Seat(Some(permit))),
                Ok(Err(_)) | Err(_) => Err(Full),
            },
        }
    }

    /// A document that was read before there was room for it: with its seat where there is one now; else it is
    /// dropped, and is to be read again when its seat has come.
    pub(crate) async fn admit(&self, document: Vec<u8>) -> Result<Admitted, Full> {
        let bytes = document.len();
        if let Some(seat) = self.try_take(bytes) {
            return Ok(Admitted::Now(seat.hold(document.into())));
        }
        drop(document);
        Ok(Admitted::Again(self.take(bytes).await?))
    }

    fn weight(&self, bytes: usize) -> u32 {
        kib(bytes).min(self.all)
    }
}

/// What a document had to do for its room.
pub(crate) enum Admitted {
    /// Nothing: here it is.
    Now(Bytes),
    /// It went. This seat is for the next reading of it.
    Again(Seat),
}

/// What is counted of so many bytes.
fn kib(bytes: usize) -> u32 {
    if bytes <= SMALL {
        0
    } else {
        u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
    }
}

impl Seat {
    /// The seat of what is too small to be counted.
    pub(crate) fn uncounted() -> Self {
        Self(None)
    }

    /// Gives back what `bytes` do not need.
    pub(crate) fn shrink(mut self, bytes: usize) -> Self {
        if let Some(permit) = &mut self.0 {
            let held = permit.num_permits();
            let spare = held - held.min(kib(bytes) as usize);
            drop(permit.split(spare));
        }
        self
    }

    /// Bytes that keep the seat until the connection has written them.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        match self.0 {
            None => bytes,
            Some(_) => Bytes::from_owner(Seated { bytes, _seat: self }),
        }
    }
}

struct Seated {
    bytes: Bytes,
    _seat: Seat,
}

impl AsRef<[u8]> for Seated {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_ones_share_the_room_and_small_ones_pass() {
        let room = Room::new(1024 * 1024);
        let held = room
            .try_take(1024 * 1024)
            .map(|seat| seat.hold(Bytes::from_static(b"large")));
        assert!(held.is_some());
        assert!(room.try_take(SMALL + 1).is_none());
        assert!(room.try_take(SMALL).is_some());
        drop(held);
        assert!(
            room.take(64 * 1024 * 1024).await.is_ok(),
            "one larger than the room gets all of it"
        );
    }

    #[tokio::test]
    async fn a_seat_that_shrinks_makes_room_for_others() {
        let room = Room::new(1024 * 1024);
        let seat = room.try_take(1024 * 1024).map(|seat| seat.shrink(256 * 1024));
        assert!(room.try_take(800 * 1024).is_none());
        assert!(room.try_take(768 * 1024).is_some());
        let seat = seat.map(|seat| seat.shrink(1024 * 1024));
        assert!(room.try_take(768 * 1024).is_some(), "it never grows again");
        drop(seat.map(|seat| seat.shrink(10)));
        assert!(room.try_take(1024 * 1024).is_some(), "a small one needs none");
    }

    #[tokio::test]
    async fn what_was_read_without_room_is_read_again_when_there_is_some() {
        let room = Room::new(1024 * 1024);
        let first = room.admit(vec![0; 800 * 1024]).await;
        assert!(matches!(first, Ok(Admitted::Now(_))));
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.admit(vec![0; 800 * 1024]).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(matches!(waiting.await, Ok(Ok(Admitted::Again(_)))));
    }
}
