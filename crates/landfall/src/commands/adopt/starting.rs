//! Adopting while a server starts: the tree that lies in its own root directory, before the first request, told to the log.
//!
//! Fails: what adopting fails with; told to stop, it ends, and the next start goes on.

use std::path::Path;

use registry::Registry;
use registry::adopt::{Damage, Progress, Verify, Watcher};
use server::Health;
use tokio_util::sync::CancellationToken;

use crate::commands::offline::failure;
use crate::failure::Failure;

/// While a server is starting: adopts the tree that lies in its own root directory, and lets requests in. Ends only where
/// that fails.
pub(crate) async fn before_requests(
    registry: &Registry,
    health: &Health,
    root: &Path,
    stop: &CancellationToken,
) -> Failure {
    if health.is_starting() {
        match in_place(registry, root, stop).await {
            Err(_) if stop.is_cancelled() => {} // the next start goes on
            Err(failure) => return failure,
            Ok(()) => health.set_starting(false),
        }
    }
    std::future::pending().await
}

/// Everything goes to the log.
async fn in_place(registry: &Registry, root: &Path, stop: &CancellationToken) -> Result<(), Failure> {
    tracing::info!(
        folder = %root.display(),
        "an older registry's data lie here: taking them over before the first request; they stay as they are, for the older registry to go back to (do not run both at once)"
    );
    let mut journal = Journal { last: None };
    let adopted = registry.adopt(root, Verify::Full, &mut journal, stop).await;
    let report = adopted.map_err(|error| failure("LF-ADO-001", &error))?;
    tracing::info!(
        repositories = report.repositories,
        tags = report.tags,
        manifests = report.manifests,
        blobs = report.blobs,
        bytes = report.bytes,
        linked = report.linked,
        bytes_copied = report.bytes_copied,
        damages = report.damage_count,
        uploads_left = report.uploads,
        "took over the older registry's data"
    );
    Ok(())
}

/// Tells the log.
struct Journal {
    last: Option<std::time::Instant>,
}

impl Watcher for Journal {
    fn progress(&mut self, now: &Progress) {
        if self.last.is_some_and(|last| last.elapsed().as_secs() < 10) {
            return;
        }
        self.last = Some(std::time::Instant::now());
        tracing::info!(
            repositories = now.repositories,
            of = now.repositories_total,
            blobs = now.blobs,
            bytes = now.bytes,
            "taking over the older registry's data"
        );
    }

    fn damage(&mut self, damage: &Damage) {
        tracing::warn!(path = %damage.path.display(), "in the older registry's data: {}", damage.found);
    }
}
