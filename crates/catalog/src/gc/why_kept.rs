//! Why something is still there: everything that holds a digest, as a manifest and as a blob, in each repository.
//!
//! Shape: lists have at most `EACH_MAX` entries, so the cost is that of the answer. Nothing in an answer means that the
//! digest is not there at all. Units: Unix milliseconds, bytes.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::gc::holds::KEEP;
use crate::sql::{Row, Tx, values};

/// Entries of one list, at most.
const EACH_MAX: i64 = 10;

/// Everything that holds a digest.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WhyKept {
    /// As a manifest, in each repository that has it.
    pub manifests: Vec<KeptManifest>,
    /// As a blob.
    pub blob: Option<KeptBlob>,
    /// Files of it that wait for the sweeper, and until when.
    pub tombstones: Vec<(String, i64)>,
}

/// What holds a manifest in one repository. One that is live and that nothing holds stays too: an untagged manifest is
/// not removed unless somebody deletes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// Tags that lead to it.
    pub tags: Vec<Tag>,
    /// Indexes that list it, and when each may be purged if it is in the trash.
    pub listed_by: Vec<(Digest, Option<i64>)>,
    /// What it refers to, if that is live.
    pub subject: Option<Digest>,
    /// When its lease ends, if one runs.
    pub lease_until: Option<i64>,
    /// The operation that it went to the trash with, or that it follows when its lease ends.
    pub op: Option<i64>,
    /// When it may be purged; none if it is live.
    pub purge_at: Option<i64>,
    /// Whether a hold keeps it in the trash.
    pub held: bool,
    /// When its repository's contents may go, if that was deleted.
    pub repository_purge_at: Option<i64>,
}

/// What holds a blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptBlob {
    /// Bytes that it has.
    pub size: u64,
    /// The repositories that have it.
    pub links: Vec<KeptLink>,
}

/// What holds a blob in one repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptLink {
    /// The repository.
    pub repository: RepositoryName,
    /// Manifests that name it, and when each may be purged if it is in the trash.
    pub named_by: Vec<(Digest, Option<i64>)>,
    /// When its lease ends, if one runs.
    pub lease_until: Option<i64>,
    /// Whether a client deleted it here.
    pub hidden: bool,
    /// When the repository's contents may go, if that was deleted.
    pub repository_purge_at: Option<i64>,
}

/// Digests from `low` to `high` that are here as a manifest, as a blob, or as a file that waits for the sweeper (its
/// location is from `locations.0` to `locations.1`); in order, at most `limit`.
pub fn digests_between(
    tx: &mut Tx<'_>,
    (low, high): (&Digest, &Digest),
    locations: (&str, &str),
    limit: usize,
) -> Result<Vec<Digest>, Error> {
    let one = |row: &Row<'_>| row.get(0);
    let mut found: Vec<Digest> = tx.query(
        "SELECT digest FROM manifest_bodies WHERE digest >= ?1 AND digest <= ?2 ORDER BY digest LIMIT ?3",
        values![low, high, limit],
        one,
    )?;
    found.extend(tx.query(
        "SELECT digest FROM blobs WHERE digest >= ?1 AND digest <= ?2 ORDER BY digest LIMIT ?3",
        values![low, high, limit],
        one,
    )?);
    let files: Vec<Option<Digest>> = tx.query(
        "SELECT digest FROM tombstones WHERE location >= ?1 AND location <= ?2 ORDER BY location LIMIT ?3",
        values![locations.0, locations.1, limit],
        |row: &Row<'_>| row.get(0),
    )?;
    found.extend(files.into_iter().flatten());
    found.sort();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

/// Everything that holds `digest`. Files of it have locations that begin with `location_prefix`.
pub fn why_kept(tx: &mut Tx<'_>, digest: &Digest, location_prefix: &str, now: i64) -> Result<WhyKept, Error> {
    Ok(WhyKept {
        manifests: manifests(tx, digest, now)?,
        blob: blob(tx, digest, now)?,
        tombstones: tombstones(tx, location_prefix)?,
    })
}

fn manifests(tx: &mut Tx<'_>, digest: &Digest, now: i64) -> Result<Vec<KeptManifest>, Error> {
    let found: Vec<(i64, KeptManifest)> = tx.query(
        "SELECT m.id, r.name, m.review_at, m.trash_op, m.purge_at,
           EXISTS (SELECT 1 FROM holds h WHERE h.id > 0 AND h.kind = ?2
             AND (h.expires_at IS NULL OR h.expires_at > ?3)
             AND h.repo_id = m.repo_id AND (h.manifest_id IS NULL OR h.manifest_id = m.id)), r.purge_at
         FROM manifest_bodies b JOIN manifests m ON m.body_id = b.id JOIN repos r ON r.id = m.repo_id
         WHERE b.digest = ?1 LIMIT ?4",
        values![digest, KEEP, now, EACH_MAX],
        |row: &Row<'_>| {
            let manifest = KeptManifest {
                repository: row.get(1)?,
                tags: Vec::new(),
                listed_by: Vec::new(),
                subject: None,
                lease_until: row.get::<Option<i64>>(2)?.filter(|&until| until > now),
                op: row.get(3)?,
                purge_at: row.get(4)?,
                held: row.get(5)?,
                repository_purge_at: row.get(6)?,
            };
            Ok((row.get(0)?, manifest))
        },
    )?;
    let mut manifests = Vec::with_capacity(found.len());
    for (id, mut manifest) in found {
        manifest.tags = tx.query(
            "SELECT name FROM tags WHERE manifest_id = ?1 LIMIT ?2",
            values![id, EACH_MAX],
            |row: &Row<'_>| row.get(0),
        )?;
        manifest.listed_by = tx.query(
            "SELECT p.digest, p.purge_at FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
             WHERE c.child_id = ?1 LIMIT ?2",
            values![id, EACH_MAX],
            holder,
        )?;
        manifest.subject = tx.first(
            "SELECT s.digest FROM manifests m JOIN manifests s ON s.repo_id = m.repo_id AND s.digest = m.subject_digest
             WHERE m.id = ?1 AND s.trashed_at IS NULL",
            values![id],
            |row: &Row<'_>| row.get(0),
        )?;
        manifests.push(manifest);
    }
    Ok(manifests)
}

fn blob(tx: &mut Tx<'_>, digest: &Digest, now: i64) -> Result<Option<KeptBlob>, Error> {
    let found: Option<(i64, u64)> = tx.first(
        "SELECT id, size FROM blobs WHERE digest = ?1",
        values![digest],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((id, size)) = found else { return Ok(None) };
    let found: Vec<(i64, KeptLink)> = tx.query(
        "SELECT l.repo_id, r.name, l.review_at, l.hidden_at IS NOT NULL, r.purge_at
         FROM repo_blobs l JOIN repos r ON r.id = l.repo_id WHERE l.blob_id = ?1 LIMIT ?2",
        values![id, EACH_MAX],
        |row: &Row<'_>| {
            let link = KeptLink {
                repository: row.get(1)?,
                named_by: Vec::new(),
                lease_until: row.get::<Option<i64>>(2)?.filter(|&until| until > now),
                hidden: row.get(3)?,
                repository_purge_at: row.get(4)?,
            };
            Ok((row.get(0)?, link))
        },
    )?;
    let mut links = Vec::with_capacity(found.len());
    for (repo_id, mut link) in found {
        link.named_by = tx.query(
            "SELECT m.digest, m.purge_at FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repo_id = ?1 AND e.blob_id = ?2 LIMIT ?3",
            values![repo_id, id, EACH_MAX],
            holder,
        )?;
        links.push(link);
    }
    Ok(Some(KeptBlob { size, links }))
}

fn holder(row: &Row<'_>) -> Result<(Digest, Option<i64>), Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn tombstones(tx: &mut Tx<'_>, prefix: &str) -> Result<Vec<(String, i64)>, Error> {
    let found: Vec<(String, i64)> = tx.query(
        "SELECT location, not_before FROM tombstones WHERE location >= ?1 ORDER BY location LIMIT ?2",
        values![prefix, EACH_MAX],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found
        .into_iter()
        .filter(|(location, _)| location.starts_with(prefix))
        .collect())
}
