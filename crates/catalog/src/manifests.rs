//! Manifests: find by tag or digest, and keep what a pusher counts on.
//!
//! Shape: a body is the exact bytes that were pushed. A manifest in the trash is never found.

use oci::{Digest, Reference, RepositoryName};

use crate::Error;
use crate::links::should_renew;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// A manifest that a repository serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestRecord {
    /// The digest that it is stored under here.
    pub digest: Digest,
    /// Its media type, as pushed.
    pub media_type: String,
    /// Bytes that it has.
    pub size: u64,
    /// Whether its bytes are known not to be what they should be: then it must not be served.
    pub is_damaged: bool,
    /// Until when it stays without a tag or an index, or stayed, if nothing has held it since; none: for as long as it has
    /// one.
    pub review_at: Option<i64>,
    /// Whether a promise that the manifest stays needs [`touch_manifest`] first.
    pub renew: bool,
}

/// A manifest without its bytes.
pub fn stat_manifest(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    reference: &Reference,
    now: i64,
    keep_ms: i64,
) -> Result<Option<ManifestRecord>, Error> {
    let record = |row: &Row<'_>| record(row, now, keep_ms);
    match reference {
        Reference::Tag(tag) => tx.first(
            "SELECT m.digest, m.media_type, b.size, COALESCE(m.review_at, m.loose_at), d.id IS NOT NULL
             FROM repos r JOIN tags t ON t.repo_id = r.id JOIN manifests m ON m.id = t.manifest_id
             JOIN manifest_bodies b ON b.id = m.body_id
             LEFT JOIN damages d ON d.body_id = b.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND t.name = ?2 AND m.trashed_at IS NULL",
            values![repo, tag],
            record,
        ),
        Reference::Digest(digest) => tx.first(
            "SELECT m.digest, m.media_type, b.size, COALESCE(m.review_at, m.loose_at), d.id IS NOT NULL
             FROM repos r JOIN manifests m ON m.repo_id = r.id JOIN manifest_bodies b ON b.id = m.body_id
             LEFT JOIN damages d ON d.body_id = b.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2 AND m.trashed_at IS NULL",
            values![repo, digest],
            record,
        ),
    }
}

/// A manifest and its bytes.
pub fn find_manifest(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    reference: &Reference,
    now: i64,
    keep_ms: i64,
) -> Result<Option<(ManifestRecord, Vec<u8>)>, Error> {
    let found = |row: &Row<'_>| Ok((record(row, now, keep_ms)?, row.get(5)?));
    match reference {
        Reference::Tag(tag) => tx.first(
            "SELECT m.digest, m.media_type, b.size, COALESCE(m.review_at, m.loose_at), d.id IS NOT NULL, b.body
             FROM repos r JOIN tags t ON t.repo_id = r.id JOIN manifests m ON m.id = t.manifest_id
             JOIN manifest_bodies b ON b.id = m.body_id
             LEFT JOIN damages d ON d.body_id = b.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND t.name = ?2 AND m.trashed_at IS NULL",
            values![repo, tag],
            found,
        ),
        Reference::Digest(digest) => tx.first(
            "SELECT m.digest, m.media_type, b.size, COALESCE(m.review_at, m.loose_at), d.id IS NOT NULL, b.body
             FROM repos r JOIN manifests m ON m.repo_id = r.id JOIN manifest_bodies b ON b.id = m.body_id
             LEFT JOIN damages d ON d.body_id = b.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2 AND m.trashed_at IS NULL",
            values![repo, digest],
            found,
        ),
    }
}

fn record(row: &Row<'_>, now: i64, keep_ms: i64) -> Result<ManifestRecord, Error> {
    Ok(ManifestRecord {
        digest: row.get(0)?,
        media_type: row.get(1)?,
        size: row.get(2)?,
        review_at: row.get(3)?,
        is_damaged: row.get(4)?,
        renew: should_renew(row.get(3)?, now, keep_ms),
    })
}

/// Renews what keeps a manifest that a pusher was told is there. False if the repository does not serve it.
pub fn touch_manifest(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    digest: &Digest,
    now: i64,
    keep_ms: i64,
) -> Result<bool, Error> {
    let Some(repo) = Repo::hold(tx, repo)? else {
        return Ok(false);
    };
    let Some(id) = find_live(tx, repo, digest)? else {
        return Ok(false);
    };
    tx.execute(
        "UPDATE manifests SET review_at = ?2, loose_at = NULL
         WHERE id = ?1 AND (review_at < ?2 OR loose_at IS NOT NULL)",
        values![id, now.saturating_add(keep_ms)],
    )?;
    Ok(true)
}

/// A live manifest's row, locked until the end of the transaction.
pub(crate) fn find_live(tx: &mut Tx<'_>, repo: Repo, digest: &Digest) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT id FROM manifests WHERE repo_id = ?1 AND digest = ?2 AND trashed_at IS NULL @update",
        values![repo.id, digest],
        |row: &Row<'_>| row.get(0),
    )
}

/// Keeps a manifest at least until then, for it lost the tag that held it. It had a life of its own, so it follows no
/// index into the trash.
pub(crate) fn keep_until(tx: &mut Tx<'_>, id: i64, until: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE manifests SET trash_op = NULL, loose_at = NULL, review_at = CASE WHEN review_at > ?2 THEN review_at ELSE ?2 END
         WHERE id = ?1 AND trashed_at IS NULL",
        values![id, until],
    )?;
    Ok(())
}
