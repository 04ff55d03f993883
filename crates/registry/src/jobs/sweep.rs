//! Bytes that lost their row go, once no reader can still be sent to them.
//!
//! A tombstone is written in the transaction that stops the row naming the location, and names are used once, so a
//! late or repeated sweep can hit nothing that lives. Source: P-SWEEP in ARCHITECTURE.md.

use std::collections::HashMap;

use tokio::time::Instant;

use super::rest_after;
use crate::{Error, Registry};

/// Tombstones of one round trip.
const BATCH: usize = 256;
/// When a file that could not be removed is tried again.
const RETRY_MS: i64 = 3_600_000;

/// What a sweep removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Swept {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

impl Registry {
    /// Removes the files of all due tombstones, then the tombstones.
    pub(crate) async fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        loop {
            let (began, now) = (Instant::now(), self.now());
            let due = self
                .inner
                .catalog
                .read(move |tx| catalog::due_tombstones(tx, now, BATCH))
                .await?;
            if due.is_empty() {
                return Ok(swept);
            }
            let last = due.len() < BATCH;
            let sizes: HashMap<String, u64> = due.into_iter().map(|one| (one.location, one.size)).collect();
            let (gone, left) = self.remove_each(sizes.keys().cloned().collect()).await;
            swept.files += gone.len();
            swept.bytes += gone
                .iter()
                .filter_map(|location| sizes.get(location))
                .sum::<u64>();
            let later = now + RETRY_MS;
            let note = move |tx: &mut catalog::Tx<'_>| {
                catalog::finish_tombstones(tx, &gone)?;
                catalog::postpone_tombstones(tx, &left, later)
            };
            self.inner.catalog.maintain(note).await?;
            if last {
                return Ok(swept);
            }
            rest_after(began).await;
        }
    }

    /// Removes a batch at once; if that fails, one by one, so that one bad file holds up no other.
    async fn remove_each(&self, due: Vec<String>) -> (Vec<String>, Vec<String>) {
        // What is no location names no file of ours, and only its row goes.
        let locations = due.iter().filter_map(|location| location.parse().ok()).collect();
        if self.inner.store.remove(locations).await.is_ok() {
            return (due, Vec::new());
        }
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for location in due {
            let removed = match location.parse() {
                Ok(parsed) => self.inner.store.remove(vec![parsed]).await,
                Err(_) => Ok(()),
            };
            match removed {
                Ok(()) => gone.push(location),
                Err(error) => {
                    tracing::warn!(%error, location, "replaced bytes could not be removed; trying again in an hour");
                    left.push(location);
                }
            }
        }
        (gone, left)
    }
}
