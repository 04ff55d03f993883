//! Whether the registry is fit to serve: checks that run by themselves, what they found last, and the time before the
//! first request, when an older registry's folder is being adopted.
//!
//! Source: the `health` section and `/debug/health` of the CNCF registry.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Response, StatusCode};
use registry::{Probed, Registry};

use crate::body::Body;

/// What failed, by check, and whether there is something to do before the first request. Empty is healthy.
#[derive(Debug, Default)]
pub struct Health {
    failures: Mutex<BTreeMap<String, String>>,
    starting: AtomicBool,
}

impl Health {
    /// While true, `/v2/` and `/startupz` say that the registry is still starting.
    pub fn set_starting(&self, starting: bool) {
        self.starting.store(starting, Ordering::SeqCst);
    }

    /// Whether work is under way that must end before the first request.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.starting.load(Ordering::SeqCst)
    }

    /// True if nothing failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures().is_empty()
    }

    /// What failed, by check.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, String> {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, check: &str, failure: Option<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => {
                if failures.insert(check.to_owned(), failure.clone()).is_none() {
                    tracing::error!(check, failure, "the registry is not fit to serve");
                }
            }
            None => {
                if failures.remove(check).is_some() {
                    tracing::info!(check, "the registry is fit to serve again");
                }
            }
        }
    }

    /// `health.file`: a file that is there takes the registry out of service. Runs for good.
    pub async fn watch_file(self: Arc<Self>, file: PathBuf, every: Duration) {
        let check = format!("file {}", file.display());
        let mut tick = tokio::time::interval(every.max(Duration::from_millis(100)));
        loop {
            tick.tick().await;
            let path = file.clone();
            let there = tokio::task::spawn_blocking(move || path.exists())
                .await
                .unwrap_or(false);
            self.set(&check, there.then(|| "the file exists".to_owned()));
        }
    }

    /// `health.storagedriver`: after `threshold` failures in a row the registry is out of service. A disk that is only
    /// full takes no push, which each push is told; pulls and deletes need the registry to stay in service. Runs for good.
    pub async fn watch_storage(self: Arc<Self>, registry: Registry, every: Duration, threshold: u32) {
        let mut tick = tokio::time::interval(every.max(Duration::from_millis(100)));
        let mut failures = 0;
        let mut last = Probed::Writable;
        loop {
            tick.tick().await;
            match registry.probe().await {
                Ok(found) => {
                    failures = 0;
                    tell_of_room(std::mem::replace(&mut last, found), found);
                }
                Err(error) => {
                    failures += 1;
                    if failures >= threshold {
                        self.set("storage", Some(error.to_string()));
                    }
                }
            }
            if failures == 0 {
                self.set("storage", None);
            }
        }
    }
}

/// Says once that the disk filled up, and once that it has room again.
fn tell_of_room(before: Probed, now: Probed) {
    match (before, now) {
        (Probed::Writable, Probed::Full) => {
            tracing::warn!(
                "the disk is full: pushes are refused until there is room; pulls and deletes go on"
            );
        }
        (Probed::Full, Probed::Writable) => tracing::info!("the disk has room again"),
        (Probed::Writable, Probed::Writable) | (Probed::Full, Probed::Full) => {}
    }
}

/// `GET /debug/health`: 200 `{}`, or 503 with what failed.
#[must_use]
pub fn debug_answer(health: &Health) -> Response<Body> {
    let failures = health.failures();
    let mut response = crate::v2::json(
        serde_json::to_vec(&failures).unwrap_or_default(),
        "application/json",
    );
    if !failures.is_empty() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
