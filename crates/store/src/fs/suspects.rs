//! Blobs whose bytes could not be read while they were sent: told to whoever checks them, once each.
//!
//! Units: at most [`WAITING_MAX`] wait; beyond that nothing is lost but haste, for everything is read back in its turn.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::{BlobFile, FsStore};
use crate::location::Location;

/// More than this is not one bad blob, but a bad disk.
const WAITING_MAX: usize = 1024;

/// The blobs that wait to be looked at.
#[derive(Default, Debug)]
pub(super) struct Suspects {
    waiting: Mutex<BTreeSet<Location>>,
    told: Notify,
}

impl Suspects {
    pub(super) fn tell(&self, location: &Location) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.insert(location.clone());
        }
        drop(waiting);
        self.told.notify_one();
    }

    fn take(&self) -> Option<Location> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_first()
    }
}

impl FsStore {
    /// The blob at `location` is to be checked.
    pub fn suspect(&self, location: &Location) {
        self.inner.suspects.tell(location);
    }

    /// The next blob that a read failed on, as soon as there is one. For one caller at a time.
    pub async fn next_suspect(&self) -> Location {
        let suspects = Arc::clone(&self.inner.suspects);
        loop {
            if let Some(location) = suspects.take() {
                return location;
            }
            suspects.told.notified().await;
        }
    }
}

impl BlobFile {
    /// Somebody could not send these bytes to their end: they are to be checked.
    pub fn suspect(&self) {
        self.open.suspects.tell(&self.open.location);
    }
}
