//! `landfall adopt`: takes over what another registry holds, from its folder, which stays as it was, or by asking it while
//! it runs.
//!
//! Works on the data folder itself, so no server may run on it (exit 6). Exit codes: 4 the login is refused, 5 no registry
//! in that folder, 8 the registry does not answer, 9 no room, 130 interrupted. What is damaged is told and left out; that
//! is no failure.

mod outcome;
mod starting;

use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use config::Settings;
use oci::RepositoryName;
use registry::adopt::{Damage, Destination, Progress, Verify, Watcher};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::offline::{self, Offline, failure};
use super::progress::{Meter, Reached};
use crate::cli::Configured;
use crate::failure::Failure;
use crate::remote::{HttpRemote, Login};
use crate::url_login::{self, is_address};
use outcome::{Outcome, Room};
pub(crate) use starting::before_requests;

/// Arguments of `adopt`.
#[derive(Args, Debug)]
pub(crate) struct AdoptArguments {
    /// The root directory of the other registry, that holds docker/registry/v2; or the address of one that runs
    #[arg(value_name = "PATH|URL")]
    source: String,
    /// Of a running registry: this repository only; may be given several times
    #[arg(long = "repo", value_name = "NAME")]
    repositories: Vec<RepositoryName>,
    /// Of a running registry: who asks
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Of a running registry: read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    #[command(flatten)]
    configured: Configured,
    /// Say what would happen, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How much of the content is checked before it is served
    #[arg(long, value_enum, default_value_t = Checks::Full)]
    verify: Checks,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// How much is checked.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Checks {
    /// Nothing but manifests; quick on a slow disk
    Deferred,
    /// Manifests, and sizes against them
    Size,
    /// Every byte
    Full,
}

impl From<Checks> for Verify {
    fn from(checks: Checks) -> Self {
        match checks {
            Checks::Deferred => Self::Deferred,
            Checks::Size => Self::Size,
            Checks::Full => Self::Full,
        }
    }
}

/// Adopts, or says what adopting would do.
pub(crate) fn run(arguments: &AdoptArguments) -> Result<(), Failure> {
    let settings = super::config::settings(&arguments.configured.serve())?.settings;
    let remote = remote(arguments)?;
    offline::run(async |stop| {
        let mut talk = Talk(Meter::new("adopt", arguments.json));
        let done = if arguments.dry_run {
            survey(arguments, &settings, remote, &mut talk, &stop).await
        } else {
            adopt(arguments, &settings, remote, &mut talk, &stop).await
        };
        talk.0.clear();
        outcome::tell(arguments, &done?);
        Ok(())
    })
}

async fn adopt(
    arguments: &AdoptArguments,
    settings: &Settings,
    remote: Option<Arc<HttpRemote>>,
    talk: &mut Talk,
    stop: &CancellationToken,
) -> Result<Outcome, Failure> {
    let registry = Offline::open(settings).await?;
    let adopted = if let Some(remote) = remote {
        registry
            .adopt_from(remote, &arguments.repositories, talk, stop)
            .await
    } else {
        let source = Path::new(&arguments.source);
        registry.adopt(source, arguments.verify.into(), talk, stop).await
    };
    registry.close().await;
    let report = adopted.map_err(|error| match error {
        registry::Error::Closing => Failure::interrupted(format!(
            "interrupted: {}, and what was brought stays; the rest was not brought\n  fix   run the same command again: it goes on from here",
            talk.0.so_far()
        )),
        error => failure("LF-ADO-001", &error),
    })?;
    Ok(Outcome { report, room: None })
}

async fn survey(
    arguments: &AdoptArguments,
    settings: &Settings,
    remote: Option<Arc<HttpRemote>>,
    talk: &mut Talk,
    stop: &CancellationToken,
) -> Result<Outcome, Failure> {
    let place = super::serve::Place::of(settings)?;
    let destination = Destination {
        folder: place.root().to_owned(),
        inline_bytes_max: settings.storage.inline_bytes_max,
    };
    let surveyed = if let Some(remote) = remote {
        registry::adopt::survey_from(remote, &arguments.repositories, talk, stop).await
    } else {
        let source = Path::new(&arguments.source);
        registry::adopt::survey(source, arguments.verify.into(), &destination, talk, stop).await
    };
    let report = surveyed.map_err(|error| match error {
        registry::Error::Closing => Failure::interrupted(format!(
            "interrupted: {}; nothing was written, as in every dry run",
            talk.0.so_far()
        )),
        error => failure("LF-ADO-001", &error),
    })?;
    let room = Room::of(&report, &destination.folder);
    Ok(Outcome {
        report,
        room: Some(room),
    })
}

/// The running registry that is meant, if one is.
fn remote(arguments: &AdoptArguments) -> Result<Option<Arc<HttpRemote>>, Failure> {
    if !is_address(&arguments.source) {
        if arguments.source.contains("://") {
            return Err(Failure::usage(format!(
                "{}: the address of a registry begins with http:// or https://",
                arguments.source
            )));
        }
        if arguments.username.is_some() || !arguments.repositories.is_empty() {
            return Err(Failure::usage(
                "--username and --repo belong to a running registry; give its address, such as https://registry.example.com",
            ));
        }
        return Ok(None);
    }
    if arguments.verify != Checks::Full {
        return Err(Failure::usage(
            "--verify belongs to a folder; what a running registry sends is always hashed",
        ));
    }
    let address = url_login::typed(&arguments.source);
    let login = match &arguments.username {
        Some(_) if address != arguments.source => {
            return Err(Failure::usage(
                "one login is enough: in the address, or with --username",
            ));
        }
        Some(user) => Some(Login {
            user: user.clone(),
            password: password()?,
        }),
        None => None,
    };
    if address != arguments.source {
        url_login::warn("--username NAME --password-stdin");
    }
    let remote = HttpRemote::new(&address, login)
        .map_err(|error| failure("LF-ADO-001", &registry::Error::from(error)))?;
    Ok(Some(Arc::new(remote)))
}

fn password() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::failed("LF-ADO-002", format!("the password cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tells a person.
struct Talk(Meter);

impl Watcher for Talk {
    fn progress(&mut self, now: &Progress) {
        self.0.show(Reached {
            repositories: (now.repositories, now.repositories_total),
            blobs: now.blobs,
            bytes: (now.bytes, None),
        });
    }

    fn damage(&mut self, damage: &Damage) {
        self.0.say(&format!("warning: {damage}"));
    }
}
