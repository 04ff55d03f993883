//! The end of the undo window (P-PURGE): a manifest in the trash goes for good, with its edges; the links that it held
//! get a lease, because a client may have been told that a blob is there while an edge held it. Not so those of a deleted
//! repository that cannot come back: nobody can push there any more, so what was told there promises nothing.
//!
//! An index goes before the manifests that it lists, so what can be brought back is always whole. Fails: never by halves.

use oci::RepositoryName;

use crate::Error;
use crate::gc::holds::KEEP;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::stamps::{Aspect, Slot, Touched};
use crate::usage::{Usage, count};

/// Rows that one step deletes for each manifest that it may take, about: a large index is purged alone.
const ROWS_EACH: u64 = 8;

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Purged {
    /// Manifests that are gone.
    pub manifests: usize,
}

struct Due {
    id: i64,
    body_id: i64,
    repo: Repo,
    /// Whether its repository was deleted and cannot come back.
    is_closed: bool,
}

/// Purges manifests whose undo window ended and that nothing holds, at most `limit`.
pub fn purge(tx: &mut Tx<'_>, now: i64, lease_ms: i64, limit: usize) -> Result<Purged, Error> {
    let due = tx.query(
        "SELECT m.id, m.body_id, r.id, r.namespace_id, r.name,
           r.deleted_at IS NOT NULL AND (r.purge_at IS NULL
             OR EXISTS (SELECT 1 FROM ops o WHERE o.id = r.delete_op AND o.state > 0))
         FROM manifests m JOIN repos r ON r.id = m.repo_id
         WHERE m.purge_at <= ?1 AND NOT EXISTS (SELECT 1 FROM manifest_children c WHERE c.child_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.id > 0 AND h.kind = ?3
             AND (h.expires_at IS NULL OR h.expires_at > ?1)
             AND h.repo_id = m.repo_id AND (h.manifest_id IS NULL OR h.manifest_id = m.id))
         ORDER BY m.purge_at, m.id LIMIT ?2 @update OF m @skip @keyshare OF r @skip",
        values![now, limit, KEEP],
        |row: &Row<'_>| {
            Ok(Due {
                is_closed: row.get(5)?,
                ..due_row(row)?
            })
        },
    )?;
    purge_all(tx, &due, now, now.saturating_add(lease_ms), limit)
}

/// Purges what is in the trash of one repository and not held, at most `limit`, whether or not its undo window ended.
pub fn purge_trash_of(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    now: i64,
    lease_ms: i64,
    limit: usize,
) -> Result<Purged, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(Purged::default());
    };
    let due = tx.query(
        "SELECT m.id, m.body_id, r.id, r.namespace_id, r.name FROM manifests m JOIN repos r ON r.id = m.repo_id
         WHERE m.repo_id = ?4 AND m.trashed_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM manifest_children c WHERE c.child_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.id > 0 AND h.kind = ?3
             AND (h.expires_at IS NULL OR h.expires_at > ?1)
             AND h.repo_id = m.repo_id AND (h.manifest_id IS NULL OR h.manifest_id = m.id))
         ORDER BY m.trashed_at, m.id LIMIT ?2 @update OF m @skip @keyshare OF r @skip",
        values![now, limit, KEEP, repo.id],
        due_row,
    )?;
    purge_all(tx, &due, now, now.saturating_add(lease_ms), limit)
}

/// Links of a repository whose lease ends after `until`, among the `limit` ones after the blob with the number `after`;
/// and the last that was looked at, if there may be more.
pub fn leased_links(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    until: i64,
    after: i64,
    limit: usize,
) -> Result<(Vec<i64>, Option<i64>), Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok((Vec::new(), None));
    };
    let links: Vec<(i64, Option<i64>)> = tx.query(
        "SELECT blob_id, review_at FROM repo_blobs WHERE repo_id = ?1 AND blob_id > ?2 ORDER BY blob_id LIMIT ?3",
        values![repo.id, after, limit],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let last = links
        .last()
        .map(|(blob, _)| *blob)
        .filter(|_| links.len() >= limit);
    let is_longer = |(_, review_at): &(i64, Option<i64>)| review_at.is_some_and(|at| at > until);
    Ok((
        links
            .into_iter()
            .filter(is_longer)
            .map(|(blob, _)| blob)
            .collect(),
        last,
    ))
}

/// Ends the leases of these links at `until`, where they last longer.
pub fn shorten_leases(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    blobs: &[i64],
    until: i64,
) -> Result<(), Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(());
    };
    // Whoever remembers the longer lease would not renew it.
    tx.touch(Touched::One(repo.slot, Aspect::Blobs));
    for blob in blobs {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3 WHERE repo_id = ?1 AND blob_id = ?2 AND review_at > ?3",
            values![repo.id, *blob, until],
        )?;
    }
    Ok(())
}

fn due_row(row: &Row<'_>) -> Result<Due, Error> {
    Ok(Due {
        id: row.get(0)?,
        body_id: row.get(1)?,
        repo: Repo {
            id: row.get(2)?,
            namespace_id: row.get(3)?,
            slot: Slot::of(&row.get::<String>(4)?),
        },
        is_closed: false,
    })
}

fn purge_all(
    tx: &mut Tx<'_>,
    due: &[Due],
    now: i64,
    leased_until: i64,
    limit: usize,
) -> Result<Purged, Error> {
    let rows_max = ROWS_EACH.saturating_mul(limit as u64);
    let (mut purged, mut rows) = (Purged::default(), 0);
    for one in due {
        if rows > rows_max {
            break;
        }
        if let Some(deleted) = purge_one(tx, one, now, leased_until)? {
            rows += deleted;
            purged.manifests += 1;
        }
    }
    Ok(purged)
}

/// How many rows went with it; none where somebody is pushing the same document, or listing it, right now.
fn purge_one(tx: &mut Tx<'_>, due: &Due, now: i64, leased_until: i64) -> Result<Option<u64>, Error> {
    // A pusher locks the body before the manifest, and we the other way round: waiting for it could be a deadlock.
    let is_ours = tx.exists(
        "SELECT 1 FROM manifest_bodies WHERE id = ?1 @update @skip",
        values![due.body_id],
    )?;
    let is_listed = tx.exists(
        "SELECT 1 FROM manifest_children WHERE child_id = ?1",
        values![due.id],
    )?;
    if !is_ours || is_listed {
        return Ok(None);
    }
    tx.lock(
        "SELECT 1 FROM manifest_blobs e JOIN blobs b ON b.id = e.blob_id
         JOIN repo_blobs l ON l.repo_id = e.repo_id AND l.blob_id = e.blob_id
         WHERE e.manifest_id = ?1 ORDER BY b.digest @update OF l",
        values![due.id],
    )?;
    // Who remembers that an edge holds the blobs would not renew their leases, and tell clients that they are here.
    tx.touch(Touched::One(due.repo.slot, Aspect::Blobs));
    if due.is_closed {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3
             WHERE repo_id = ?1 AND blob_id IN (SELECT e.blob_id FROM manifest_blobs e WHERE e.manifest_id = ?2)
               AND (review_at IS NULL OR review_at > ?3)",
            values![due.repo.id, due.id, now],
        )?;
    } else {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3
             WHERE repo_id = ?1 AND blob_id IN (SELECT e.blob_id FROM manifest_blobs e WHERE e.manifest_id = ?2)
               AND (review_at IS NULL OR review_at < ?3)",
            values![due.repo.id, due.id, leased_until],
        )?;
    }
    let id = values![due.id];
    let rows = tx.execute("DELETE FROM manifest_blobs WHERE manifest_id = ?1", id)?
        + tx.execute("DELETE FROM manifest_children WHERE parent_id = ?1", id)?
        + tx.execute("DELETE FROM manifest_missing WHERE manifest_id = ?1", id)?
        + tx.execute("DELETE FROM pulls WHERE manifest_id = ?1", id)?
        + tx.execute("DELETE FROM manifests WHERE id = ?1", id)?;
    tx.execute(
        "DELETE FROM manifest_bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.body_id = ?1)",
        values![due.body_id],
    )?;
    let one = Usage {
        trashed: -1,
        ..Usage::default()
    };
    count(tx, due.repo, one)?;
    Ok(Some(rows))
}
