//! Runs of retention: when, by whom, and what went. Units: Unix milliseconds.

use crate::Error;
use crate::sql::{Row, Tx, values};

/// A run, over or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionRun {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub at: i64,
    /// When it ended; none: it is under way, or its server died.
    pub finished_at: Option<i64>,
    /// Whether the schedule began it.
    pub scheduled: bool,
    /// Who did, otherwise.
    pub actor: Option<String>,
    /// What it did.
    pub outcome: RunOutcome,
}

/// What a run did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RunOutcome {
    /// Repositories that rules were about.
    pub repositories: u64,
    /// Tags that went.
    pub tags: u64,
    /// Manifests that went, or go when their lease ends, with what hangs on them.
    pub manifests: u64,
    /// Why it ended early, if it did.
    pub error: Option<String>,
}

/// Writes down that a run begins; its number.
pub fn begin_run(tx: &mut Tx<'_>, at: i64, scheduled: bool, actor: Option<&str>) -> Result<i64, Error> {
    let id = tx.first(
        "INSERT INTO retention_runs(at, scheduled, actor) VALUES (?1, ?2, ?3) RETURNING id",
        values![at, i64::from(scheduled), actor],
        |row: &Row<'_>| row.get(0),
    )?;
    id.ok_or_else(|| Error::Impossible("a run without a number".to_owned()))
}

/// Writes down what a run did.
pub fn finish_run(tx: &mut Tx<'_>, id: i64, at: i64, outcome: &RunOutcome) -> Result<(), Error> {
    tx.execute(
        "UPDATE retention_runs SET finished_at = ?2, repositories = ?3, tags = ?4, manifests = ?5, error = ?6 WHERE id = ?1",
        values![id, at, outcome.repositories, outcome.tags, outcome.manifests, outcome.error.as_ref()],
    )?;
    Ok(())
}

/// Runs before `before`, newest first.
pub fn list_runs(tx: &mut Tx<'_>, before: Option<i64>, limit: usize) -> Result<Vec<RetentionRun>, Error> {
    tx.query(
        "SELECT id, at, finished_at, scheduled, actor, repositories, tags, manifests, error FROM retention_runs
         WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        values![before.unwrap_or(i64::MAX), limit],
        |row: &Row<'_>| {
            Ok(RetentionRun {
                id: row.get(0)?,
                at: row.get(1)?,
                finished_at: row.get(2)?,
                scheduled: row.get::<i64>(3)? != 0,
                actor: row.get(4)?,
                outcome: RunOutcome {
                    repositories: row.get(5)?,
                    tags: row.get(6)?,
                    manifests: row.get(7)?,
                    error: row.get(8)?,
                },
            })
        },
    )
}

/// When the last run began that the schedule asked for.
pub fn last_scheduled_run(tx: &mut Tx<'_>) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT at FROM retention_runs WHERE scheduled = 1 AND at >= 0 ORDER BY at DESC LIMIT 1",
        &[],
        |row: &Row<'_>| row.get(0),
    )
}
