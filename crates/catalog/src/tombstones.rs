//! Locations whose bytes may go. Written in the transaction that stops a row naming the location, and nowhere else (I6).

use oci::Digest;

use crate::Error;
use crate::gc::is_sweep_held;
use crate::sql::{Row, Tx, values};

/// Why bytes go. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// Another upload of the same blob was first.
    Loser = 1,
    /// They were damaged, and a new upload took their place.
    Repaired = 2,
    /// No repository had the blob any more.
    Collected = 3,
}

/// Bytes that may go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// Where they are.
    pub location: String,
    /// How many they are.
    pub size: u64,
}

/// Locations whose time has come, at most `limit`; none while somebody holds the sweep.
pub fn due_tombstones(tx: &mut Tx<'_>, now: i64, limit: usize) -> Result<Vec<Tombstone>, Error> {
    if is_sweep_held(tx, now)? {
        return Ok(Vec::new());
    }
    tx.query(
        "SELECT location, size FROM tombstones WHERE not_before <= ?1 ORDER BY not_before LIMIT ?2",
        values![now, limit],
        |row: &Row<'_>| {
            Ok(Tombstone {
                location: row.get(0)?,
                size: row.get(1)?,
            })
        },
    )
}

/// The bytes at these locations could not be removed: they are tried again at `not_before`, after those that can.
pub fn postpone_tombstones(tx: &mut Tx<'_>, locations: &[String], not_before: i64) -> Result<(), Error> {
    for location in locations {
        tx.execute(
            "UPDATE tombstones SET not_before = ?2, attempts = attempts + 1 WHERE location = ?1",
            values![location, not_before],
        )?;
    }
    Ok(())
}

/// The bytes at these locations are gone.
pub fn finish_tombstones(tx: &mut Tx<'_>, locations: &[String]) -> Result<(), Error> {
    for location in locations {
        tx.execute("DELETE FROM tombstones WHERE location = ?1", values![location])?;
    }
    Ok(())
}

/// Hands bytes to the sweeper, from `not_before` on.
pub(crate) fn bury(
    tx: &mut Tx<'_>,
    location: &str,
    digest: &Digest,
    size: u64,
    not_before: i64,
    reason: Reason,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO tombstones(location, digest, size, not_before, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
        values![location, digest, size, not_before, reason as i64],
    )?;
    Ok(())
}
