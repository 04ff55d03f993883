//! Links: which repository may serve which blob; mounts; and the lease that a link gives to who counts on it.
//!
//! A link's `review_at` is when its lease ends; null says that an edge held it at the last review. A link with
//! `hidden_at` was deleted by a client: not served, mounted or counted as present, but trashed manifests keep it.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::blobs::Health;
use crate::history::{ChangeKind, record_change};
use crate::quota;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::usage::{Usage, count};

/// Which repositories a mount may take a blob from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MountSource {
    /// This one.
    Repo(RepositoryName),
    /// Any at all: the caller may read them all.
    Any,
    /// Any of these.
    AnyOf(Vec<RepositoryName>),
}

/// A blob that a link may point to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlobRow {
    pub(crate) id: i64,
    pub(crate) size: u64,
}

/// Lets `into` serve a blob that a source serves (P-MOUNT). False where none does, or where its bytes are damaged: then
/// the client must send them.
pub fn mount_blob(
    tx: &mut Tx<'_>,
    from: &MountSource,
    into: &RepositoryName,
    digest: &Digest,
    now: i64,
    lease_ms: i64,
) -> Result<bool, Error> {
    let found = tx.first(
        "SELECT b.id, b.size, b.health FROM blobs b WHERE b.digest = ?1 @keyshare OF b",
        values![digest],
        |row: &Row<'_>| {
            Ok((
                BlobRow {
                    id: row.get(0)?,
                    size: row.get(1)?,
                },
                row.get::<Health>(2)?,
            ))
        },
    )?;
    let Some((blob, health)) = found else {
        return Ok(false);
    };
    if health == Health::Bad || !is_served(tx, from, blob)? {
        return Ok(false);
    }
    let repo = Repo::ensure(tx, into, now)?;
    quota::claim(tx, repo)?;
    link(tx, repo, blob, digest, now, lease_ms)?;
    Ok(true)
}

fn is_served(tx: &mut Tx<'_>, from: &MountSource, blob: BlobRow) -> Result<bool, Error> {
    let names = match from {
        MountSource::Any => {
            return tx.exists(
                "SELECT 1 FROM repo_blobs l JOIN repos r ON r.id = l.repo_id
                 WHERE l.blob_id = ?1 AND l.hidden_at IS NULL AND r.deleted_at IS NULL LIMIT 1",
                values![blob.id],
            );
        }
        MountSource::Repo(name) => std::slice::from_ref(name),
        MountSource::AnyOf(names) => names,
    };
    for name in names {
        let served = tx.exists(
            "SELECT 1 FROM repos r JOIN repo_blobs l ON l.repo_id = r.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND l.blob_id = ?2 AND l.hidden_at IS NULL",
            values![name, blob.id],
        )?;
        if served {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Repositories that serve a blob, at most `limit`.
pub fn repos_with_blob(tx: &mut Tx<'_>, digest: &Digest, limit: usize) -> Result<Vec<String>, Error> {
    tx.query(
        "SELECT r.name FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id JOIN repos r ON r.id = l.repo_id
         WHERE b.digest = ?1 AND l.hidden_at IS NULL AND r.deleted_at IS NULL LIMIT ?2",
        values![digest, limit],
        |row: &Row<'_>| row.get(0),
    )
}

/// P-PUBLISH (d) to (f): makes the link or renews and unhides it; counts it; gives edges to the manifests that named
/// the blob before it was there.
pub(crate) fn link(
    tx: &mut Tx<'_>,
    repo: Repo,
    blob: BlobRow,
    digest: &Digest,
    now: i64,
    lease_ms: i64,
) -> Result<(), Error> {
    let until = now.saturating_add(lease_ms);
    let is_new = loop {
        let made = tx.execute(
            "INSERT INTO repo_blobs(repo_id, blob_id, review_at, linked_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(repo_id, blob_id) DO NOTHING",
            values![repo.id, blob.id, until, now],
        )?;
        if made > 0 {
            break true;
        }
        let renewed = tx.execute(
            "UPDATE repo_blobs SET hidden_at = NULL,
               review_at = CASE WHEN review_at IS NULL THEN NULL WHEN review_at < ?3 THEN ?3 ELSE review_at END
             WHERE repo_id = ?1 AND blob_id = ?2",
            values![repo.id, blob.id, until],
        )?;
        if renewed > 0 {
            break false;
        }
        // The collector took the old link between the two statements.
    };
    if is_new {
        let bytes = i64::try_from(blob.size).unwrap_or(i64::MAX);
        count(
            tx,
            repo,
            Usage {
                bytes,
                blobs: 1,
                ..Usage::default()
            },
        )?;
    }
    adopt_edges(tx, repo, blob, digest)?;
    record_change(tx, ChangeKind::Blob, repo, &digest.to_string(), now)
}

/// Manifests that were let in without this blob hold it from now on.
fn adopt_edges(tx: &mut Tx<'_>, repo: Repo, blob: BlobRow, digest: &Digest) -> Result<(), Error> {
    let adopted = tx.execute(
        "INSERT INTO manifest_blobs(manifest_id, ord, repo_id, blob_id, kind)
         SELECT x.manifest_id, x.ord, m.repo_id, CAST(?1 AS BIGINT), x.kind
         FROM manifest_missing x JOIN manifests m ON m.id = x.manifest_id
         WHERE x.digest = ?2 AND m.repo_id = ?3",
        values![blob.id, digest, repo.id],
    )?;
    if adopted > 0 {
        forget_missing(tx, repo, digest)?;
    }
    Ok(())
}

/// A link lost an edge: it is looked at again, but not before `until`, for somebody may have been told that the blob
/// is here, and counts on it.
pub(crate) fn lease_again(tx: &mut Tx<'_>, repo: Repo, blob_id: i64, until: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE repo_blobs SET review_at = ?3
         WHERE repo_id = ?1 AND blob_id = ?2 AND (review_at IS NULL OR review_at < ?3)",
        values![repo.id, blob_id, until],
    )?;
    Ok(())
}

/// What was missing is there.
pub(crate) fn forget_missing(tx: &mut Tx<'_>, repo: Repo, digest: &Digest) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM manifest_missing WHERE digest = ?1
           AND EXISTS (SELECT 1 FROM manifests m WHERE m.id = manifest_missing.manifest_id AND m.repo_id = ?2)",
        values![digest, repo.id],
    )?;
    Ok(())
}

/// Whether a lease should be renewed: less than half of it is left. One that an edge held needs none.
#[must_use]
pub fn should_renew(review_at: Option<i64>, now: i64, lease_ms: i64) -> bool {
    review_at.is_some_and(|review_at| review_at < now.saturating_add(lease_ms / 2))
}
