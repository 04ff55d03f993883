//! Expired uploads go: the row first, which is the fence, then the bytes.
//!
//! Source: `storage.maintenance.uploadpurging` of the CNCF registry; P-REAP in ARCHITECTURE.md.

use uuid::Uuid;

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
            let mut removed = 0;
            for &id in &due {
                removed += usize::from(self.reap_one(id).await?);
            }
            // What is left is awake, and has its say when it pauses.
            if due.len() < BATCH || removed == 0 {
                return Ok(());
            }
        }
    }

    async fn reap_one(&self, id: Uuid) -> Result<bool, Error> {
        let _moving = self.inner.sessions.move_one(id).await;
        if self.inner.sessions.get(id).is_some() {
            return Ok(false);
        }
        if !self
            .inner
            .catalog
            .write(move |tx| catalog::delete_upload(tx, id))
            .await?
        {
            return Ok(false);
        }
        match self.inner.store.discard_upload(id).await {
            Ok(()) => tracing::info!(upload = %id, "removed an expired upload"),
            // The next start removes files that no row knows.
            Err(error) => {
                tracing::warn!(%error, upload = %id, "an expired upload's file could not be removed");
            }
        }
        Ok(true)
    }
}
