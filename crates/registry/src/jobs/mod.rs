//! Work that runs by itself, all the time: each job is one file, works in small batches and ends when told.

mod gc;
mod orphans;
mod reap;
mod sweep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use gc::Collector;
pub use gc::{GcRun, GcWait};

use crate::Registry;

/// How often idle uploads are put aside and the reserve is looked at.
const TICK: Duration = Duration::from_secs(30);

impl Registry {
    /// Runs the jobs until `stop`. `reap_every` is `storage.maintenance.uploadpurging.interval`.
    pub async fn run_jobs(&self, reap_every: Option<Duration>, reap_dry: bool, stop: CancellationToken) {
        let reaping = async {
            let Some(every) = reap_every else { return };
            let mut tick = tokio::time::interval(every.max(Duration::from_secs(1)));
            loop {
                tick.tick().await;
                if let Err(error) = self.reap(reap_dry).await {
                    tracing::warn!(%error, "expired uploads could not be removed; trying again later");
                }
            }
        };
        let keeping = async {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tick.tick().await;
                self.park_idle().await;
                self.keep_reserve().await;
            }
        };
        let all = async { tokio::join!(reaping, keeping, self.collect(), self.watch_orphans()) };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = all => {}
        }
    }

    /// Sets the reserve for deletions on a full disk aside again, once there is room.
    async fn keep_reserve(&self) {
        let store = &self.inner.store;
        let kept = match store.has_room().await {
            Ok(true) => store.restore_reserve().await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the reserve for a full disk could not be set aside");
        }
    }
}
