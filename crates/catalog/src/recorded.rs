//! What the catalog says of the bytes in the store, in pages: for whoever compares the two.
//!
//! Shape: each page starts after the last key of the one before, and an empty page is the end. Units: bytes.

use oci::Digest;
use uuid::Uuid;

use crate::Error;
use crate::blobs::Health;
use crate::sql::{Row, Tx, values};
use crate::tombstones::Tombstone;

/// A blob as its row describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedBlob {
    /// The key that the next page starts after.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// Where they are; none: in the row.
    pub location: Option<String>,
    /// How many bytes are in the row; none: they are in a file.
    pub inline_bytes: Option<u64>,
    /// Whether they are what they should be.
    pub health: Health,
}

/// A manifest's bytes as their row describes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedBody {
    /// The key that the next page starts after.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Bytes that it has.
    pub size: u64,
    /// How many bytes are in the row.
    pub body_bytes: u64,
    /// Whether they are known to be damaged.
    pub is_damaged: bool,
}

/// How far an upload was when it was last written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedUpload {
    /// Which.
    pub id: Uuid,
    /// Bytes that it has.
    pub offset: u64,
}

/// What a stored name is to the catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The bytes of a blob, in this health.
    Blob(Health),
    /// Bytes that go.
    Tombstone,
    /// Bytes that no row knew when they were found, and that are put aside.
    Orphan,
    /// Nothing.
    Nobody,
}

/// Blobs in the order of their rows.
pub fn recorded_blobs(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<RecordedBlob>, Error> {
    tx.query(
        "SELECT id, digest, size, location, CAST(length(inline) AS BIGINT), health FROM blobs
         WHERE id > ?1 ORDER BY id LIMIT ?2",
        values![after, limit],
        |row: &Row<'_>| {
            Ok(RecordedBlob {
                id: row.get(0)?,
                digest: row.get(1)?,
                size: row.get(2)?,
                location: row.get(3)?,
                inline_bytes: row.get(4)?,
                health: row.get(5)?,
            })
        },
    )
}

/// Manifests' bytes in the order of their rows.
pub fn recorded_bodies(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<Vec<RecordedBody>, Error> {
    tx.query(
        "SELECT b.id, b.digest, b.size, CAST(length(b.body) AS BIGINT), d.id IS NOT NULL
         FROM manifest_bodies b LEFT JOIN damages d ON d.body_id = b.id WHERE b.id > ?1 ORDER BY b.id LIMIT ?2",
        values![after, limit],
        |row: &Row<'_>| {
            Ok(RecordedBody {
                id: row.get(0)?,
                digest: row.get(1)?,
                size: row.get(2)?,
                body_bytes: row.get(3)?,
                is_damaged: row.get(4)?,
            })
        },
    )
}

/// Tombstones in the order of their locations.
pub fn list_tombstones(tx: &mut Tx<'_>, after: &str, limit: usize) -> Result<Vec<Tombstone>, Error> {
    tx.query(
        "SELECT location, size FROM tombstones WHERE location > ?1 ORDER BY location LIMIT ?2",
        values![after, limit],
        |row: &Row<'_>| {
            Ok(Tombstone {
                location: row.get(0)?,
                size: row.get(1)?,
            })
        },
    )
}

/// Uploads that have a row, in the order of their ids.
pub fn list_uploads(tx: &mut Tx<'_>, after: Uuid, limit: usize) -> Result<Vec<RecordedUpload>, Error> {
    tx.query(
        "SELECT id, offset_bytes FROM uploads WHERE id > ?1 ORDER BY id LIMIT ?2",
        values![after, limit],
        |row: &Row<'_>| {
            Ok(RecordedUpload {
                id: row.get(0)?,
                offset: row.get(1)?,
            })
        },
    )
}

/// What each of these locations is to the catalog, in their order. One that several tables know is of the first.
pub fn owners(tx: &mut Tx<'_>, locations: &[String]) -> Result<Vec<Owner>, Error> {
    let mut owners = Vec::with_capacity(locations.len());
    for location in locations {
        owners.push(owner(tx, location)?);
    }
    Ok(owners)
}

fn owner(tx: &mut Tx<'_>, location: &str) -> Result<Owner, Error> {
    let blob = tx.first(
        "SELECT health FROM blobs WHERE location = ?1",
        values![location],
        |row: &Row<'_>| row.get(0),
    )?;
    if let Some(health) = blob {
        return Ok(Owner::Blob(health));
    }
    if tx.exists("SELECT 1 FROM tombstones WHERE location = ?1", values![location])? {
        return Ok(Owner::Tombstone);
    }
    if tx.exists("SELECT 1 FROM orphans WHERE location = ?1", values![location])? {
        return Ok(Owner::Orphan);
    }
    Ok(Owner::Nobody)
}
