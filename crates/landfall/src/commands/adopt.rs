//! `landfall adopt`: takes over what another registry holds, from its folder, which stays as it was, or by asking it while
//! it runs.
//!
//! Works on the data folder itself, so no server may run on it (exit 6). Exit codes: 4 the login is refused, 5 no registry
//! in that folder, 8 the registry does not answer, 9 no room, 130 interrupted. What is damaged is told and left out; that
//! is no failure.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use oci::RepositoryName;
use registry::Registry;
use registry::adopt::{Damage, Progress, Report, Verify, Watcher};
use serde::Serialize;
use server::Health;
use tokio_util::sync::CancellationToken;

use super::offline::{self, Offline, failure};
use super::progress::{Meter, size};
use crate::cli::Configured;
use crate::failure::Failure;
use crate::output;
use crate::remote::{HttpRemote, Login};

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

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    source: &'a str,
    dry_run: bool,
    verify: Checks,
    /// Whether blobs become further names of the same files; only known of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_link: Option<bool>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Adopts, or says what adopting would do.
pub(crate) fn run(arguments: &AdoptArguments) -> Result<(), Failure> {
    let settings = super::config::settings(&arguments.configured.serve())?.settings;
    let remote = remote(arguments)?;
    let source = Path::new(&arguments.source);
    offline::run(async |stop| {
        let mut talk = Talk(Meter::new("adopt", arguments.json));
        let verify = match arguments.verify {
            Checks::Deferred => Verify::Deferred,
            Checks::Size => Verify::Size,
            Checks::Full => Verify::Full,
        };
        let outcome = if arguments.dry_run {
            registry::adopt::survey(source, verify, &mut talk, &stop).await
        } else {
            let registry = Offline::open(&settings).await?;
            let adopted = match remote {
                Some(remote) => {
                    registry
                        .adopt_from(remote, &arguments.repositories, &mut talk, &stop)
                        .await
                }
                None => registry.adopt(source, verify, &mut talk, &stop).await,
            };
            registry.close().await;
            adopted
        };
        talk.0.clear();
        let report = outcome.map_err(|error| failure("LF-ADO-001", &error))?;
        let would_link = arguments.dry_run.then(|| {
            super::serve::Place::of(&settings).is_ok_and(|place| same_file_system(source, place.root()))
        });
        if arguments.json {
            output::json(&Answer {
                schema: "landfall.adopt/1",
                source: &arguments.source,
                dry_run: arguments.dry_run,
                verify: arguments.verify,
                would_link,
                report: &report,
            });
        } else {
            print(arguments, &report, would_link);
        }
        Ok(())
    })
}

/// The running registry that is meant, if one is.
fn remote(arguments: &AdoptArguments) -> Result<Option<Arc<HttpRemote>>, Failure> {
    if !is_address(&arguments.source) {
        if arguments.username.is_some() || !arguments.repositories.is_empty() {
            return Err(Failure::usage(
                "--username and --repo belong to a running registry; give its address, such as https://registry.example.com",
            ));
        }
        return Ok(None);
    }
    if arguments.dry_run || arguments.verify != Checks::Full {
        return Err(Failure::usage(
            "--dry-run and --verify belong to a folder; what a running registry sends is always hashed",
        ));
    }
    let login = match &arguments.username {
        Some(user) => Some(Login {
            user: user.clone(),
            password: password()?,
        }),
        None => None,
    };
    let remote = HttpRemote::new(&arguments.source, login)
        .map_err(|error| failure("LF-ADO-001", &registry::Error::from(error)))?;
    Ok(Some(Arc::new(remote)))
}

fn is_address(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

fn password() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::failed("LF-ADO-002", format!("the password cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

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

/// Tells a person.
struct Talk(Meter);

impl Watcher for Talk {
    fn progress(&mut self, now: &Progress) {
        self.0
            .show(now.repositories, now.repositories_total, now.blobs, now.bytes);
    }

    fn damage(&mut self, damage: &Damage) {
        self.0.say(&format!("warning: {damage}"));
    }
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

fn print(arguments: &AdoptArguments, report: &Report, would_link: Option<bool>) {
    let verb = if arguments.dry_run {
        "would adopt"
    } else {
        "adopted"
    };
    if let Some(cursor) = &report.resumed_after {
        output::line(format!(
            "went on after {cursor}, where an earlier run ended; the numbers are of this run"
        ));
    }
    output::line(format!(
        "{verb} {} repositories, {} tags, {} manifests, {} blobs, {} from {}",
        report.repositories,
        report.tags,
        report.manifests,
        report.blobs,
        size(report.bytes),
        arguments.source
    ));
    match would_link {
        Some(true) => output::line("blobs would be further names of the same files: no room needed"),
        Some(false) => output::line(format!(
            "another file system: blobs would be cloned or copied, {} at most",
            size(report.bytes)
        )),
        None if is_address(&arguments.source) => {
            output::line(format!(
                "fetched and hashed {} blobs, {}",
                report.copied,
                size(report.bytes_copied)
            ));
        }
        None => output::line(format!(
            "{} blobs are further names of the same files, {} clones, {} copies ({}); the source is as it was",
            report.linked,
            report.cloned,
            report.copied,
            size(report.bytes_copied)
        )),
    }
    let rest = [
        (report.damage_count, "damages, each named above".to_owned()),
        (
            report.tags_kept,
            "tags that were changed here later and stay as they are".to_owned(),
        ),
        (
            report.manifests_deleted,
            "manifests that were deleted here and stay so".to_owned(),
        ),
        (
            report.schema1,
            "manifests of Docker schema 1, served but of no use to a client of today".to_owned(),
        ),
        (
            report.unlinked,
            format!(
                "files ({}) that no repository links, left where they are",
                size(report.bytes_unlinked)
            ),
        ),
        (
            report.uploads,
            "half-done uploads, left where they are".to_owned(),
        ),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        output::line(format!("{count} {what}"));
    }
    if report.bytes_untagged > 0 {
        output::line(format!("{} that no tag leads to", size(report.bytes_untagged)));
    }
}

/// Whether a file in one folder could have a further name in the other, which need not exist yet.
fn same_file_system(source: &Path, data: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let existing = data.ancestors().find_map(device);
    existing.is_some() && device(&source.join("docker/registry/v2")) == existing
}
