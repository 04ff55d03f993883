//! Emptying the trash: the undo window of what was deleted ends now, and the collector does the rest.
//!
//! Shape: in batches, by the order of the trash. Units: Unix milliseconds.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::history::OpKind;
use crate::repos::cut;
use crate::sql::{Row, Tx, values};
use crate::trash_views::{TrashPlace, ids_of};

/// What emptying did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Emptied {
    /// Operations that can no more be taken back.
    pub operations: usize,
    /// Manifests that are due.
    pub manifests: u64,
    /// Where to go on; none at the end.
    pub next: Option<TrashPlace>,
}

/// Ends the undo window of what was deleted at `before` or earlier: at most `limit` operations after `after`. What they
/// took is the collector's from now on.
pub fn empty_trash(
    tx: &mut Tx<'_>,
    repo: Option<&RepositoryName>,
    before: i64,
    now: i64,
    after: Option<TrashPlace>,
    limit: usize,
) -> Result<Emptied, Error> {
    let place = after.unwrap_or((i64::MAX, i64::MAX));
    let (found, more) = match repo {
        None => cut(
            tx.query(
                "SELECT o.id, o.kind, o.repo_id, o.at, o.target, o.until FROM ops o
                 WHERE o.until IS NOT NULL AND o.undone_by IS NULL AND o.until > ?1 AND (o.until, o.id) < (?2, ?3)
                 ORDER BY o.until DESC, o.id DESC LIMIT ?4",
                values![now, place.0, place.1, limit.saturating_add(1)],
                due,
            )?,
            limit,
        ),
        Some(name) => {
            let mut all = Vec::new();
            for id in ids_of(tx, name)? {
                all.extend(tx.query(
                    "SELECT o.id, o.kind, o.repo_id, o.at, o.target, o.until FROM ops o
                     WHERE o.repo_id = ?1 AND o.until IS NOT NULL AND o.undone_by IS NULL AND o.until > ?2
                       AND (o.until, o.id) < (?3, ?4) ORDER BY o.until DESC, o.id DESC LIMIT ?5",
                    values![id, now, place.0, place.1, limit.saturating_add(1)],
                    due,
                )?);
            }
            all.sort_by_key(|one: &Due| std::cmp::Reverse((one.until, one.op)));
            cut(all, limit)
        }
    };
    let last = found.last().map(|one| (one.until, one.op));
    let mut emptied = Emptied {
        next: last.filter(|_| more),
        ..Emptied::default()
    };
    for one in found.iter().filter(|one| one.at <= before) {
        emptied.operations += 1;
        emptied.manifests += end(tx, one, now)?;
    }
    Ok(emptied)
}

/// An operation whose window ends.
struct Due {
    op: i64,
    kind: Option<OpKind>,
    repo: i64,
    at: i64,
    target: String,
    until: i64,
}

fn due(row: &Row<'_>) -> Result<Due, Error> {
    Ok(Due {
        op: row.get(0)?,
        kind: OpKind::from_number(row.get(1)?),
        repo: row.get(2)?,
        at: row.get(3)?,
        target: row.get::<Option<String>>(4)?.unwrap_or_default(),
        until: row.get(5)?,
    })
}

/// Ends the window of one operation; how many manifests are due by it.
fn end(tx: &mut Tx<'_>, one: &Due, now: i64) -> Result<u64, Error> {
    let mut manifests = 0;
    match one.kind {
        Some(OpKind::Trash | OpKind::Retention) => {
            manifests = tx.execute(
                "UPDATE manifests SET purge_at = ?2 WHERE trash_op = ?1 AND trashed_at IS NOT NULL",
                values![one.op, now],
            )?;
        }
        Some(OpKind::Unlink) => end_of_blob(tx, one.repo, &one.target, now)?,
        Some(OpKind::RepoDelete) => {
            tx.execute(
                "UPDATE repos SET purge_at = ?3 WHERE id = ?1 AND delete_op = ?2 AND purge_at IS NOT NULL",
                values![one.repo, one.op, now],
            )?;
        }
        Some(OpKind::Tag | OpKind::Untag | OpKind::Restore | OpKind::RepoRename) | None => {}
    }
    tx.execute("UPDATE ops SET until = ?2 WHERE id = ?1", values![one.op, now])?;
    Ok(manifests)
}

fn end_of_blob(tx: &mut Tx<'_>, repo: i64, target: &str, now: i64) -> Result<(), Error> {
    if let Ok(digest) = target.parse::<Digest>() {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3 WHERE repo_id = ?1 AND hidden_at IS NOT NULL AND review_at > ?3
               AND blob_id = (SELECT b.id FROM blobs b WHERE b.digest = ?2)",
            values![repo, &digest, now],
        )?;
    }
    Ok(())
}
