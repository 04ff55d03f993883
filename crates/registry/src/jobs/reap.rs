//! Expired uploads go: the row first, which is the fence, then the bytes.
//!
//! Source: `storage.maintenance.uploadpurging` of the CNCF registry; P-REAP in ARCHITECTURE.md.

use crate::{Error, Registry};

/// Rows of one round trip.
const BATCH: usize = 256;

impl Registry {
    /// Removes every upload that nobody touched for `upload_idle_ms`; with `dry`, only says so.
    pub async fn reap(&self, dry: bool) -> Result<(), Error> {
        // Sessions in memory have their say first: parking one writes its true expiry.
        self.park_idle().await;
        if !dry {
            self.end_expired().await;
        }
        loop {
            let now = self.now();
            let due = self
                .inner
                .catalog
                .read(move |tx| catalog::expired_uploads(tx, now, BATCH))
                .await?;
            if dry {
                tracing::info!(
                    uploads = due.len(),
                    "expired uploads (dry run, nothing was removed)"
                );
                return Ok(());
            }
            for &id in &due {
                let _moving = self.inner.sessions.move_one(id).await;
                if self.inner.sessions.get(id).is_some() {
                    continue; // awake again
                }
                if self
                    .inner
                    .catalog
                    .write(move |tx| catalog::delete_upload(tx, id))
                    .await?
                {
                    self.inner.store.discard_upload(id).await?;
                    tracing::info!(upload = %id, "removed an expired upload");
                }
            }
            if due.len() < BATCH {
                return Ok(());
            }
        }
    }
}
