//! Backups by themselves, at the times that somebody planned.
//!
//! One that could not be made is told in the log, and the next one is made at its time all the same. A time that passed while
//! the server was away is not made up for. Units: Unix milliseconds.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Registry;

/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// When and where to.
pub struct BackupPlan {
    /// The folder of backups.
    pub to: PathBuf,
    /// How many of the latest stay there; none: all.
    pub keep: Option<usize>,
    /// The first time after this one; none: never again.
    pub next: Box<dyn Fn(i64) -> Option<i64> + Send + Sync>,
}

impl Registry {
    /// Makes backups as planned, until `stop`.
    pub async fn run_backups(&self, plan: BackupPlan, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_making(&plan) => {}
        }
    }

    async fn keep_making(&self, plan: &BackupPlan) {
        while let Some(at) = (plan.next)(self.now()) {
            self.inner.backups.set_next(Some(at));
            while let Ok(left @ 1..) = u64::try_from(at.saturating_sub(self.now())) {
                tokio::time::sleep(Duration::from_millis(left).min(SLEEP_MAX)).await;
            }
            if let Err(error) = self.begin_backup(plan.to.clone(), plan.keep) {
                tracing::error!(%error, "a planned backup was not begun");
            }
        }
        self.inner.backups.set_next(None);
    }
}
