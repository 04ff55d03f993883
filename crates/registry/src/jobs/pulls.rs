//! Writes down, every few seconds and at a clean stop, what was pulled since: some transactions for all of it.
//!
//! While the registry takes no writes they stay in memory. Fails: what could not be written is tried again.

use std::time::Duration;

use crate::Registry;

/// How often; what a process that is killed loses.
const EVERY: Duration = Duration::from_secs(5);
/// Manifests of one transaction.
const BATCH: usize = 256;

impl Registry {
    pub(super) async fn keep_pulls(&self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.write_pulls().await;
        }
    }

    /// Writes down all pulls that were counted.
    pub async fn write_pulls(&self) {
        if self.rules().read_only {
            return;
        }
        let mut pulls = self.inner.tally.take();
        while !pulls.is_empty() {
            let rest = pulls.split_off(pulls.len().min(BATCH));
            let batch = pulls.clone();
            let record = move |tx: &mut catalog::Tx<'_>| catalog::record_pulls(tx, &batch);
            if let Err(error) = self.inner.catalog.maintain(record).await {
                tracing::debug!(%error, "pulls could not be written down; trying again later");
                pulls.extend(rest);
                self.inner.tally.give_back(pulls);
                return;
            }
            pulls = rest;
        }
    }
}
