//! Stored names that no row knows: noted before they are moved aside, so that each has its place in a queue (I7).
//!
//! A name that is in no row can get one only while its upload is in flight, so the caller asks what is in flight
//! first, and the catalog then. Units: Unix milliseconds, bytes.

use crate::Error;
use crate::blobs::known_location;
use crate::sql::{Row, Tx, values};

/// Bytes that lie aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphan {
    /// Where they were.
    pub location: String,
    /// How many they are.
    pub size: u64,
    /// When they were found.
    pub first_seen: i64,
    /// Which life of the store that was; a restore begins another.
    pub incarnation: u64,
}

/// Those of `locations` that no row names, be it to serve them or to remove them.
pub fn unknown_locations(tx: &mut Tx<'_>, locations: &[String]) -> Result<Vec<String>, Error> {
    let mut unknown = Vec::new();
    for location in locations {
        if !known_location(tx, location)? {
            unknown.push(location.clone());
        }
    }
    Ok(unknown)
}

/// Writes an orphan down, unless it is; what is written of it.
pub fn note_orphan(tx: &mut Tx<'_>, orphan: &Orphan) -> Result<Orphan, Error> {
    tx.execute(
        "INSERT INTO orphans(location, size, first_seen, incarnation) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT(location) DO NOTHING",
        values![
            &orphan.location,
            orphan.size,
            orphan.first_seen,
            orphan.incarnation
        ],
    )?;
    let noted = find_orphan(tx, &orphan.location)?;
    Ok(noted.unwrap_or_else(|| orphan.clone()))
}

/// What is written of an orphan.
pub fn find_orphan(tx: &mut Tx<'_>, location: &str) -> Result<Option<Orphan>, Error> {
    tx.first(
        "SELECT location, size, first_seen, incarnation FROM orphans WHERE location = ?1",
        values![location],
        orphan,
    )
}

/// How many orphans lie aside, or are about to.
pub fn count_orphans(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let count = tx.first(
        "SELECT COUNT(*) FROM orphans WHERE location > ?1",
        values![""],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(count.unwrap_or(0))
}

/// Orphans after the location `after`, at most `limit`.
pub fn list_orphans(tx: &mut Tx<'_>, after: &str, limit: usize) -> Result<Vec<Orphan>, Error> {
    tx.query(
        "SELECT location, size, first_seen, incarnation FROM orphans WHERE location > ?1 ORDER BY location LIMIT ?2",
        values![after, limit],
        orphan,
    )
}

fn orphan(row: &Row<'_>) -> Result<Orphan, Error> {
    Ok(Orphan {
        location: row.get(0)?,
        size: row.get(1)?,
        first_seen: row.get(2)?,
        incarnation: row.get(3)?,
    })
}

/// These are gone, or back in their place.
pub fn forget_orphans(tx: &mut Tx<'_>, locations: &[String]) -> Result<(), Error> {
    for location in locations {
        tx.execute("DELETE FROM orphans WHERE location = ?1", values![location])?;
    }
    Ok(())
}
