//! Memory for manifests on their way in and out, shared by all connections.
//!
//! Units: bytes; counted in KiB. Small ones pass uncounted: they are part of what every connection may cost. Large ones
//! wait for room, so that many clients with large manifests wait for each other and not for the machine's memory.
//! Fails: `Full`, after a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is never counted.
const SMALL: usize = 64 * 1024;
/// How long a large manifest waits for room.
const WAIT: Duration = Duration::from_secs(30);

/// The room.
#[derive(Clone, Debug)]
pub struct Room {
    kib: Arc<Semaphore>,
    all: u32,
}

/// Room for one manifest; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Option<OwnedSemaphorePermit>);

/// There was no room in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

impl Room {
    /// Room for `bytes` of large manifests at a time.
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
            0 => Some(Seat(None)),
            kib => Arc::clone(&self.kib)
                .try_acquire_many_owned(kib)
                .ok()
                .map(|permit| Seat(Some(permit))),
        }
    }

    /// A seat for `bytes`, waited for.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Seat, Full> {
        match self.weight(bytes) {
            0 => Ok(Seat(None)),
            kib => match tokio::time::timeout(WAIT, Arc::clone(&self.kib).acquire_many_owned(kib)).await {
                Ok(Ok(permit)) => Ok(Seat(Some(permit))),
                Ok(Err(_)) | Err(_) => Err(Full),
            },
        }
    }

    fn weight(&self, bytes: usize) -> u32 {
        if bytes <= SMALL {
            0
        } else {
            u32::try_from(bytes.div_ceil(1024))
                .unwrap_or(u32::MAX)
                .min(self.all)
        }
    }
}

impl Seat {
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
}
