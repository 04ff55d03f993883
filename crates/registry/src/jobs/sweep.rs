//! Bytes that lost their row go, once no reader can still be sent to them.
//!
//! A tombstone is written in the transaction that stops the row naming the location, and names are used once, so a
//! late or repeated sweep can hit nothing that lives. Source: P-SWEEP in ARCHITECTURE.md.

use std::collections::HashMap;

use tokio::time::Instant;

use super::rest_after;
use crate::{Error, Registry};

/// When a file that could not be removed is tried again.
const RETRY_MS: i64 = 3_600_000;

/// What a sweep removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Swept {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// Whether more may be due.
    pub(crate) more: bool,
}

impl Registry {
    /// Removes the files of due tombstones, at most `limit`, then the tombstones; and rests.
    pub(crate) async fn sweep(&self, limit: usize) -> Result<Swept, Error> {
        let (began, now) = (Instant::now(), self.now());
        let due = self
            .inner
            .catalog
            .read(move |tx| catalog::due_tombstones(tx, now, limit))
            .await?;
        if due.is_empty() {
            return Ok(Swept::default());
        }
        let more = due.len() == limit;
        let sizes: HashMap<String, u64> = due.into_iter().map(|one| (one.location, one.size)).collect();
        let (gone, left) = self.remove_each(sizes.keys().cloned().collect()).await;
        let swept = Swept {
            files: gone.len(),
            bytes: gone.iter().filter_map(|location| sizes.get(location)).sum(),
            more,
        };
        let later = now + RETRY_MS;
        let note = move |tx: &mut catalog::Tx<'_>| {
            catalog::finish_tombstones(tx, &gone)?;
            catalog::postpone_tombstones(tx, &left, later)
        };
        self.inner.catalog.maintain(note).await?;
        rest_after(began).await;
        Ok(swept)
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
