//! `landfall serve`: open everything, listen, serve until a signal, close in order.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Auth, Loaded, Medium, Settings};
use registry::{Registry, SystemClock};
use server::v2::state::StateKey;
use server::{Context, Debug, Health, Lanes, Live, Metrics, ReadPool, Room};
use store::{FsOptions, FsStore, HostFiles};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::ServeArguments;
use crate::failure::{Failure, with_causes};
use crate::listening::{bind, listen, listen_for_admins, taken_over, with_tls};
use crate::reload::{self, Reload};
use crate::systemd::{self, Passed, State};
use crate::url_login::hidden_in;
use crate::{first_user, logging, wiring};

/// Memory for blobs on their way out.
const READ_BYTES: usize = 16 * 1024 * 1024;
/// Memory for large manifests on their way in and out.
const MANIFEST_BYTES: usize = 32 * 1024 * 1024;
/// Threads for disk work: enough to keep a disk busy, few enough that their stacks do not count.
const BLOCKING_THREADS: usize = 32;

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let passed = systemd::passed();
    let loaded = super::config::settings(arguments)?;
    let log = logging::start(&loaded.settings.log).map_err(|error| Failure::failed("LF-SRV-001", error))?;
    let lines = log.thread();
    say_which_file(&loaded.values);
    for warning in &loaded.warnings {
        tracing::warn!("{}", hidden_in(&warning.one_line()));
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::failed("LF-SRV-001", error))
        .and_then(|runtime| {
            let outcome = runtime.block_on(serve(arguments, loaded, log, passed));
            // A thread that hangs on a dead disk must not hold the end up.
            runtime.shutdown_timeout(Duration::from_secs(5));
            outcome
        });
    lines.flush();
    outcome
}

async fn serve(
    arguments: &ServeArguments,
    loaded: Loaded,
    log: logging::Control,
    passed: Vec<Passed>,
) -> Result<(), Failure> {
    let Loaded { settings, values, .. } = loaded;
    let stop = stop_on_signals()?;
    let hangups = reload::hangups()?;
    let first_login = first_user::make(&settings, &arguments.bootstrap_user.0)?;
    let access = wiring::authenticator(&settings)?;
    let place = Place::of(&settings)?;
    let store = open_store(&settings, &place)?;
    let catalog = open_catalog(store.folder())?;
    let data = store.folder().to_owned();
    let states = StateKey::new(&wiring::secret(&settings, store.folder())?);
    let registry = Registry::open(store, catalog, Arc::new(SystemClock), wiring::rules(&settings)?)
        .await
        .map_err(|error| Failure::failed("LF-STO-001", with_causes(&error)))?;
    registry.know_sources(wiring::sources());
    let health = Arc::new(Health::default());
    let adopts = registry
        .wants_adoption()
        .await
        .map_err(|error| adoption_failed(&error))?;
    health.set_starting(adopts);
    let metrics = settings.http.metrics_path.as_ref().map(|_| {
        let started_ms = jiff::Timestamp::now().as_millisecond();
        Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), started_ms).about(registry.clone()))
    });
    let live = Arc::new(Live::new(Context {
        registry: registry.clone(),
        access,
        origin: wiring::origin(&settings),
        states,
        reads: ReadPool::new(READ_BYTES),
        manifests: Room::new(MANIFEST_BYTES),
        health: Arc::clone(&health),
        metrics: metrics.clone(),
        access_log: wiring::access_log(&settings, &log)?,
        options: wiring::options(&settings),
        lanes: Lanes::start().map_err(|error| Failure::failed("LF-SRV-001", error))?,
        closing: Arc::default(),
    }));
    let (listener, address) = match taken_over(passed, &settings)? {
        Some(listening) => listening,
        None => listen(&settings.http.listen).await?,
    };
    let (admin_socket, admin_listener) = listen_for_admins(&settings, &data)?.unzip();
    say_hello(&settings, &place);
    let listener = match &settings.tls {
        None => listener,
        Some(tls) => with_tls(&settings, tls, &data, listener, &live, &stop).await?,
    };
    if let Some(path) = first_login {
        tracing::info!(
            user = arguments.bootstrap_user.0,
            "the first user was made; its password is in {}, which goes when that user has logged in; landfall user passwd chooses another",
            path.display()
        );
    }
    start_checks(&settings, &health, &registry);
    open_debug(&settings, &health, metrics, &stop).await?;
    let purging = settings.storage.upload_purging;
    let jobs = {
        let backups = super::backup::planned(&settings, &registry, &stop);
        let (registry, stop) = (registry.clone(), stop.clone());
        let dry_run = purging.is_some_and(|purging| purging.dry_run);
        tokio::spawn(async move {
            let jobs = registry.run_jobs(purging.map(|purging| purging.interval), dry_run, stop);
            tokio::join!(jobs, backups);
        })
    };
    let reload = Reload {
        arguments: arguments.clone(),
        started: values,
        settings,
        live: Arc::clone(&live),
        registry: registry.clone(),
        log,
    };
    tokio::spawn(reload.run(hangups, stop.clone()));
    let admins =
        admin_listener.map(|listener| tokio::spawn(server::serve(Arc::clone(&live), listener, stop.clone())));
    tracing::info!("listening on {address}");
    systemd::notify(State::Ready);
    tokio::select! {
        failure = super::adopt::before_requests(&registry, &health, place.root(), &stop) => return Err(failure),
        () = server::serve(live, listener, stop.clone()) => {}
        () = registry.broken() => {
            tracing::error!("the catalog could not be flushed to disk: ending, so that nothing is acknowledged that is not durable");
            return Err(Failure::failed("LF-STO-002", "the catalog could not be flushed to disk; check the disk, then start again"));
        }
    }
    stop.cancel();
    if ended_badly(admins).await | ended_badly(Some(jobs)).await {
        tracing::warn!("a background job ended badly");
    }
    drop(admin_socket);
    registry.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits for a task.
async fn ended_badly(task: Option<JoinHandle<()>>) -> bool {
    match task {
        Some(task) => task.await.is_err(),
        None => false,
    }
}

fn adoption_failed(error: &registry::Error) -> Failure {
    Failure::failed("LF-ADO-001", with_causes(error))
}

/// Where the data lies; a temporary folder goes at the end.
pub(crate) struct Place {
    root: PathBuf,
    temporary: bool,
}

impl Place {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn of(settings: &Settings) -> Result<Self, Failure> {
        match &settings.storage.medium {
            Medium::Filesystem { root, .. } => Ok(Self {
                root: root.clone(),
                temporary: false,
            }),
            Medium::InMemory => {
                let mut name = [0_u8; 8];
                getrandom::fill(&mut name).map_err(|error| Failure::failed("LF-STO-001", error))?;
                let root = std::env::temp_dir().join(format!("landfall-{:016x}", u64::from_be_bytes(name)));
                Ok(Self {
                    root,
                    temporary: true,
                })
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.root)
        {
            tracing::warn!(%error, folder = %self.root.display(), "the temporary store could not be removed");
        }
    }
}

pub(crate) fn open_store(settings: &Settings, place: &Place) -> Result<FsStore, Failure> {
    let allow_network = match &settings.storage.medium {
        Medium::Filesystem { allow_network, .. } => *allow_network,
        Medium::InMemory => true,
    };
    let options = FsOptions {
        allow_network,
        inline_max: usize::try_from(settings.storage.inline_bytes_max).unwrap_or(usize::MAX),
        ..FsOptions::default()
    };
    FsStore::open(&place.root, Arc::new(HostFiles), options).map_err(|error| match &error {
        store::Error::Held { .. } => Failure::held("LF-STO-004", with_causes(&error)),
        store::Error::Reviving { .. } | store::Error::HalfRevived { .. } => {
            Failure::held("LF-STO-006", with_causes(&error))
        }
        store::Error::NoRoom { .. } => Failure::no_room(
            "LF-STO-005",
            format!(
                "the disk of {} is full\n  fix   make room, then start again; nothing was changed",
                place.root.display()
            ),
        ),
        store::Error::Io { doing, path, source } if source.kind() == ErrorKind::PermissionDenied => {
            Failure::failed(
                "LF-STO-001",
                format!("cannot {doing} {}: {source}{}", path.display(), whose(path)),
            )
        }
        _ => Failure::failed("LF-STO-001", with_causes(&error)),
    })
}

/// Who may write where the server may not.
fn whose(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let there = |path: &Path| std::fs::metadata(path).ok().map(|found| (path.to_owned(), found));
    let us = rustix::process::geteuid().as_raw();
    match path.ancestors().find_map(there) {
        Some((path, found)) => format!(
            "\n  why   {0} belongs to user {1} (mode {2:o}), and this server runs as user {us}\n  \
             fix   chown -R {us} {0}        or run the server as user {1}",
            path.display(),
            found.uid(),
            found.mode() & 0o7777
        ),
        None => String::new(),
    }
}

pub(crate) fn open_catalog(folder: &Path) -> Result<catalog::Catalog, Failure> {
    let path = folder.join("catalog").join("landfall.db");
    let options = catalog::SqliteOptions::default();
    catalog::Catalog::open_sqlite(&path, options).map_err(|error| match &error {
        catalog::Error::NoRoom { .. } => Failure::no_room("LF-CAT-002", with_causes(&error)),
        _ => Failure::failed("LF-CAT-001", with_causes(&error)),
    })
}

/// A file that nobody named, left by another registry perhaps, may explain everything that surprises.
fn say_which_file(values: &config::Values) {
    match &values.file {
        Some(file) if values.file_named => tracing::info!("configuration: {}", file.display()),
        Some(file) => tracing::info!(
            "configuration: {}, found in its usual place; --config FILE names another one",
            file.display()
        ),
        None => {}
    }
}

fn say_hello(settings: &Settings, place: &Place) {
    let root = place.root.display();
    tracing::info!(data = %root, temporary = place.temporary, "Landfall {}", env!("CARGO_PKG_VERSION"));
    // Without an undo window a warning of the configuration has said what deleting means.
    if settings.storage.delete_enabled && !settings.storage.delete_written && !settings.undo_window.is_zero()
    {
        tracing::info!(
            "deletion is enabled: what is deleted goes to the trash; storage.delete.enabled: false forbids it"
        );
    }
    if matches!(settings.auth, Auth::NotConfigured) {
        tracing::info!(
            "no authentication is configured: everybody on this machine may pull, push and delete"
        );
    }
}

/// `http.debug.addr`, where it is set.
async fn open_debug(
    settings: &Settings,
    health: &Arc<Health>,
    metrics: Option<Arc<Metrics>>,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let Some(address) = &settings.http.debug_addr else {
        return Ok(());
    };
    let (listener, address) = bind(address, "http.debug.addr").await?;
    tracing::info!("debug server listening on {address}");
    let debug = Debug {
        health: Arc::clone(health),
        metrics: settings.http.metrics_path.clone().zip(metrics),
    };
    tokio::spawn(server::serve_debug(debug, listener, stop.clone()));
    Ok(())
}

fn start_checks(settings: &Settings, health: &Arc<Health>, registry: &Registry) {
    for probe in &settings.health.files {
        tokio::spawn(Arc::clone(health).watch_file(probe.path.clone(), probe.interval));
    }
    if let Some(probe) = settings.health.storage {
        tokio::spawn(Arc::clone(health).watch_storage(registry.clone(), probe.interval, probe.threshold));
    }
}

pub(crate) fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let refuse = |error: std::io::Error| Failure::failed("LF-SRV-001", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(refuse)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refuse)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        systemd::notify(State::Stopping);
        told.cancel();
        // Whoever presses Ctrl-C again is at a terminal and means it; a manager may repeat its SIGTERM.
        if interrupt.recv().await.is_some() {
            eprintln!("ended at once by a second interrupt: what was under way was cut");
            std::process::exit(130);
        }
    });
    Ok(stop)
}
