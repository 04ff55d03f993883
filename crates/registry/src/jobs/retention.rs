//! Retention when its time has come, and a look at whether another server changed the rules.
//!
//! A run that was missed, because no server was there, is made up for once. Units: milliseconds. Fails: what failed is
//! tried again when the schedule says so.

use std::time::Duration;

use catalog::Pause;

use crate::jobs::GcWait;
use crate::{Error, Registry, RetentionReport};

/// How often it is looked whether anything is due. Another server's rules are in force here after so long.
const LOOK: Duration = Duration::from_secs(5);

/// When retention runs next by itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NextRetention {
    /// When; none without rules, without a schedule, or while nobody knows.
    pub at: Option<i64>,
    /// Why it is not earlier, where something stands in its way.
    pub waits: Option<GcWait>,
}

impl Registry {
    /// Looks again and again.
    pub(super) async fn keep_schedule(&self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.read_policies().await {
                tracing::warn!(%error, "the rules in the catalog could not be read; trying again");
            }
            match self.retention_when_due().await {
                Ok(Some(report)) => tracing::info!(
                    run = report.id,
                    repositories = report.repositories,
                    tags = report.tags,
                    manifests = report.manifests,
                    "retention has run"
                ),
                Ok(None) | Err(Error::RetentionBusy) => {}
                Err(error) => tracing::warn!(%error, "retention did not run, or not to its end"),
            }
        }
    }

    /// Runs retention if the schedule says so and nothing stands in the way; what it did.
    pub async fn retention_when_due(&self) -> Result<Option<RetentionReport>, Error> {
        let Some(due) = self.retention_due().await? else {
            return Ok(None);
        };
        // Also where garbage may not be collected now: the clock jumped, or the server has just started.
        if due > self.now() || self.gc_wait().await?.is_some() {
            return Ok(None);
        }
        self.retain_all(None, None).await.map(Some)
    }

    /// When retention runs next by itself, and what stands in its way until then, if anything does.
    pub async fn retention_next(&self) -> Result<NextRetention, Error> {
        let Some(due) = self.retention_due().await? else {
            return Ok(NextRetention::default());
        };
        let wait = self.gc_wait().await?;
        Ok(match wait {
            Some(GcWait::ReadOnly) => NextRetention {
                at: None,
                waits: wait,
            },
            Some(GcWait::Started { until } | GcWait::Paused(Pause { until, .. })) if until > due => {
                NextRetention {
                    at: Some(until),
                    waits: wait,
                }
            }
            Some(GcWait::Started { .. } | GcWait::Paused(_)) | None => NextRetention {
                at: Some(due),
                waits: None,
            },
        })
    }

    /// When the schedule says that retention is due; none without rules, or without a schedule.
    async fn retention_due(&self) -> Result<Option<i64>, Error> {
        let policies = self.inner.policies.in_force();
        let schedule = self.rules().written.schedule.clone();
        let Some(schedule) = schedule.filter(|_| !policies.retention.is_empty()) else {
            return Ok(None);
        };
        let last = self.inner.catalog.read(catalog::last_scheduled_run).await?;
        let since = last.unwrap_or(self.inner.retaining.started_at);
        Ok(schedule.after(since))
    }
}
