//! `landfall backup`: makes a backup of a server that goes on working, or of a data folder that none runs on; lists backups
//! and reads them back.
//!
//! Exit codes: 5 no such backup, 6 the place is none or another one goes on, 7 content is damaged, 9 no room, 130 interrupted.

mod planned;
pub(crate) mod work;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use oci::{counted, either};
use registry::backup::{self as domain, Reached, Verified};
use serde::Serialize;
use server::api::{Backup, BackupOutcome, BackupRequest, BackupStatus, Item as _, List};
use tokio_util::sync::CancellationToken;

use super::offline::{self, failure};
use super::progress::{Meter, size};
use crate::admin::{Table, Target, encode, print_json};
use crate::arguments::whole;
use crate::failure::Failure;
use crate::output;
pub(crate) use planned::planned;
use work::{Work, absolute, meter_of, say};

/// Arguments of `backup`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BackupArguments {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    #[command(flatten)]
    make: MakeArguments,
}

/// What to do about backups, other than to make one.
#[derive(Subcommand, Debug)]
enum BackupCommand {
    /// The backups in a folder
    #[command(after_help = "\
Examples:
  landfall backup list /mnt/disk/landfall
  landfall backup list --json --server https://registry.example.com --user admin")]
    List(ListArguments),
    /// Read backups back, and say what is damaged
    #[command(after_help = "\
Examples:
  landfall backup verify /mnt/disk/landfall                             all of them
  landfall backup verify /mnt/disk/landfall --backup 20261125T210500Z   one")]
    Verify(VerifyArguments),
    /// What a server does about backups: which one goes on, which was the last, when the next begins
    #[command(after_help = "\
Examples:
  landfall backup status                    of the server that runs here
  landfall backup status --json --server https://registry.example.com --user admin")]
    Status(StatusArguments),
}

/// Arguments of `backup` alone.
#[derive(Args, Debug)]
struct MakeArguments {
    /// The folder of backups: empty, or one that holds some; `backup.to` of the server if absent
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// How many of the latest backups stay there; all, if absent
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=u32::MAX.into()))]
    keep: Option<u32>,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `backup list`.
#[derive(Args, Debug)]
struct ListArguments {
    /// The folder of backups; `backup.to` of the server if absent
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `backup verify`.
#[derive(Args, Debug)]
struct VerifyArguments {
    /// The folder of backups
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Only the backup of this time
    #[arg(long, value_name = "TIME")]
    backup: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `backup status`.
#[derive(Args, Debug)]
struct StatusArguments {
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub(crate) fn run(arguments: &BackupArguments) -> Result<(), Failure> {
    match &arguments.command {
        None => make(&arguments.make),
        Some(BackupCommand::List(arguments)) => list(arguments),
        Some(BackupCommand::Verify(arguments)) => verify(arguments),
        Some(BackupCommand::Status(arguments)) => status(&arguments.target),
    }
}

fn make(arguments: &MakeArguments) -> Result<(), Failure> {
    let keep = arguments
        .keep
        .map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
    let work = Work {
        name: "backup",
        code: "LF-BAK-001",
        target: &arguments.target,
        may_be_new: false,
    };
    let to = work.path(arguments.to.as_deref())?;
    let request = BackupRequest {
        to: to.as_ref().map(|to| to.display().to_string()),
        keep: arguments.keep,
    };
    let configured = work.settings()?.backup.to;
    work.run("/api/v1/backup", &request, async |registry, each, stop| {
        let to = to.or(configured).ok_or_else(|| {
            Failure::usage(
                "nothing says where to\n  fix   --to FOLDER, or set backup.to in the configuration",
            )
        })?;
        let done = registry.backup(&to, keep, each, &stop).await;
        done.map(BackupOutcome::from)
            .map_err(|error| failure("LF-BAK-001", &error))
    })
}

/// Those of a folder here, or of the folder that a server elsewhere uses.
fn listed(arguments: &ListArguments) -> Result<Vec<Backup>, Failure> {
    let folder = arguments.folder.as_deref();
    if arguments.target.is_remote() {
        let query = folder.map_or_else(String::new, |folder| {
            format!("?folder={}", encode(&folder.display().to_string()))
        });
        let api = arguments.target.open()?;
        return api.list(&format!("/api/v1/backup/list{query}")).collect();
    }
    let configured = match folder {
        Some(folder) => Some(folder.to_owned()),
        None => {
            super::config::settings(&arguments.target.configured().serve())?
                .settings
                .backup
                .to
        }
    };
    let folder = configured.ok_or_else(|| {
        Failure::usage(
            "nothing says which folder\n  fix   give FOLDER, or set backup.to in the configuration",
        )
    })?;
    let listed = domain::list(&folder).map_err(|error| failure("LF-BAK-001", &error.into()))?;
    Ok(listed.into_iter().map(Into::into).collect())
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let backups = listed(arguments)?;
    if arguments.target.json {
        output::json(&List {
            schema: Backup::LIST.to_owned(),
            items: backups,
            next: None,
        });
        return Ok(());
    }
    if backups.is_empty() {
        let place = arguments
            .folder
            .as_ref()
            .map_or_else(|| "backup.to".to_owned(), |folder| folder.display().to_string());
        output::line(format!("there is no backup in {place} yet"));
        return Ok(());
    }
    let mut table = Table::new(&["BACKUP", ">REPOSITORIES", ">TAGS", ">BLOBS", ">SIZE", "NOTES"]);
    for backup in backups {
        let note = match (&backup.problem, backup.damaged.len()) {
            (Some(problem), _) => problem.clone(),
            (None, 0) => String::new(),
            (None, count) => format!("{} had no good bytes", counted(count, "blob")),
        };
        table.row([
            backup.time,
            backup.repositories.to_string(),
            backup.tags.to_string(),
            backup.blobs.to_string(),
            size(backup.bytes),
            note,
        ]);
    }
    table.print();
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    folder: &'a Path,
    is_whole: bool,
    #[serde(flatten)]
    verified: &'a Verified,
}

fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let verified = offline::run(async |stop: CancellationToken| {
        let mut meter = Meter::new("verify", arguments.json);
        let (folder, time) = (arguments.folder.clone(), arguments.backup.clone());
        let verified = tokio::task::spawn_blocking(move || {
            let mut each = |reached: &Reached| meter.show(meter_of(&(*reached).into()));
            let verified = domain::verify(&folder, time.as_deref(), &mut each, &stop);
            meter.clear();
            verified
        })
        .await
        .map_err(|failed| Failure::failed("LF-BAK-001", failed))?;
        verified.map_err(|error| failure("LF-BAK-001", &error.into()))
    })?;
    if arguments.json {
        output::json(&Answer {
            schema: "landfall.backup.verify/1",
            folder: &arguments.folder,
            is_whole: verified.is_whole(),
            verified: &verified,
        });
    } else {
        for problem in &verified.problems {
            output::line(format!("backup {}: {}", problem.backup, problem.reason));
        }
        for blob in &verified.damaged {
            let known = if blob.known {
                " (it was when the backup was made)"
            } else {
                ""
            };
            output::line(format!(
                "{}: {}{known}; named by {}",
                blob.digest,
                blob.reason,
                blob.backups.join(", ")
            ));
        }
        output::line(format!(
            "read {}, {}, {}: {}",
            counted(verified.backups.len(), "backup"),
            counted(verified.blobs, "blob"),
            size(verified.bytes),
            if verified.is_whole() {
                "all whole"
            } else {
                "not all whole"
            }
        ));
    }
    if verified.is_whole() {
        return Ok(());
    }
    Err(Failure::problems(unsound(&verified, &arguments.folder)))
}

/// What is wrong, how much of it, and what to do.
fn unsound(verified: &Verified, folder: &Path) -> String {
    let (records, blobs) = (verified.problems.len(), verified.damaged_count);
    let known = verified.damaged.iter().filter(|blob| blob.known).count();
    let mut what = Vec::new();
    if records > 0 {
        what.push(format!("{} cannot be brought back", counted(records, "backup")));
    }
    if blobs > 0 {
        what.push(format!(
            "{} {} missing or damaged",
            counted(blobs, "blob"),
            either(blobs, "is", "are")
        ));
    }
    let unnamed = blobs.saturating_sub(verified.damaged.len() as u64);
    if unnamed > 0 {
        what.push(format!("{unnamed} of those are not named above"));
    }
    let mut fixes = Vec::new();
    if records > 0 {
        fixes.push("restore another backup: `landfall backup list` shows them".to_owned());
    }
    if blobs > known as u64 {
        fixes.push(format!(
            "make another backup with `landfall backup --to {}`: bytes that are missing or shorter are copied again if the \
             registry has them; of others remove the file in blobs/ first",
            folder.display()
        ));
        fixes.push(
            "to restore before that: `landfall restore --partial` brings all but these blobs back".to_owned(),
        );
    }
    if known > 0 {
        fixes.push(
            "what the registry itself had no good bytes of comes with a push of its image, then another backup"
                .to_owned(),
        );
    }
    format!(
        "error[LF-BAK-003]: {}\n  fix   {}",
        what.join(", and "),
        fixes.join("\n        ")
    )
}

fn status(target: &Target) -> Result<(), Failure> {
    let status: BackupStatus = target.open()?.get("/api/v1/backup")?;
    if target.json {
        print_json(status);
        return Ok(());
    }
    match &status.to {
        Some(to) => output::line(format!("to      {to}")),
        None => output::line("to      nowhere by itself (backup.to is not set)"),
    }
    if let Some(next) = status.next_at {
        output::line(format!("next    {next}"));
    }
    match &status.job {
        None => output::line("last    none since the server started"),
        Some(job) => {
            output::line(format!("began   {}  {}", job.started_at, job.place));
            if let Some(ended) = job.ended_at {
                output::line(format!("ended   {ended}"));
            }
            match &job.outcome {
                BackupOutcome::Running => output::line(format!(
                    "now     {} of {}, {} of {}",
                    job.progress.blobs,
                    counted(job.progress.blobs_total, "blob"),
                    size(job.progress.bytes),
                    size(job.progress.bytes_total)
                )),
                BackupOutcome::Failed { message, .. } => output::line(format!("failed  {message}")),
                outcome => say(outcome, &job.place),
            }
        }
    }
    Ok(())
}

/// A folder as the server must be told of it.
pub(crate) fn told(path: &Path) -> Result<String, Failure> {
    Ok(absolute(path)?.display().to_string())
}
