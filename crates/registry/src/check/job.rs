//! A check that somebody asked for and that goes on by itself: how far it is, and what it found so far.
//!
//! Units: Unix milliseconds. The first [`KEPT_MAX`] problems are kept for whoever asks, the others are counted: the log has
//! none of them, for they are found again. Fails: `AlreadyRunning`.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Check, CheckReport, CheckWatcher, Problem};
use crate::{Error, Registry};

/// Problems that are kept.
const KEPT_MAX: usize = 10_000;

/// A check that somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckRun {
    /// What was asked for.
    pub how: Check,
    /// When it began.
    pub started_at: i64,
    /// When it ended; none while it lasts.
    pub ended_at: Option<i64>,
    /// What was looked at so far.
    pub report: CheckReport,
    /// Why it did not come to its end, if it did not.
    pub failure: Option<String>,
}

/// The last check, while it lasts and after it.
#[derive(Default, Debug)]
pub(crate) struct Checker(Mutex<Option<(CheckRun, Vec<Problem>)>>);

impl Checker {
    fn with<T>(&self, work: impl FnOnce(&mut Option<(CheckRun, Vec<Problem>)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Notes<'a>(&'a Checker);

impl CheckWatcher for Notes<'_> {
    fn problem(&mut self, problem: &Problem) {
        self.0.with(|last| {
            if let Some((_, problems)) = last
                && problems.len() < KEPT_MAX
            {
                problems.push(problem.clone());
            }
        });
    }

    fn progress(&mut self, so_far: &CheckReport) {
        self.0.with(|last| {
            if let Some((run, _)) = last {
                run.report = so_far.clone();
            }
        });
    }
}

impl Registry {
    /// Begins a check, which goes on by itself; [`Self::check_status`] says how far it is.
    pub fn check_begin(&self, how: Check) -> Result<CheckRun, Error> {
        let new = CheckRun {
            how,
            started_at: self.now(),
            ended_at: None,
            report: CheckReport::default(),
            failure: None,
        };
        let begun = self.inner.checker.with(|last| {
            let is_running = last.as_ref().is_some_and(|(run, _)| run.ended_at.is_none());
            if !is_running {
                *last = Some((new.clone(), Vec::new()));
            }
            !is_running
        });
        if !begun {
            return Err(Error::AlreadyRunning("check"));
        }
        let registry = self.clone();
        tokio::spawn(async move {
            let checker = &registry.inner.checker;
            let never = CancellationToken::new();
            let outcome = registry.check(how, &mut Notes(checker), &never).await;
            let ended_at = registry.now();
            checker.with(|last| {
                if let Some((run, _)) = last {
                    run.ended_at = Some(ended_at);
                    match outcome {
                        Ok(report) => run.report = report,
                        Err(error) => run.failure = Some(crate::error::causes(&error)),
                    }
                }
            });
        });
        Ok(new)
    }

    /// The last check that somebody asked for since the start.
    #[must_use]
    pub fn check_status(&self) -> Option<CheckRun> {
        self.inner
            .checker
            .with(|last| last.as_ref().map(|(run, _)| run.clone()))
    }

    /// What it found, from the problem with the number `first` on, at most `limit`.
    #[must_use]
    pub fn check_problems(&self, first: usize, limit: usize) -> Vec<Problem> {
        self.inner.checker.with(|last| {
            let problems = last.iter().flat_map(|(_, problems)| problems);
            problems.skip(first).take(limit).cloned().collect()
        })
    }
}
