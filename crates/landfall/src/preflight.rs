//! Before a server with a name serves: what would keep clients or an authority from reaching it. Explains, never refuses.
//!
//! Shape: one line for each look, the same looks as `doctor` takes. Whatever waits for the network waits `PATIENCE` at most.
//! Fails: never.

use std::sync::Arc;
use std::time::Duration;

use config::Settings;

use crate::checks::{Check, State, clock, local, names};
use crate::https::{self, Plan};

const PATIENCE: Duration = Duration::from_secs(5);

/// `ports` is how binding went.
pub(crate) async fn look(settings: &Settings, plan: &Plan, ports: Vec<Check>) {
    let authority = plan.acme.as_ref().map(|acme| acme.directory.clone());
    let time = authority
        .clone()
        .map(|url| waited(move || clock::of_server(&url, PATIENCE)));
    let found: Vec<_> = plan
        .names
        .iter()
        .map(|name| {
            let name = Arc::new(name.clone());
            let asked = Arc::clone(&name);
            (name, waited(move || names::name(&asked)))
        })
        .collect();
    let theirs = match time {
        Some(time) => time.await.flatten(),
        None => None,
    };
    let whose = authority.as_deref().map(clock::host_of).unwrap_or_default();
    say(&clock::clock(https::now(), theirs.map(|theirs| (theirs, whose))));
    for (name, check) in found {
        let silent = || {
            Check::note(
                "name",
                format!("the DNS of this machine does not answer for {name}"),
            )
            .code("LF-TLS-031")
        };
        say(&check.await.unwrap_or_else(silent));
    }
    if let Some(acme) = &plan.acme {
        for name in plan.names.iter().filter(|name| !acme.names.contains(name)) {
            let found = format!(
                "{name} is not a public name: {} is not asked, the local CA signs for it",
                acme.directory
            );
            say(&Check::note("authority", found));
        }
    }
    ports.iter().for_each(say);
    let mut checks = Vec::new();
    local::room_for(&settings.storage, &mut checks);
    checks.iter().for_each(say);
}

/// Runs beside the others, and is not waited for longer than `PATIENCE`.
fn waited<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Option<T>> {
    let running = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(look));
    async { running.await.ok()?.ok() }
}

fn say(check: &Check) {
    let (mark, name, found) = (check.state.mark(), check.name, &check.found);
    match (check.state, check.code) {
        (State::Good, _) | (State::Note, None) => tracing::info!("preflight {mark} {name}: {found}"),
        (_, code) => {
            let fix = check
                .fix
                .as_ref()
                .map_or_else(String::new, |fix| format!("\n  fix   {fix}"));
            tracing::warn!(code, "preflight {mark} {name}: {found}{fix}");
        }
    }
}
