//! `landfall gc`: garbage collection as it stands on a running server, and the orders to hurry, pause and resume it.
//!
//! Collection goes on by itself; nobody needs to run it.

use clap::{Args, Subcommand};
use oci::{RepositoryName, counted, either};
use server::api::{GcPause, GcResumed, GcRun, GcRunRequest, GcStatus, GcUrgent, GcWaiting, PendingKind};

use super::progress::size;
use crate::admin::{Consent, Table, Target, now, print_json, until};
use crate::failure::Failure;
use crate::output;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum GcCommand {
    /// What waits to be collected, how many bytes, and when they are gone
    #[command(after_help = "\
Examples:
  landfall gc status                        of the server that runs here
  landfall gc status --json --server https://registry.example.com --user admin")]
    Status(GcArguments),
    /// Collect what is due now, instead of soon
    #[command(after_help = "\
Examples:
  landfall gc run                           of the server that runs here
  landfall gc run --urgent team/app --dry-run   what ending its trash at once would free")]
    Run(RunArguments),
    /// Collect nothing for a day, or until it is resumed
    #[command(after_help = "\
Examples:
  landfall gc pause                         such as before a copy of the data folder
  landfall gc pause --json --data /var/lib/registry")]
    Pause(GcArguments),
    /// End every pause
    #[command(after_help = "\
Examples:
  landfall gc resume
  landfall gc resume --json --data /var/lib/registry")]
    Resume(GcArguments),
}

/// Arguments of each of them.
#[derive(Args, Debug)]
pub(crate) struct GcArguments {
    #[command(flatten)]
    target: Target,
}

/// Arguments of `gc run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// End the trash of these repositories now, for good, and their leases in an hour
    #[arg(long, value_name = "REPO", num_args = 1..)]
    urgent: Vec<RepositoryName>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub(crate) fn run(command: &GcCommand) -> Result<(), Failure> {
    match command {
        GcCommand::Status(arguments) => status(&arguments.target),
        GcCommand::Run(arguments) => hurry(arguments),
        GcCommand::Pause(arguments) => pause(&arguments.target),
        GcCommand::Resume(arguments) => resume(&arguments.target),
    }
}

fn status(target: &Target) -> Result<(), Failure> {
    let status: GcStatus = target.open()?.get("/api/v1/gc")?;
    if target.json {
        print_json(status);
        return Ok(());
    }
    let now = now();
    let mut table = Table::new(&["WAITING", ">COUNT", ">SIZE", "FIRST", "ALL GONE"]);
    let pending = &status.pending;
    let kinds: [(&str, &PendingKind); 5] = [
        ("trash", &pending.trash),
        ("deleted repositories", &pending.repositories),
        ("leased", &pending.leased),
        ("files", &pending.files),
        ("quarantine", &pending.quarantine),
    ];
    for (name, kind) in kinds {
        table.row([
            name.to_owned(),
            kind.count.to_string(),
            size(kind.bytes),
            until(kind.first_at, now),
            until(kind.gone_by, now),
        ]);
    }
    table.print();
    if status.bytes_held {
        output::line("something, such as a backup, keeps all bytes for now");
    }
    if let Some(waiting) = &status.waiting {
        output::line(sentence(waiting));
    }
    Ok(())
}

fn hurry(arguments: &RunArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    if arguments.consent.dry_run && arguments.urgent.is_empty() {
        return Err(Failure::usage("--dry-run shows what --urgent REPO would do"));
    }
    let api = target.open()?;
    let mut wanted = GcRunRequest {
        urgent: arguments.urgent.iter().map(ToString::to_string).collect(),
        dry_run: true,
    };
    if !wanted.urgent.is_empty() {
        let plan: GcRun = api.post("/api/v1/gc/run", &wanted)?;
        if arguments.consent.dry_run && target.json {
            print_json(plan);
            return Ok(());
        }
        let question = "End it for good?";
        if !arguments.consent.asked(&described(&plan.urgent), question)? {
            return Ok(());
        }
    }
    wanted.dry_run = false;
    let run: GcRun = api.post("/api/v1/gc/run", &wanted)?;
    if target.json {
        print_json(run);
        return Ok(());
    }
    output::line(format!(
        "{} {} gone for good, {} {} no place any more, {} {} removed: {}",
        counted(run.purged, "manifest"),
        either(run.purged, "is", "are"),
        counted(run.blobs, "blob"),
        either(run.blobs, "has", "have"),
        counted(run.files, "file"),
        either(run.files, "was", "were"),
        size(run.bytes)
    ));
    if let Some(waiting) = &run.waiting {
        output::line(sentence(waiting));
    }
    Ok(())
}

/// The plan, as lines.
fn described(plan: &[GcUrgent]) -> String {
    let line = |one: &GcUrgent| {
        format!(
            "{}: {} in the trash could never be restored; {} would be free by {}\n",
            one.repository,
            counted(one.manifests, "manifest"),
            size(one.bytes),
            one.gone_by
        )
    };
    plan.iter().map(line).collect()
}

fn pause(target: &Target) -> Result<(), Failure> {
    let pause: GcPause = target.open()?.post("/api/v1/gc/pause", &Nothing {})?;
    if target.json {
        print_json(pause);
    } else {
        output::line(format!(
            "nothing is collected until {}, unless `landfall gc resume` ends that before",
            pause.until
        ));
    }
    Ok(())
}

fn resume(target: &Target) -> Result<(), Failure> {
    let resumed: GcResumed = target.open()?.post("/api/v1/gc/resume", &Nothing {})?;
    if target.json {
        print_json(resumed);
    } else if resumed.was_paused {
        output::line("collection goes on");
    } else {
        output::line("there was no pause");
    }
    Ok(())
}

/// A request that says nothing more.
#[derive(serde::Serialize)]
struct Nothing {}

/// Why less is collected than is due.
pub(super) fn sentence(waiting: &GcWaiting) -> String {
    match waiting {
        GcWaiting::ReadOnly => {
            "the registry is read-only: nothing is collected; `landfall mode` says by whom, and takes writes again"
                .to_owned()
        }
        GcWaiting::Started { until } => {
            format!("the server has just started: nothing becomes garbage before {until}")
        }
        GcWaiting::Paused { by, until } => {
            format!("paused by {by} until {until}; `landfall gc resume` ends that")
        }
        GcWaiting::Clock { by, until } => {
            format!("paused until {until}: {by}; if the clock is right now, `landfall gc resume` ends that")
        }
    }
}
