//! Manifests whose lease ended (P-REVIEW-MANIFEST): what a tag, a live index or a live subject holds is not looked at
//! again until it loses that; a child whose index was deleted follows it into the trash; the rest stays, untagged, for
//! nothing is removed that nobody deleted; retention may take it, where a rule says so, and finds it by `loose_at`.
//!
//! Units: milliseconds. Fails: never by halves.

use oci::Digest;

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::trash::{Trashing, is_rooted};

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ManifestsReviewed {
    /// Manifests that were looked at.
    pub seen: usize,
    /// Manifests that went to the trash.
    pub trashed: usize,
}

struct Due {
    id: i64,
    digest: Digest,
    /// The operation that took the index which listed it.
    follows: Option<i64>,
    repo: Repo,
}

/// Reviews manifests whose time has come, at most `limit`. What follows an index can be brought back with it, until
/// `undo_ms` after the index was deleted.
pub fn review_manifests(
    tx: &mut Tx<'_>,
    now: i64,
    undo_ms: i64,
    limit: usize,
) -> Result<ManifestsReviewed, Error> {
    let due = tx.query(
        "SELECT m.id, m.digest, m.trash_op, r.id, r.namespace_id, r.name FROM manifests m JOIN repos r ON r.id = m.repo_id
         WHERE m.review_at <= ?1 ORDER BY m.review_at, m.id LIMIT ?2 @update OF m @skip @keyshare OF r @skip",
        values![now, limit],
        |row: &Row<'_>| {
            Ok(Due {
                id: row.get(0)?,
                digest: row.get(1)?,
                follows: row.get(2)?,
                repo: Repo {
                    id: row.get(3)?,
                    namespace_id: row.get(4)?,
                    slot: Slot::of(&row.get::<String>(5)?),
                },
            })
        },
    )?;
    let mut reviewed = ManifestsReviewed {
        seen: due.len(),
        trashed: 0,
    };
    for one in due {
        match one.follows {
            Some(op) if !is_rooted(tx, one.id)? => {
                let purge_at = undo_until(tx, op, undo_ms)?.max(now);
                let mut trashing = Trashing::new(one.repo, op, now, purge_at);
                trashing.run(tx, one.id, &one.digest)?;
                reviewed.trashed += trashing.manifests.len();
            }
            _ => {
                // Retention finds by it what nothing holds, without looking at what something does.
                let is_loose = !is_rooted(tx, one.id)?;
                // One that went with another of this batch keeps the name of its operation.
                tx.execute(
                    "UPDATE manifests SET loose_at = CASE WHEN ?2 = 1 THEN review_at ELSE NULL END, review_at = NULL,
                       trash_op = NULL WHERE id = ?1 AND trashed_at IS NULL",
                    values![one.id, i64::from(is_loose)],
                )?;
            }
        }
    }
    Ok(reviewed)
}

/// Until when the operation can be taken back. One of an older Landfall does not say: then `undo_ms` after it.
fn undo_until(tx: &mut Tx<'_>, op: i64, undo_ms: i64) -> Result<i64, Error> {
    let until = tx.first(
        "SELECT at, until FROM ops WHERE id = ?1",
        values![op],
        |row: &Row<'_>| {
            let at: i64 = row.get(0)?;
            Ok(row.get::<Option<i64>>(1)?.unwrap_or(at.saturating_add(undo_ms)))
        },
    )?;
    until.ok_or_else(|| Error::Impossible(format!("a manifest follows operation {op}, which is not there")))
}
