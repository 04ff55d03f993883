//! Bytes that are not what they should be: written down when they are found, listed with who needs them, and forgotten
//! when other bytes took their place or nobody wants them any more.
//!
//! A damaged blob has `health` 2: it is not served, mounted or counted as present, so the next push of its digest brings its
//! bytes, which repairs it (P-PUBLISH (c)). A damaged manifest is not served either, and the next push repairs it likewise.
//! Units: Unix milliseconds, bytes. Fails: never by halves.

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::blobs::Place;
use crate::sql::{Row, Tx, Value, values};
use crate::stamps::Touched;
use crate::tombstones::{Reason, bury};

/// Manifests that are named for one damage, at most.
const NEEDED_MAX: i64 = 20;
/// Tags that are named for one manifest, at most.
const TAGS_MAX: i64 = 10;

/// What is wrong with stored bytes. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// There are none.
    Missing = 1,
    /// There are more or fewer than there should be.
    WrongSize = 2,
    /// They are others.
    Changed = 3,
    /// The disk cannot read them.
    Unreadable = 4,
}

impl crate::sql::Cell for Cause {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(1) => Some(Self::Missing),
            Value::Int(2) => Some(Self::WrongSize),
            Value::Int(3) => Some(Self::Changed),
            Value::Int(4) => Some(Self::Unreadable),
            _ => None,
        }
    }
}

/// What is damaged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// The key that the next page starts after.
    pub id: i64,
    /// What it should be.
    pub digest: Digest,
    /// Bytes that it should have.
    pub size: u64,
    /// Whether it is a manifest, which lies in the catalog; else it is a blob.
    pub is_manifest: bool,
    /// Where the blob's bytes are or were; none: in the catalog.
    pub location: Option<String>,
    /// What is wrong.
    pub cause: Cause,
    /// When that was found.
    pub found_at: i64,
}

/// A live manifest that needs damaged bytes, or is damaged itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs {
    /// Whose it is.
    pub repository: RepositoryName,
    /// Which.
    pub manifest: Digest,
    /// Tags that lead to it, or to an index that lists it.
    pub tags: Vec<Tag>,
}

/// Writes down that a blob's bytes are not what they should be. False if that is known, if there is no such blob, or if its
/// bytes have been replaced since.
pub fn mark_bad(
    tx: &mut Tx<'_>,
    digest: &Digest,
    location: Option<&str>,
    cause: Cause,
    now: i64,
) -> Result<bool, Error> {
    let id: Option<i64> = match location {
        Some(location) => tx.first(
            "UPDATE blobs SET health = 2, verified_at = ?3 WHERE digest = ?1 AND location = ?2 AND health < 2
             RETURNING id",
            values![digest, location, now],
            |row: &Row<'_>| row.get(0),
        )?,
        None => tx.first(
            "UPDATE blobs SET health = 2, verified_at = ?2 WHERE digest = ?1 AND location IS NULL AND health < 2
             RETURNING id",
            values![digest, now],
            |row: &Row<'_>| row.get(0),
        )?,
    };
    let Some(id) = id else { return Ok(false) };
    tx.execute(
        "INSERT INTO damages(blob_id, cause, found_at) VALUES (?1, ?2, ?3) ON CONFLICT(blob_id) DO NOTHING",
        values![id, cause as i64, now],
    )?;
    tx.touch(Touched::All); // every repository that serves the blob
    Ok(true)
}

/// Good bytes were put where a blob's bad ones were, before anybody was served. False if no bad ones were there.
pub fn mark_restored(tx: &mut Tx<'_>, digest: &Digest, location: &str, now: i64) -> Result<bool, Error> {
    let id: Option<i64> = tx.first(
        "UPDATE blobs SET health = 0, verified_at = ?3 WHERE digest = ?1 AND location = ?2 AND health > 0 RETURNING id",
        values![digest, location, now],
        |row: &Row<'_>| row.get(0),
    )?;
    let Some(id) = id else { return Ok(false) };
    healed(tx, id)?;
    Ok(true)
}

/// Writes down that a manifest's bytes are not what they should be. False if that is known, or if there is no such manifest.
pub fn mark_manifest_bad(tx: &mut Tx<'_>, digest: &Digest, now: i64) -> Result<bool, Error> {
    let id: Option<i64> = tx.first(
        "SELECT id FROM manifest_bodies WHERE digest = ?1 @keyshare",
        values![digest],
        |row: &Row<'_>| row.get(0),
    )?;
    let Some(id) = id else { return Ok(false) };
    let marked = tx.execute(
        "INSERT INTO damages(body_id, cause, found_at) VALUES (?1, ?2, ?3) ON CONFLICT(body_id) DO NOTHING",
        values![id, Cause::Changed as i64, now],
    )?;
    tx.touch(Touched::All);
    Ok(marked > 0)
}

/// A read of these bytes failed: they are to be read back before all others. False if no blob lies there, or it is known to
/// be bad.
pub fn suspect(tx: &mut Tx<'_>, location: &str) -> Result<bool, Error> {
    let marked = tx.execute(
        "UPDATE blobs SET health = 1, verified_at = -1 WHERE location = ?1 AND health < 2",
        values![location],
    )?;
    Ok(marked > 0)
}

/// Gives a damaged blob other bytes, which are proven and durable; the old ones are the sweeper's `grace_ms` later. False,
/// and nothing is done, if the blob is not damaged.
pub fn heal_blob(
    tx: &mut Tx<'_>,
    digest: &Digest,
    place: &Place,
    now: i64,
    grace_ms: i64,
) -> Result<bool, Error> {
    let found: Option<(i64, u64, Option<String>)> = tx.first(
        "SELECT id, size, location FROM blobs WHERE digest = ?1 AND health > 0 @update",
        values![digest],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let Some((id, size, old)) = found else {
        return Ok(false);
    };
    let (location, inline) = match place {
        Place::File(location) => (Some(location), None),
        Place::Inline(bytes) => (None, Some(bytes)),
    };
    tx.execute(
        "UPDATE blobs SET location = ?2, inline = ?3, health = 0, verified_at = ?4 WHERE id = ?1",
        values![id, location, inline, now],
    )?;
    healed(tx, id)?;
    if let Some(old) = old {
        bury(
            tx,
            &old,
            digest,
            size,
            now.saturating_add(grace_ms),
            Reason::Repaired,
        )?;
    }
    Ok(true)
}

/// Gives a damaged manifest the bytes that it should have, which are proven. False if it is not damaged.
pub fn heal_manifest(tx: &mut Tx<'_>, digest: &Digest, body: &[u8]) -> Result<bool, Error> {
    let damaged: Option<i64> = tx.first(
        "SELECT b.id FROM manifest_bodies b JOIN damages d ON d.body_id = b.id WHERE b.digest = ?1 @update OF b",
        values![digest],
        |row: &Row<'_>| row.get(0),
    )?;
    let Some(id) = damaged else { return Ok(false) };
    tx.execute(
        "UPDATE manifest_bodies SET body = ?2 WHERE id = ?1",
        values![id, body],
    )?;
    tx.execute("DELETE FROM damages WHERE body_id = ?1", values![id])?;
    tx.touch(Touched::All);
    Ok(true)
}

/// Other bytes took the place of a blob's damaged ones.
pub(crate) fn healed(tx: &mut Tx<'_>, blob_id: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM damages WHERE blob_id = ?1", values![blob_id])?;
    tx.touch(Touched::All); // every repository that serves the blob
    Ok(())
}

/// How many things are damaged.
pub fn count_damages(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let count = tx.first(
        "SELECT COUNT(*) FROM damages WHERE id > ?1",
        values![0],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(count.unwrap_or(0))
}

/// What is damaged, after the key `after`, at most `limit`.
pub fn list_damages(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<Damaged>, Error> {
    tx.query(
        "SELECT d.id, COALESCE(b.digest, m.digest), COALESCE(b.size, m.size), d.body_id IS NOT NULL, b.location, d.cause,
           d.found_at
         FROM damages d LEFT JOIN blobs b ON b.id = d.blob_id LEFT JOIN manifest_bodies m ON m.id = d.body_id
         WHERE d.id > ?1 ORDER BY d.id LIMIT ?2",
        values![after, limit],
        damaged,
    )
}

/// What is known of the damage of a digest; none if there is none.
pub fn find_damage(tx: &mut Tx<'_>, digest: &Digest) -> Result<Option<Damaged>, Error> {
    let blob = tx.first(
        "SELECT d.id, b.digest, b.size, d.body_id IS NOT NULL, b.location, d.cause, d.found_at
         FROM blobs b JOIN damages d ON d.blob_id = b.id WHERE b.digest = ?1",
        values![digest],
        damaged,
    )?;
    if blob.is_some() {
        return Ok(blob);
    }
    tx.first(
        "SELECT d.id, m.digest, m.size, d.body_id IS NOT NULL, CAST(NULL AS TEXT), d.cause, d.found_at
         FROM manifest_bodies m JOIN damages d ON d.body_id = m.id WHERE m.digest = ?1",
        values![digest],
        damaged,
    )
}

fn damaged(row: &Row<'_>) -> Result<Damaged, Error> {
    Ok(Damaged {
        id: row.get(0)?,
        digest: row.get(1)?,
        size: row.get(2)?,
        is_manifest: row.get(3)?,
        location: row.get(4)?,
        cause: row.get(5)?,
        found_at: row.get(6)?,
    })
}

/// Live manifests that need what `digest` names, with the tags that lead to them, at most `NEEDED_MAX`.
pub fn who_needs(tx: &mut Tx<'_>, digest: &Digest) -> Result<Vec<Needs>, Error> {
    let manifest = |row: &Row<'_>| {
        let needs = Needs {
            repository: row.get(1)?,
            manifest: row.get(2)?,
            tags: Vec::new(),
        };
        Ok((row.get::<i64>(0)?, needs))
    };
    let mut found = tx.query(
        "SELECT m.id, r.name, m.digest FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id
           JOIN manifest_blobs e ON e.repo_id = l.repo_id AND e.blob_id = l.blob_id
           JOIN manifests m ON m.id = e.manifest_id JOIN repos r ON r.id = m.repo_id
         WHERE b.digest = ?1 AND m.trashed_at IS NULL AND r.deleted_at IS NULL LIMIT ?2",
        values![digest, NEEDED_MAX],
        manifest,
    )?;
    let bodies = tx.query(
        "SELECT m.id, r.name, m.digest FROM manifest_bodies b JOIN manifests m ON m.body_id = b.id
           JOIN repos r ON r.id = m.repo_id
         WHERE b.digest = ?1 AND m.trashed_at IS NULL AND r.deleted_at IS NULL LIMIT ?2",
        values![digest, NEEDED_MAX],
        manifest,
    )?;
    found.extend(bodies);
    let mut needs = Vec::with_capacity(found.len());
    for (id, mut one) in found {
        one.tags = tx.query(
            "SELECT name FROM tags WHERE manifest_id = ?1 LIMIT ?2",
            values![id, TAGS_MAX],
            |row: &Row<'_>| row.get(0),
        )?;
        let of_indexes: Vec<Tag> = tx.query(
            "SELECT t.name FROM manifest_children c JOIN tags t ON t.manifest_id = c.parent_id
             WHERE c.child_id = ?1 LIMIT ?2",
            values![id, TAGS_MAX],
            |row: &Row<'_>| row.get(0),
        )?;
        one.tags.extend(of_indexes);
        needs.push(one);
    }
    Ok(needs)
}
