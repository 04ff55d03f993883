//! A registry opened without serving it, for commands that work on its data folder. Takes the lock, so a running server
//! stops them, and they stop a server from starting.

use std::io::ErrorKind;
use std::sync::Arc;

use config::Settings;
use registry::adopt::RemoteError;
use registry::backup::{FailureKind, kind_of};
use registry::{Registry, Rules, SourceError, SystemClock};
use tokio_util::sync::CancellationToken;

use super::serve::{Place, open_catalog, open_store, stop_on_signals};
use crate::failure::{Failure, with_causes};
use crate::wiring;

/// Threads for disk work.
const BLOCKING_THREADS: usize = 16;

/// An open registry, and the place that it lies in.
pub(crate) struct Offline {
    registry: Registry,
    /// A temporary one goes with it.
    _place: Place,
}

impl Offline {
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let place = Place::of(settings)?;
        let store = open_store(settings, &place)?;
        let catalog = open_catalog(store.folder())?;
        // What was decided about clients does not bind whoever owns the data.
        let rules = Rules {
            read_only: false,
            blob_bytes_max: None,
            upload_sessions_max: None,
            ..wiring::rules(settings)?
        };
        let registry = Registry::open(store, catalog, Arc::new(SystemClock), rules)
            .await
            .map_err(|error| Failure::failed("LF-STO-001", with_causes(&error)))?;
        registry.know_sources(wiring::sources());
        Ok(Self {
            registry,
            _place: place,
        })
    }
}

impl std::ops::Deref for Offline {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

/// Runs a command that ends early on SIGINT and SIGTERM.
pub(crate) fn run<T>(work: impl AsyncFnOnce(CancellationToken) -> Result<T, Failure>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::failed("LF-SRV-001", error))?
        .block_on(async { work(stop_on_signals()?).await })
}

/// The exit code of failed work on backups and bundles.
fn of_kind(code: &str, error: &registry::Error, text: String) -> Failure {
    match kind_of(error) {
        FailureKind::Full => Failure::no_room(code, text),
        FailureKind::Missing => Failure::missing(code, text),
        FailureKind::Conflict => Failure::held(code, text),
        FailureKind::Damaged => Failure::problems(format!("error[{code}]: {text}")),
        FailureKind::Stopped => Failure::interrupted(format!(
            "interrupted: {text}\n  fix   run the same command again: what was copied need not be copied again"
        )),
        FailureKind::Other => Failure::failed(code, text),
    }
}

/// What a failed operation of the registry means to whoever typed the command.
pub(crate) fn failure(code: &str, error: &registry::Error) -> Failure {
    let text = match error {
        // No disk failed.
        registry::Error::Store(inner @ (store::Error::NotEmpty { .. } | store::Error::Reviving { .. })) => {
            inner.to_string()
        }
        error => with_causes(error),
    };
    match error {
        registry::Error::Closing => Failure::interrupted(
            "interrupted; everything up to here is kept, and the same command goes on from here",
        ),
        registry::Error::NoRoom => Failure::no_room(
            code,
            "the disk is full\n  fix   free some space, then run the same command again: it goes on from here",
        ),
        registry::Error::Backup(_)
        | registry::Error::Bundle(_)
        | registry::Error::Store(store::Error::NotEmpty { .. } | store::Error::Reviving { .. })
        | registry::Error::ReadOnly
        | registry::Error::ReadOnlyMode { .. }
        | registry::Error::TagImmutable { .. }
        | registry::Error::RepositoryImmutable(_)
        | registry::Error::OverQuota(_) => of_kind(code, error, text),
        registry::Error::RepositoryUnknown(_) | registry::Error::Adopt(_) => Failure::missing(code, text),
        registry::Error::Source(SourceError::Folder { source, .. })
            if source.kind() == ErrorKind::NotFound =>
        {
            Failure::missing(code, text)
        }
        registry::Error::Source(SourceError::Folder { .. }) => Failure::answered(code, text, 2),
        registry::Error::Remote(RemoteError::Login { .. })
        | registry::Error::Source(SourceError::Remote(RemoteError::Login { .. })) => {
            Failure::denied(code, text)
        }
        registry::Error::Remote(RemoteError::Unreachable { .. })
        | registry::Error::Source(SourceError::Remote(RemoteError::Unreachable { .. })) => {
            Failure::temporary(
                code,
                format!("{text}\n  fix   run the same command again when it answers: it goes on from here"),
            )
        }
        _ => Failure::failed(code, text),
    }
}
