//! What backups and bundles ask of a catalog: every stored file, what changed since, and how a copy is put to work again.
//!
//! Shape: lists are paged by key, and an empty page is the end. Units: Unix milliseconds, bytes.

use oci::{Digest, Tag};

use crate::Error;
use crate::blobs::Health;
use crate::sql::{Row, Tx, values};

/// A blob that has a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBlob {
    /// The key that the next page starts after.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Where they are.
    pub location: String,
    /// Whether they are what they should be, as far as was known.
    pub health: Health,
}

/// Blobs that have a file, in the order of their numbers.
pub fn stored_blobs(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<StoredBlob>, Error> {
    tx.query(
        "SELECT id, digest, size, location, health FROM blobs WHERE id > ?1 AND location IS NOT NULL
         ORDER BY id LIMIT ?2",
        values![after, limit],
        stored,
    )
}

/// Blobs that have a file and whose key (one algorithm byte and the raw hash) is `low` or above, and below `high`.
pub fn stored_blobs_between(tx: &mut Tx<'_>, low: &[u8], high: &[u8]) -> Result<Vec<StoredBlob>, Error> {
    tx.query(
        "SELECT id, digest, size, location, health FROM blobs WHERE digest >= ?1 AND digest < ?2
           AND location IS NOT NULL ORDER BY digest",
        values![low, high],
        stored,
    )
}

fn stored(row: &Row<'_>) -> Result<StoredBlob, Error> {
    Ok(StoredBlob {
        id: row.get(0)?,
        digest: row.get(1)?,
        size: row.get(2)?,
        location: row.get(3)?,
        health: row.get(4)?,
    })
}

/// The tags that lead to a manifest, which [`crate::held_manifests`] told of.
pub fn tags_to(tx: &mut Tx<'_>, manifest: i64) -> Result<Vec<Tag>, Error> {
    tx.query(
        "SELECT name FROM tags WHERE manifest_id = ?1 ORDER BY name",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )
}

/// What a manifest names and its repository has of blobs.
pub fn blobs_of(tx: &mut Tx<'_>, manifest: i64) -> Result<Vec<Digest>, Error> {
    tx.query(
        "SELECT b.digest FROM manifest_blobs e JOIN blobs b ON b.id = e.blob_id
         WHERE e.manifest_id = ?1 ORDER BY e.ord",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )
}

/// What a manifest names and its repository does not have.
pub fn missing_of(tx: &mut Tx<'_>, manifest: i64) -> Result<Vec<Digest>, Error> {
    tx.query(
        "SELECT digest FROM manifest_missing WHERE manifest_id = ?1 ORDER BY ord",
        values![manifest],
        |row: &Row<'_>| row.get(0),
    )
}

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its number, which the next page starts after.
    pub seq: i64,
    /// In which repository, if that still is one.
    pub repository: Option<String>,
    /// What.
    pub what: Changed,
}

/// What changed, whatever became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The tag of this name.
    Tag(String),
    /// Whether the manifest of this digest is served.
    Manifest(String),
    /// Whether the blob of this digest is served.
    Blob(String),
    /// Something else.
    Other,
}

/// Changes after the one of number `after`.
pub fn changes_since(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<Change>, Error> {
    tx.query(
        "SELECT c.seq, r.name, c.kind, c.key FROM changes c
         LEFT JOIN repos r ON r.id = c.repo_id AND r.deleted_at IS NULL
         WHERE c.seq > ?1 ORDER BY c.seq LIMIT ?2",
        values![after, limit],
        |row: &Row<'_>| {
            let key: String = row.get::<Option<String>>(3)?.unwrap_or_default();
            Ok(Change {
                seq: row.get(0)?,
                repository: row.get(1)?,
                what: match row.get::<i64>(2)? {
                    1 => Changed::Tag(key),
                    2 => Changed::Manifest(key),
                    3 => Changed::Blob(key),
                    _ => Changed::Other,
                },
            })
        },
    )
}

/// The number of the last change; 0 before the first.
pub fn last_change(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let last = tx.first(
        "SELECT seq FROM changes WHERE seq > ?1 ORDER BY seq DESC LIMIT 1",
        values![0],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(last.unwrap_or(0))
}

/// Puts a copy that is `age_ms` old to work: what was under way when it was made is ended, and every lease and every
/// window goes on for as long as it had left, as if no time had passed since.
pub fn wake_copy(tx: &mut Tx<'_>, age_ms: i64) -> Result<(), Error> {
    // The files of uploads, what lay aside, and files that were to go are no part of a backup.
    tx.execute("DELETE FROM uploads WHERE expires_at > ?1", values![i64::MIN])?;
    tx.execute("DELETE FROM orphans WHERE location > ?1", values![""])?;
    tx.execute("DELETE FROM tombstones WHERE location > ?1", values![""])?;
    tx.execute("DELETE FROM holds WHERE id > ?1 AND kind = 1", values![0])?;
    for statement in [
        "UPDATE repo_blobs SET review_at = review_at + ?1 WHERE review_at > ?2",
        "UPDATE manifests SET review_at = review_at + ?1 WHERE review_at > ?2",
        "UPDATE manifests SET purge_at = purge_at + ?1 WHERE purge_at > ?2",
    ] {
        tx.execute(statement, values![age_ms.max(0), i64::MIN])?;
    }
    Ok(())
}
