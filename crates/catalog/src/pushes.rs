//! Pushes: the order in which the tags of a repository were set, of which push each is, and the last push of a repository.
//!
//! The rank of a tag is the time at which it was set, but above all ranks that its repository has then: a clock may go back
//! or stand still, and what was set last is last all the same. What is adopted has the time of its source. Units: Unix
//! milliseconds.

use oci::Tag;

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::tags::{Setting, Target};

/// How often a push of what a tag leads to already is written down, at most: it is no step of the tag's history.
const AGAIN_MS: u64 = 60 * 1000;
/// How exact the last push of a repository is: its row is one that all who push there would write.
const LAST_MS: u64 = 1000;

/// The push that a tag is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    pub(crate) at: i64,
    /// A user's number.
    pub(crate) by: Option<i64>,
}

impl Push {
    /// The push that an operation was.
    pub(crate) fn of(tx: &mut Tx<'_>, op: i64, at: i64) -> Result<Self, Error> {
        let by: Option<Option<i64>> = tx.first(
            "SELECT actor FROM ops WHERE id = ?1",
            values![op],
            |row: &Row<'_>| row.get(0),
        )?;
        Ok(Self { at, by: by.flatten() })
    }

    /// The last push that set a tag to what it leads to again; of a tag with another name, that of its manifest.
    pub(crate) fn before(
        tx: &mut Tx<'_>,
        repo: Repo,
        tag: &Tag,
        target: Target<'_>,
    ) -> Result<Option<Self>, Error> {
        let push = |row: &Row<'_>| {
            Ok(Self {
                at: row.get(0)?,
                by: row.get(1)?,
            })
        };
        let of_tag = tx.first(
            "SELECT e.at, o.actor FROM tag_events e JOIN ops o ON o.id = e.op_id
             WHERE e.repo_id = ?1 AND e.name = ?2 AND e.kind = 0 AND e.new_digest = ?3 ORDER BY e.seq DESC LIMIT 1",
            values![repo.id, tag, target.digest],
            push,
        )?;
        match of_tag {
            Some(found) => Ok(Some(found)),
            None => tx.first(
                "SELECT pushed_at, pushed_by FROM manifests WHERE id = ?1",
                values![target.id],
                push,
            ),
        }
    }
}

/// The rank of a tag that is set now.
pub(crate) fn next_rank(tx: &mut Tx<'_>, repo: Repo, now: i64) -> Result<i64, Error> {
    let highest: Option<i64> = tx.first(
        "SELECT ranked_at FROM tags WHERE repo_id = ?1 ORDER BY ranked_at DESC LIMIT 1",
        values![repo.id],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(highest.map_or(now, |highest| now.max(highest.saturating_add(1))))
}

/// A tag, whose row is locked, was pushed once more with what it leads to: rules count that like any push.
pub(crate) fn push_again(
    tx: &mut Tx<'_>,
    setting: &Setting<'_>,
    tag: &Tag,
    target: Target<'_>,
) -> Result<(), Error> {
    let (repo, now) = (setting.repo, setting.now);
    let updated_at: Option<i64> = tx.first(
        "SELECT updated_at FROM tags WHERE repo_id = ?1 AND name = ?2",
        values![repo.id, tag],
        |row: &Row<'_>| row.get(0),
    )?;
    if updated_at.is_none_or(|at| at.abs_diff(now) < AGAIN_MS) {
        return Ok(());
    }
    let rank = next_rank(tx, repo, now)?;
    // The manifest has just been pushed, so its row says by whom.
    tx.execute(
        "UPDATE tags SET updated_at = ?3, ranked_at = ?4, pushed_at = ?3,
           pushed_by = (SELECT m.pushed_by FROM manifests m WHERE m.id = ?5) WHERE repo_id = ?1 AND name = ?2",
        values![repo.id, tag, now, rank, target.id],
    )?;
    Ok(())
}

/// Something was pushed to a repository.
pub(crate) fn note_push(tx: &mut Tx<'_>, repo: Repo, at: i64) -> Result<(), Error> {
    if last_push(tx, repo)?.is_some_and(|last| last.abs_diff(at) < LAST_MS) {
        return Ok(());
    }
    write_last_push(tx, repo, at)
}

/// Something is adopted that was pushed then.
pub(crate) fn note_adopted(tx: &mut Tx<'_>, repo: Repo, at: i64) -> Result<(), Error> {
    if last_push(tx, repo)?.is_some_and(|last| last >= at) {
        return Ok(());
    }
    write_last_push(tx, repo, at)
}

fn last_push(tx: &mut Tx<'_>, repo: Repo) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT last_at FROM repo_pushes WHERE repo_id = ?1",
        values![repo.id],
        |row: &Row<'_>| row.get(0),
    )
}

fn write_last_push(tx: &mut Tx<'_>, repo: Repo, at: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO repo_pushes(repo_id, last_at) VALUES (?1, ?2)
         ON CONFLICT(repo_id) DO UPDATE SET last_at = excluded.last_at",
        values![repo.id, at],
    )?;
    Ok(())
}
