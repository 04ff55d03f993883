//! Work that runs by itself, all the time: each job is one file, works in small batches and ends when told.

mod backups;
mod gc;
mod orphans;
mod pulls;
mod reap;
mod retention;
mod scrub;
mod stride;
mod sweep;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use backups::BackupPlan;
pub(crate) use gc::{Collector, URGENT_LEASE_MS};
pub use gc::{GcRun, GcWait};
pub(crate) use orphans::ASIDE_MAX;
pub use retention::NextRetention;
pub(crate) use scrub::{Inspected, Scrubber};

use crate::Registry;

/// How often idle uploads are put aside and the reserve is looked at.
const TICK: Duration = Duration::from_secs(30);

/// How many times as long as a batch took a job rests after it: most of the machine is for those who wait for an answer.
const REST_TIMES: u32 = 3;
/// The longest of these rests: a batch that a slow disk held up is no reason to stop.
const REST_MAX: Duration = Duration::from_millis(250);

/// Rests after a batch that began then.
async fn rest_after(began: tokio::time::Instant) {
    tokio::time::sleep((began.elapsed() * REST_TIMES).min(REST_MAX)).await;
}

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
        let all = async {
            tokio::join!(
                reaping,
                keeping,
                self.collect(),
                self.watch_orphans(),
                self.scrub(),
                self.keep_pulls(),
                Box::pin(self.keep_schedule())
            )
        };
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
