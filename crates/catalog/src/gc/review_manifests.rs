//! Manifests whose lease ended (P-REVIEW-MANIFEST): what a tag, a live index or a live subject holds is not looked at
//! again until it loses that; a child whose index was deleted follows it into the trash; the rest stays, untagged, for
//! nothing is removed that nobody deleted.
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
         WHERE m.review_at <= ?1 ORDER BY m.review_at, m.id LIMIT ?2 @update OF m @skip",
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
                let purge_at = begun_at(tx, op)?.saturating_add(undo_ms).max(now);
                let mut trashing = Trashing::new(one.repo, op, now, purge_at);
                trashing.run(tx, one.id, &one.digest)?;
                reviewed.trashed += trashing.manifests.len();
            }
            _ => {
                // One that went with another of this batch keeps the name of its operation.
                tx.execute(
                    "UPDATE manifests SET review_at = NULL, trash_op = NULL WHERE id = ?1 AND trashed_at IS NULL",
                    values![one.id],
                )?;
            }
        }
    }
    Ok(reviewed)
}

fn begun_at(tx: &mut Tx<'_>, op: i64) -> Result<i64, Error> {
    let at = tx.first(
        "SELECT at FROM ops WHERE id = ?1",
        values![op],
        |row: &Row<'_>| row.get(0),
    )?;
    at.ok_or_else(|| Error::Impossible(format!("a manifest follows operation {op}, which is not there")))
}
