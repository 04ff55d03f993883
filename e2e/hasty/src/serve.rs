//! The server: opened, joined and listened at as `landfall serve` does it.
//!
//! Fails: what cannot be opened; a catalog that could not be flushed ends it, as it ends the product.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Authenticator;
use catalog::{Catalog, SqliteOptions};
use registry::{GcRun, Registry, Rules, SystemClock};
use server::v2::state::StateKey;
use server::{AccessLog, Context, Health, Lanes, Listener, Live, Options, Origin, ReadPool, Room};
use store::{FsOptions, FsStore, HostFiles};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Trouble, door};

/// Between two turns of the collector.
const TURN: Duration = Duration::from_millis(100);
/// Turns between two looks for orphans.
const ORPHANS_EVERY: u32 = 10;
const READ_BYTES: usize = 16 * 1024 * 1024;
const MANIFEST_BYTES: usize = 32 * 1024 * 1024;

/// Serves until SIGTERM.
pub(crate) async fn serve(data: &Path, listen: SocketAddr) -> Result<(), Trouble> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let told = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        told.cancel();
    });
    let (registry, catalog, folder) = open(data).await?;
    let live = Arc::new(Live::new(Context {
        registry: registry.clone(),
        access: Authenticator::Open,
        origin: Origin::default(),
        // The same after a restart, so that uploads go on; there is nobody here to keep it from.
        states: StateKey::new(b"hasty"),
        reads: ReadPool::new(READ_BYTES),
        manifests: Room::new(MANIFEST_BYTES),
        health: Arc::new(Health::default()),
        metrics: None,
        access_log: AccessLog::Off,
        options: Options::default(),
        lanes: Lanes::start()?,
        closing: Arc::default(),
    }));
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let totals = Arc::new(Totals::default());
    let door = door::open(&folder, registry.clone(), catalog, Arc::clone(&totals))?;
    let jobs = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::join!(
                registry.run_jobs(None, false, stop.clone()),
                hurry(&registry, &totals, &stop)
            );
        })
    };
    tracing::info!("listening on {address}");
    tokio::select! {
        () = server::serve(live, Listener::Tcp(listener), stop.clone()) => {}
        () = registry.broken() => return Err("the catalog could not be flushed to disk".into()),
    }
    stop.cancel();
    door.abort();
    jobs.await?;
    registry.close().await;
    Ok(())
}

/// The registry, its catalog, and the folder of both.
pub(crate) async fn open(data: &Path) -> Result<(Registry, Catalog, std::path::PathBuf), Trouble> {
    let store = FsStore::open(data, Arc::new(HostFiles), FsOptions::default())?;
    let folder = store.folder().to_owned();
    let catalog = Catalog::open_sqlite(&folder.join("catalog/landfall.db"), SqliteOptions::default())?;
    let registry = Registry::open(store, catalog.clone(), Arc::new(SystemClock), rules()?).await?;
    Ok((registry, catalog, folder))
}

/// The defaults, but for the windows.
fn rules() -> Result<Rules, Trouble> {
    let window = |name: &str, default: i64| match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|error| Trouble::from(format!("{name}: {error}"))),
        Err(_) => Ok(default),
    };
    Ok(Rules {
        lease_ms: window("HASTY_LEASE_MS", 20_000)?,
        undo_window_ms: window("HASTY_UNDO_MS", 2_000)?,
        read_grace_ms: window("HASTY_GRACE_MS", 500)?,
        orphan_hold_ms: window("HASTY_ORPHAN_MS", 2_000)?,
        gc_start_delay_ms: 0,
        untagged_keep_ms: 0,
        ..Rules::default()
    })
}

/// One turn after the other; what fails is tried again at the next.
async fn hurry(registry: &Registry, totals: &Totals, stop: &CancellationToken) {
    for turn in 0_u32.. {
        match registry.gc_run().await {
            Ok(run) => totals.add(&run),
            Err(error) => tracing::warn!(%error, "a turn of the collector failed"),
        }
        if turn.is_multiple_of(ORPHANS_EVERY)
            && let Err(error) = registry.scan_orphans().await
        {
            tracing::warn!(%error, "a look for orphans failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

/// What was collected since the start.
#[derive(Default)]
pub(crate) struct Totals(Mutex<GcRun>);

impl Totals {
    fn add(&self, run: &GcRun) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.trashed += run.trashed;
        all.purged += run.purged;
        all.links += run.links;
        all.blobs += run.blobs;
        all.files += run.files;
        all.bytes += run.bytes;
    }

    pub(crate) fn words(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "manifests {} links {} blobs {} files {} bytes {}",
            all.purged, all.links, all.blobs, all.files, all.bytes
        )
    }
}
