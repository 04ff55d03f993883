//! SIGHUP: the configuration is read again, and what a running server can change takes effect for the next request.
//!
//! A configuration that cannot be used changes nothing and is logged as an error. What needs a start is named. Running
//! requests keep what they began with.

use std::sync::Arc;

use config::{Auth, Loaded, Settings, Values, differences};
use registry::Registry;
use server::{Context, Live};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::systemd::{State, notify};
use crate::url_login::hidden_in;
use crate::{logging, wiring};

/// What reloads change, and what they compare with.
pub(crate) struct Reload {
    pub(crate) arguments: ServeArguments,
    /// As they were at the start: what needs a start still has these values.
    pub(crate) started: Values,
    /// As they were last taken over.
    pub(crate) settings: Settings,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: Registry,
    pub(crate) log: logging::Control,
}

/// Catches SIGHUP from now on; without this it would end the process.
pub(crate) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| Failure::failed("LF-SRV-001", error))
}

impl Reload {
    /// Reloads at each signal, until `stop`.
    pub(crate) async fn run(mut self, mut hangups: Signal, stop: CancellationToken) {
        let mut values = self.started.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = hangups.recv() => if received.is_none() { return },
            }
            notify(State::Reloading);
            if let Some(taken) = self.once(&values).await {
                values = taken;
            }
            notify(State::Ready);
        }
    }

    /// One reload; the new values if they were taken over.
    async fn once(&mut self, values: &Values) -> Option<Values> {
        let arguments = self.arguments.clone();
        let loading = tokio::task::spawn_blocking(move || wiring::load(&arguments)).await;
        let loaded = match loading {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => {
                for error in &problems.errors {
                    tracing::error!(code = error.code(), "{}", hidden_in(&error.one_line()));
                }
                tracing::error!("the new configuration cannot be used; the old one stays in force");
                return None;
            }
            Err(stopped) => {
                tracing::error!(%stopped, "the configuration could not be read; the old one stays in force");
                return None;
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{}", hidden_in(&warning.one_line()));
        }
        if let Err(failure) = self.take_over(&loaded).await {
            tracing::error!("{failure}");
            tracing::error!("the new configuration cannot be used; the old one stays in force");
            return None;
        }
        let changed: Vec<_> = differences(values, &loaded.values)
            .into_iter()
            .filter_map(|one| one.reloads.then_some(one.key))
            .collect();
        let waiting: Vec<_> = differences(&self.started, &loaded.values)
            .into_iter()
            .filter_map(|one| (!one.reloads).then_some(one.key))
            .collect();
        tracing::info!(
            changed = changed.join(" "),
            "the configuration was read again and is in force"
        );
        if !waiting.is_empty() {
            tracing::warn!(
                settings = waiting.join(" "),
                "these settings have changed and need a restart"
            );
        }
        Some(loaded.values)
    }

    /// All of it, or an error and nothing.
    async fn take_over(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        let new = &loaded.settings;
        let now = self.live.now();
        let mut rules = wiring::rules(new)?;
        let bound = self.registry.rules();
        (rules.inline_bytes_max, rules.upload_idle_ms) = (bound.inline_bytes_max, bound.upload_idle_ms);
        rules.upload_purge_dry = bound.upload_purge_dry;
        let access = match (&self.settings.auth, &new.auth) {
            (old, auth) if old == auth => now.access.clone(),
            (Auth::Htpasswd { .. }, Auth::NotConfigured) => {
                // Which addresses are open was decided at the start, with logins in mind.
                tracing::warn!("no login is configured any more: until a restart, logins stay as they were");
                now.access.clone()
            }
            _ => {
                let settings = new.clone();
                tokio::task::spawn_blocking(move || wiring::authenticator(&settings))
                    .await
                    .map_err(|stopped| Failure::failed("LF-SRV-001", stopped))??
            }
        };
        let options = server::Options {
            connections_max: now.options.connections_max,
            ..wiring::options(new)
        };
        let access_log = if self.settings.log.access_log == new.log.access_log {
            now.access_log.clone()
        } else {
            wiring::access_log(new, &self.log)?
        };
        self.log.set(&new.log);
        self.registry.set_rules(rules);
        self.live.replace(Context {
            access,
            origin: wiring::origin(new),
            access_log,
            options,
            ..Context::clone(&now)
        });
        self.settings = new.clone();
        Ok(())
    }
}
