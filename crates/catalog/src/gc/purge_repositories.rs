//! The end of a deleted repository's undo window (P-PURGE-REPOSITORY): what it held goes to the trash in batches, due at
//! once, and from there the way of all manifests. With the first batch it can no more be restored.
//!
//! Nobody writes to a deleted repository: writers hold its row, and deleting seizes it. So once no manifest is live, none
//! comes any more. What is left are leases, which protect nobody there: they end, and the repository is done. Fails: never
//! by halves.

use oci::Digest;

use crate::Error;
use crate::gc::holds::KEEP;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::trash::Trashing;

/// Links that a step looks after, for each manifest that it would.
const LINKS: usize = 8;

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RepositoriesPurged {
    /// Manifests that went to the trash, where their time is over.
    pub trashed: usize,
    /// Links whose lease ended before its time.
    pub links: usize,
    /// Repositories that hold no live manifest any more.
    pub repositories: usize,
}

/// Moves what a deleted repository holds to the trash, if its window ended and nothing holds it: at most `limit`
/// manifests, of one repository.
pub fn purge_repositories(tx: &mut Tx<'_>, now: i64, limit: usize) -> Result<RepositoriesPurged, Error> {
    let due: Option<(Repo, i64)> = tx.first(
        "SELECT r.id, r.namespace_id, r.name, r.delete_op FROM repos r
         WHERE r.purge_at <= ?1 AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.id > 0 AND h.kind = ?2
           AND (h.expires_at IS NULL OR h.expires_at > ?1) AND h.repo_id = r.id AND h.manifest_id IS NULL)
         ORDER BY r.purge_at LIMIT 1 @update OF r @skip",
        values![now, KEEP],
        |row: &Row<'_>| {
            let repo = Repo {
                id: row.get(0)?,
                namespace_id: row.get(1)?,
                slot: Slot::of(&row.get::<String>(2)?),
            };
            Ok((repo, row.get(3)?))
        },
    )?;
    let Some((repo, op)) = due else {
        return Ok(RepositoriesPurged::default());
    };
    tx.lock(
        "SELECT 1 FROM tags WHERE repo_id = ?1 AND manifest_id IN
           (SELECT m.id FROM manifests m WHERE m.repo_id = ?1 AND m.trashed_at IS NULL ORDER BY m.id LIMIT ?2)
         ORDER BY name @update",
        values![repo.id, limit],
    )?;
    let live: Vec<(i64, Digest)> = tx.query(
        "SELECT id, digest FROM manifests WHERE repo_id = ?1 AND trashed_at IS NULL ORDER BY id LIMIT ?2 @update",
        values![repo.id, limit],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if live.is_empty() {
        let links = end_leases(tx, repo, now, limit.saturating_mul(LINKS))?;
        if links > 0 {
            // From here on it cannot come back, as with the first manifest.
            begin(tx, op)?;
            return Ok(RepositoriesPurged {
                links,
                ..RepositoriesPurged::default()
            });
        }
        tx.execute("UPDATE repos SET purge_at = NULL WHERE id = ?1", values![repo.id])?;
        tx.execute("DELETE FROM repo_pulls WHERE repo_id = ?1", values![repo.id])?;
        tx.execute("DELETE FROM repo_pushes WHERE repo_id = ?1", values![repo.id])?;
        tx.execute("DELETE FROM repo_names WHERE repo_id = ?1", values![repo.id])?;
        return Ok(RepositoriesPurged {
            repositories: 1,
            ..RepositoriesPurged::default()
        });
    }
    begin(tx, op)?;
    let mut trashing = Trashing::new(repo, op, now, now);
    for (id, digest) in live {
        trashing.trash(tx, id, &digest)?;
    }
    Ok(RepositoriesPurged {
        trashed: trashing.manifests.len(),
        ..RepositoriesPurged::default()
    })
}

/// Writes down that what the operation deleted cannot come back any more.
fn begin(tx: &mut Tx<'_>, op: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE ops SET state = 1 WHERE id = ?1 AND state = 0",
        values![op],
    )?;
    Ok(())
}

/// Lets leases of a repository end now, at most `limit`; how many. One that another step has now ends by itself.
fn end_leases(tx: &mut Tx<'_>, repo: Repo, now: i64, limit: usize) -> Result<usize, Error> {
    let leased: Vec<i64> = tx.query(
        "SELECT l.blob_id FROM repo_blobs l WHERE l.repo_id = ?1 AND l.review_at > ?2 LIMIT ?3 @update OF l @skip",
        values![repo.id, now, limit],
        |row: &Row<'_>| row.get(0),
    )?;
    for blob in &leased {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3 WHERE repo_id = ?1 AND blob_id = ?2",
            values![repo.id, *blob, now],
        )?;
    }
    Ok(leased.len())
}
