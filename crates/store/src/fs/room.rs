//! Room on the disk: measured at most once a second, because every upload asks.
//!
//! Under the low-water mark new uploads should be refused while pulls and deletions go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{FsStore, Inner, blocking};
use crate::error::Error;

/// How long a measurement is good.
const FRESH: Duration = Duration::from_secs(1);
/// The mark on large disks, with `TOTAL / 50`; on small ones it is an eighth.
const LOW_WATER: u64 = 1 << 30;

/// Room on the file system of the store, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Free to us.
    pub free: u64,
    /// Size of the file system.
    pub total: u64,
}

impl Room {
    /// Below this, no new uploads: max(1 GiB, 2 %), but at most an eighth.
    #[must_use]
    pub fn low_water(&self) -> u64 {
        LOW_WATER.max(self.total / 50).min(self.total / 8)
    }

    /// Whether new uploads may begin.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.free >= self.low_water()
    }
}

/// The last measurement.
#[derive(Default, Debug)]
pub(super) struct Gauge(Mutex<Option<(Instant, Room)>>);

impl Gauge {
    fn fresh(&self) -> Option<Room> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Room that came back is seen at once: only a good measurement is believed for a while.
        last.filter(|(at, room)| at.elapsed() < FRESH && room.suffices())
            .map(|(_, room)| room)
    }

    fn set(&self, room: Option<Room>) {
        let now = room.map(|room| (Instant::now(), room));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Inner {
    /// The room, at most a second old. Blocks.
    pub(super) fn room(&self) -> Result<Room, Error> {
        if let Some(room) = self.room.fresh() {
            return Ok(room);
        }
        let space = self
            .files
            .space(&self.folder)
            .map_err(|error| Error::io("measure", &self.folder, error))?;
        let room = Room {
            free: space.free,
            total: space.total,
        };
        self.room.set(Some(room));
        Ok(room)
    }
}

impl FsStore {
    /// The room on the disk, at most a second old.
    pub async fn free_bytes(&self) -> Result<Room, Error> {
        if let Some(room) = self.inner.room.fresh() {
            return Ok(room);
        }
        let store = Arc::clone(&self.inner);
        blocking(move || store.room()).await
    }

    /// Whether new uploads may begin.
    pub async fn has_room(&self) -> Result<bool, Error> {
        Ok(self.free_bytes().await?.suffices())
    }

    /// Gives up `reserve.bin`, so that deletions can be committed on a full disk.
    pub async fn release_reserve(&self) -> Result<(), Error> {
        let store = Arc::clone(&self.inner);
        self.inner.room.set(None);
        blocking(move || store.release_reserve()).await
    }

    /// Sets `reserve.bin` aside again, once there is room.
    pub async fn restore_reserve(&self) -> Result<(), Error> {
        let store = Arc::clone(&self.inner);
        self.inner.room.set(None);
        blocking(move || store.restore_reserve()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_fits_the_disk() {
        let mark = |total| Room { free: 0, total }.low_water();
        assert_eq!(mark(8 << 20), 1 << 20);
        assert_eq!(mark(20 << 30), 1 << 30);
        assert_eq!(mark(1000 << 30), 20 << 30);
    }
}
