//! Checking that all is well: every row has its bytes, every byte its row or its place in a queue, and the rules that hold
//! the catalog together hold (I1 to I9).
//!
//! Shape: `rows` goes through what the catalog says is stored, `files` through what is stored, both in pages, so memory does
//! not grow with either. A registry that runs is checked while it runs: what is in flight is no finding, and what looks wrong
//! is looked at again before it is one. Nothing is changed.
//! Fails: `Closing` (told to stop), a disk or a catalog that cannot be asked. A problem is no failure.

mod files;
mod job;
mod problem;
mod rows;

use tokio_util::sync::CancellationToken;

use crate::pace::Pace;
use crate::{Error, Registry};

pub use job::CheckRun;
pub(crate) use job::Checker;
pub use problem::Problem;

/// Rows, or files, of one step.
const PAGE: usize = 256;

/// How to check.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Check {
    /// Read every byte back and hash it.
    pub deep: bool,
    /// How fast, in bytes a second; none: as fast as the disk gives them.
    pub rate: Option<u64>,
}

/// What was looked at, and what was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CheckReport {
    /// Blobs in files.
    pub blobs: u64,
    /// Blobs in the catalog.
    pub inline: u64,
    /// Manifests' documents.
    pub manifests: u64,
    /// Bytes of all those, as their rows say.
    pub bytes: u64,
    /// Bytes that were read back.
    pub hashed_bytes: u64,
    /// Files in the folders of blobs.
    pub files: u64,
    /// Files that wait to be removed.
    pub tombstones: u64,
    /// Files that lie in quarantine.
    pub aside: u64,
    /// Uploads that are not finished.
    pub uploads: u64,
    /// Files that no row knows, as a crash may leave them: the server puts them aside by itself.
    pub unknown: u64,
    /// Files of uploads that no row knows: the next start removes them.
    pub left_uploads: u64,
    /// Things in our folders that are not named as we name them: left alone.
    pub strangers: u64,
    /// Problems, each told to the watcher.
    pub problems: u64,
}

/// Who is told how a check goes. Called from one task, in order.
pub trait CheckWatcher: Send {
    /// Something is not as it should be.
    fn problem(&mut self, problem: &Problem);
    /// Some more was done.
    fn progress(&mut self, _so_far: &CheckReport) {}
}

/// All problems, for whoever expects few.
impl CheckWatcher for Vec<Problem> {
    fn problem(&mut self, problem: &Problem) {
        self.push(problem.clone());
    }
}

/// A check that is under way.
struct Run<'a> {
    registry: &'a Registry,
    how: Check,
    pace: Pace,
    watcher: &'a mut dyn CheckWatcher,
    stop: &'a CancellationToken,
    report: CheckReport,
}

impl Registry {
    /// Compares the catalog with the store. All is well if `problems` is 0; `unknown` and `left_uploads` are what crashes
    /// leave, and go by themselves.
    pub async fn check(
        &self,
        how: Check,
        watcher: &mut dyn CheckWatcher,
        stop: &CancellationToken,
    ) -> Result<CheckReport, Error> {
        let mut run = Run {
            registry: self,
            how,
            pace: Pace::new(),
            watcher,
            stop,
            report: CheckReport::default(),
        };
        run.rules().await?;
        run.blobs().await?;
        run.manifests().await?;
        run.tombstones().await?;
        run.uploads().await?;
        run.stored_files().await?;
        run.files_aside().await?;
        run.left_uploads().await?;
        Ok(run.report)
    }
}

impl Run<'_> {
    fn found(&mut self, problem: &Problem) {
        self.report.problems += 1;
        self.watcher.problem(problem);
    }

    /// Between two steps.
    fn step(&mut self) -> Result<(), Error> {
        self.watcher.progress(&self.report);
        if self.stop.is_cancelled() {
            Err(Error::Closing)
        } else {
            Ok(())
        }
    }

    /// The catalog's own rules, each by itself.
    async fn rules(&mut self) -> Result<(), Error> {
        for number in 0..catalog::AUDIT_RULES {
            let broken = self
                .registry
                .inner
                .catalog
                .read(move |tx| catalog::audit_rule(tx, number))
                .await?;
            for rule in broken {
                self.found(&Problem::Rule(rule));
            }
            self.step()?;
        }
        Ok(())
    }
}
