//! Work that a running server does where one runs, and this process where none does: which of the two, how far it is, and what
//! came of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Medium, Settings};
use oci::{counted, either};
use registry::Registry;
use registry::backup::Reached;
use serde::Serialize;
use server::api::{BackupJob, BackupOutcome, BackupProgress, BackupStatus, TagLeft};
use tokio_util::sync::CancellationToken;

use super::super::offline::{self, Offline};
use super::super::progress::{self, Meter, size};
use crate::admin::{Api, Target};
use crate::failure::Failure;
use crate::output;

/// How often a server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A piece of work, as it was asked for.
pub(crate) struct Work<'a> {
    /// A word for it.
    pub(crate) name: &'static str,
    /// The code of its failures.
    pub(crate) code: &'static str,
    /// Which server.
    pub(crate) target: &'a Target,
    /// Whether a data folder that is not there yet will do.
    pub(crate) may_be_new: bool,
}

/// What came of it, for programs.
#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    place: &'a str,
    #[serde(flatten)]
    outcome: &'a BackupOutcome,
}

/// Who hears how far it is.
pub(crate) type Each = Box<dyn FnMut(&Reached) + Send>;

impl Work<'_> {
    /// The settings of the server that is meant.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        Ok(super::super::config::settings(&self.target.configured().serve())?.settings)
    }

    /// A path as whoever does the work must know it: of another machine it is taken as it is.
    pub(crate) fn path(&self, path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        match path {
            Some(path) if !self.target.is_remote() => Ok(Some(absolute(path)?)),
            path => Ok(path.map(Path::to_owned)),
        }
    }

    /// Has the server do it by `request`, or does it by `here` on a folder that no server works on; then says what came of it.
    pub(crate) fn run(
        &self,
        path: &str,
        request: &impl Serialize,
        here: impl AsyncFnOnce(&Registry, Each, CancellationToken) -> Result<BackupOutcome, Failure>,
    ) -> Result<(), Failure> {
        let (place, outcome) = if self.target.is_remote() || self.is_served()? {
            self.ask(&self.target.open()?, path, request)?
        } else {
            let settings = self.settings()?;
            (String::new(), self.here(&settings, here)?)
        };
        if self.target.json {
            output::json(&Answer {
                schema: "landfall.backup.outcome/1",
                place: &place,
                outcome: &outcome,
            });
        } else {
            say(&outcome, &place);
        }
        verdict(&outcome, self.code)
    }

    /// Whether a server works on the data folder, which then cannot be opened beside it.
    fn is_served(&self) -> Result<bool, Failure> {
        let settings = self.settings()?;
        let Some(root) = root_of(&settings) else {
            return Ok(true);
        };
        let folder = root.join("landfall");
        if !folder.join("FORMAT").exists() {
            if self.may_be_new {
                return Ok(false);
            }
            return Err(Failure::missing(
                self.code,
                format!(
                    "{} holds no registry\n  fix   --data FOLDER or --config FILE, as its `serve` was told",
                    root.display()
                ),
            ));
        }
        let held = std::fs::File::open(folder.join("LOCK")).is_ok_and(|lock| {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
        });
        Ok(held)
    }

    fn ask(
        &self,
        api: &Api,
        path: &str,
        request: &impl Serialize,
    ) -> Result<(String, BackupOutcome), Failure> {
        let begun: BackupJob = api.post(path, request)?;
        let mut meter = Meter::new(self.name, self.target.json);
        loop {
            let status: BackupStatus = api.get("/api/v1/backup")?;
            let job = status.job.filter(|job| job.id == begun.id);
            let Some(job) = job else {
                meter.clear();
                return Err(Failure::failed(
                    self.code,
                    "the server was started again meanwhile, so this ended before its end\n  fix   run the same command again",
                ));
            };
            meter.show(meter_of(&job.progress));
            if job.outcome != BackupOutcome::Running {
                meter.clear();
                return Ok((job.place, job.outcome));
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    fn here(
        &self,
        settings: &Settings,
        work: impl AsyncFnOnce(&Registry, Each, CancellationToken) -> Result<BackupOutcome, Failure>,
    ) -> Result<BackupOutcome, Failure> {
        offline::run(async |stop| {
            let registry = Offline::open(settings).await?;
            let mut meter = Meter::new(self.name, self.target.json);
            let each = Box::new(move |reached: &Reached| meter.show(meter_of(&(*reached).into())));
            let outcome = work(&registry, each, stop).await;
            registry.close().await;
            outcome
        })
    }
}

/// How far it is, as a bar.
pub(crate) fn meter_of(progress: &BackupProgress) -> progress::Reached {
    progress::Reached {
        repositories: (0, 0),
        blobs: progress.blobs,
        bytes: (progress.bytes, Some(progress.bytes_total)),
    }
}

/// The data folder; none where everything is kept in memory.
pub(crate) fn root_of(settings: &Settings) -> Option<PathBuf> {
    match &settings.storage.medium {
        Medium::Filesystem { root, .. } => Some(root.clone()),
        Medium::InMemory => None,
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let text = path.to_string_lossy();
    if text.contains("://") {
        return Err(Failure::usage(format!(
            "{text}: backups and bundles lie on a disk of the server's machine\n  fix   give the path of a folder or file there"
        )));
    }
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// What came of it, for people.
pub(crate) fn say(outcome: &BackupOutcome, place: &str) {
    match outcome {
        BackupOutcome::Running | BackupOutcome::Failed { .. } => {}
        BackupOutcome::Made {
            backup,
            copied,
            bytes_copied,
            same_disk,
            pruned,
            bytes_pruned,
        } => {
            output::line(format!(
                "backup {}: {}, {}, {}, {}; copied {}, {}",
                backup.time,
                counted(backup.repositories, "repository"),
                counted(backup.tags, "tag"),
                counted(backup.blobs, "blob"),
                size(backup.bytes),
                counted(*copied, "blob"),
                size(*bytes_copied)
            ));
            say_of_backup(&backup.settings, pruned, *bytes_pruned);
            if *same_disk {
                eprintln!("warning: this folder is on the disk of the data: a broken disk takes both");
            }
        }
        BackupOutcome::Restored {
            backup,
            repository,
            blobs_brought,
            bytes_brought,
            manifests,
            tags,
            tags_besides,
        } => {
            output::line(format!(
                "{repository} has again what it had at {backup}: {}, {}; {} came from the backup, {}",
                counted(*tags, "tag"),
                counted(*manifests, "manifest"),
                counted(*blobs_brought, "blob"),
                size(*bytes_brought)
            ));
            say_of_tags_besides(*tags_besides);
        }
        BackupOutcome::Exported {
            id,
            base,
            seq,
            repositories,
            repositories_deleted,
            manifests,
            tags,
            blobs,
            bytes,
        } => {
            let after = base
                .as_ref()
                .map_or(String::new(), |base| format!(", continues {base}"));
            output::line(format!(
                "bundle {id}{after}, up to change {seq}: {}, {}, {}, {}, {}{}",
                counted(*repositories, "repository"),
                counted(*tags, "tag"),
                counted(*manifests, "manifest"),
                counted(*blobs, "blob"),
                size(*bytes),
                if place.is_empty() {
                    String::new()
                } else {
                    format!(" in {place}")
                }
            ));
            say_of_deleted(*repositories_deleted);
        }
        BackupOutcome::Imported {
            id,
            brought_before,
            repositories,
            blobs_brought,
            bytes_brought,
            manifests_brought,
            tags,
            tags_removed,
            repositories_deleted,
            tags_left,
        } => {
            output::line(format!(
                "bundle {id}: {}, {} set, {tags_removed} taken away; {} and {} are new here, {}",
                counted(*repositories, "repository"),
                counted(*tags, "tag"),
                counted(*manifests_brought, "manifest"),
                counted(*blobs_brought, "blob"),
                size(*bytes_brought)
            ));
            say_kept(*brought_before, repositories_deleted, tags_left);
        }
    }
}

/// Tags of a restored repository that the backup does not have.
fn say_of_tags_besides(tags: u64) {
    if tags > 0 {
        output::line(format!(
            "{} {} not in the backup, and {}",
            counted(tags, "tag"),
            either(tags, "is", "are"),
            either(tags, "stays", "stay")
        ));
    }
}

/// Repositories whose deletion a bundle carries.
fn say_of_deleted(repositories: u64) {
    if repositories > 0 {
        output::line(format!(
            "{} {} deleted or renamed here, and {} there too",
            counted(repositories, "repository"),
            either(repositories, "was", "were"),
            either(repositories, "goes", "go")
        ));
    }
}

/// What else is in a backup, what is not, and which ones went for it.
fn say_of_backup(settings: &[String], pruned: &[String], bytes_pruned: u64) {
    let settings = if settings.is_empty() {
        "no password file, certificate or secret of the data folder was there".to_owned()
    } else {
        format!("with {}", settings.join(", "))
    };
    output::line(format!(
        "{settings}; not in it: the configuration file, files outside the data folder, uploads under way, what lies in quarantine"
    ));
    if !pruned.is_empty() {
        output::line(format!(
            "{} went, {}",
            counted(pruned.len(), "old backup"),
            size(bytes_pruned)
        ));
    }
}

/// What a bundle did not do, or did to whole repositories.
fn say_kept(brought_before: bool, repositories_deleted: &[String], tags_left: &[TagLeft]) {
    if brought_before {
        output::line("all of it was brought here before; nothing is moved back");
    }
    let deleted = repositories_deleted.len();
    if deleted > 0 {
        output::line(format!(
            "{} {} deleted or renamed there, and {} in the trash here: {}",
            counted(deleted, "repository"),
            either(deleted, "was", "were"),
            either(deleted, "lies", "lie"),
            repositories_deleted.join(", ")
        ));
    }
    if !tags_left.is_empty() {
        output::line(format!(
            "{} {} here:",
            counted(tags_left.len(), "tag"),
            either(tags_left.len(), "stays as it is", "stay as they are")
        ));
    }
    for left in tags_left {
        output::line(format!("  {}: {}", left.tag, left.why));
    }
}

/// Whether all is well, as an exit code.
fn verdict(outcome: &BackupOutcome, code: &'static str) -> Result<(), Failure> {
    match outcome {
        BackupOutcome::Made { backup, .. } if !backup.damaged.is_empty() => Err(Failure::problems(format!(
            "error[LF-BAK-002]: {} {} no good bytes here, and so none in the backup; all others are in it: {}\n  \
             fix   push the images that need them again, then make another backup",
            counted(backup.damaged.len(), "blob"),
            either(backup.damaged.len(), "has", "have"),
            backup.damaged.join(", ")
        ))),
        BackupOutcome::Failed { kind, message } => Err(match kind.as_str() {
            "full" => Failure::no_room(code, message),
            "missing" => Failure::missing(code, message),
            "conflict" => Failure::held(code, message),
            "damaged" => Failure::problems(format!("error[{code}]: {message}")),
            "stopped" => Failure::interrupted(message),
            _ => Failure::failed(code, message),
        }),
        _ => Ok(()),
    }
}
