//! `landfall restore`: a new data folder out of a backup, or one repository of it back into a registry.
//!
//! Exit codes: 5 no such backup or repository, 6 the folder is not empty, 7 the backup is damaged, 9 no room, 130 interrupted.

use std::path::PathBuf;

use clap::Args;
use oci::{RepositoryName, counted, either};
use registry::SystemClock;
use registry::backup::{Reached, RestoreFrom, RestoreRepository, Restored, restore};
use serde::Serialize;
use server::api::{BackupOutcome, RestoreRequest};

use super::backup::told;
use super::backup::work::{Work, meter_of, root_of};
use super::offline::{self, failure};
use super::progress::{Meter, size};
use crate::admin::Target;
use crate::failure::Failure;
use crate::output;

/// Arguments of `restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The folder of backups
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The backup of this time; the last one, if absent
    #[arg(long, value_name = "TIME")]
    backup: Option<String>,
    /// Only this repository, into the registry of --data, which may run
    #[arg(long, value_name = "NAME")]
    repo: Option<RepositoryName>,
    /// What that repository is called from now on
    #[arg(long = "as", value_name = "NAME", requires = "repo")]
    into: Option<RepositoryName>,
    /// Go on where blobs of the backup are damaged: images that need them cannot be pulled until they are pushed again
    #[arg(long, conflicts_with = "repo")]
    partial: bool,
    #[command(flatten)]
    target: Target,
}

const CODE: &str = "LF-BAK-004";

/// Restores.
pub(crate) fn run(arguments: &RestoreArguments) -> Result<(), Failure> {
    match &arguments.repo {
        Some(name) => one(arguments, name),
        None => all(arguments),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    data: &'a std::path::Path,
    #[serde(flatten)]
    restored: &'a Restored,
}

fn all(arguments: &RestoreArguments) -> Result<(), Failure> {
    if arguments.target.is_remote() {
        return Err(Failure::usage(
            "a whole registry is restored on its own machine\n  fix   --data NEWFOLDER there; of a running one, --repo NAME brings one repository",
        ));
    }
    let settings = super::config::settings(&arguments.target.configured().serve())?.settings;
    let root = root_of(&settings).ok_or_else(|| {
        Failure::usage(
            "a server that keeps everything in memory has no folder to restore to\n  fix   --data NEWFOLDER",
        )
    })?;
    let from = RestoreFrom {
        folder: arguments.folder.clone(),
        time: arguments.backup.clone(),
        partial: arguments.partial,
    };
    let restored = offline::run(async |stop| {
        let mut meter = Meter::new("restore", arguments.target.json);
        let each = |reached: &Reached| meter.show(meter_of(&(*reached).into()));
        let restored = restore(from, &root, &SystemClock, each, &stop).await;
        meter.clear();
        restored.map_err(|error| failure(CODE, &error))
    })?;
    if arguments.target.json {
        output::json(&Answer {
            schema: "landfall.restore/1",
            data: &root,
            restored: &restored,
        });
    } else {
        let backup = &restored.backup;
        output::line(format!(
            "restored {} into {}: {}, {}, {}, {}",
            backup.time,
            root.display(),
            counted(backup.repositories, "repository"),
            counted(backup.tags, "tag"),
            counted(backup.blobs.saturating_sub(restored.damaged.len() as u64), "blob"),
            size(backup.bytes.saturating_sub(restored.damaged_bytes))
        ));
        let hashed = if restored.damaged.is_empty() {
            "every blob"
        } else {
            "each of these blobs"
        };
        output::line(format!(
            "{hashed} was hashed; start it with the configuration that it had: landfall serve --data {}",
            root.display()
        ));
    }
    if restored.damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::problems(format!(
        "error[LF-BAK-002]: {} {} no good bytes; push the images that need them again: {}",
        counted(restored.damaged.len(), "blob"),
        either(restored.damaged.len(), "has", "have"),
        restored.damaged.join(", ")
    )))
}

fn one(arguments: &RestoreArguments, name: &RepositoryName) -> Result<(), Failure> {
    let work = Work {
        name: "restore",
        code: CODE,
        target: &arguments.target,
        may_be_new: false,
    };
    let into = arguments.into.as_ref().unwrap_or(name);
    let request = RestoreRequest {
        from: Some(if arguments.target.is_remote() {
            arguments.folder.display().to_string()
        } else {
            told(&arguments.folder)?
        }),
        backup: arguments.backup.clone(),
        repository: name.to_string(),
        into: Some(into.to_string()),
    };
    work.run(
        "/api/v1/backup/restore",
        &request,
        async |registry, each, stop| {
            let from = RestoreRepository {
                folder: arguments.folder.clone(),
                time: arguments.backup.clone(),
                name: name.clone(),
                into: into.clone(),
                actor: Some("landfall restore".to_owned()),
            };
            let restored = registry.restore_repository(from, each, &stop).await;
            restored
                .map(BackupOutcome::from)
                .map_err(|error| failure(CODE, &error))
        },
    )
}
