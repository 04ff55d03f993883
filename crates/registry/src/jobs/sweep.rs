//! Bytes that lost their row go, once no reader can still be sent to them.
//!
//! A tombstone is written in the transaction that stops the row naming the location, and names are used once, so a
//! late or repeated sweep can hit nothing that lives. Source: P-SWEEP in ARCHITECTURE.md.

use crate::{Error, Registry};

/// Tombstones of one round trip.
const BATCH: usize = 256;

impl Registry {
    /// Removes the files of all due tombstones, then the tombstones.
    pub async fn sweep(&self) -> Result<(), Error> {
        loop {
            let now = self.now();
            let due = self
                .inner
                .catalog
                .read(move |tx| catalog::due_tombstones(tx, now, BATCH))
                .await?;
            if due.is_empty() {
                return Ok(());
            }
            let last = due.len() < BATCH;
            // What is no location names no file of ours, and only its row goes.
            let locations = due.iter().filter_map(|location| location.parse().ok()).collect();
            self.inner.store.remove(locations).await?;
            self.inner
                .catalog
                .write(move |tx| catalog::finish_tombstones(tx, &due))
                .await?;
            if last {
                return Ok(());
            }
        }
    }
}
