//! The turn of each stored byte to be read back: files by `verified_at`, oldest first; what lies in the catalog itself in the
//! order of its rows, whole tables again and again.
//!
//! Units: Unix milliseconds. How far the walk through a table is, is a row of `scrubs`; files need none, for `verified_at`
//! says it. Fails: never by halves.

use oci::Digest;

use crate::Error;
use crate::sql::{Row, Tx, values};

/// A file that is to be read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its row.
    pub id: i64,
    /// What it should hold.
    pub digest: Digest,
    /// Bytes that it should have.
    pub size: u64,
    /// Where it is.
    pub location: String,
    /// When it was last known to be good; -1: a read failed since.
    pub verified_at: i64,
}

/// What lies in the catalog and is read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Small blobs.
    Blobs,
    /// The documents of manifests.
    Manifests,
}

/// Some rows of a table, read back.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sifted {
    /// The key that the next step starts after; none at the end of the table.
    pub last: Option<i64>,
    /// How many there were.
    pub count: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Those that are not what they should be.
    pub wrong: Vec<Digest>,
}

/// How far the walk through a table is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Walk {
    /// The key that it goes on after; 0 at the beginning.
    pub after: i64,
    /// When it last came to the end.
    pub ended_at: i64,
}

impl Kept {
    /// The name of its row. Kept in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Manifests => "manifests",
        }
    }
}

/// Files that were last read back before `before`, the oldest first, after (`verified_at`, `id`); at most `limit`. What is
/// known to be bad is left out.
pub fn due_for_scrub(
    tx: &mut Tx<'_>,
    before: i64,
    after: (i64, i64),
    limit: usize,
) -> Result<Vec<Due>, Error> {
    tx.query(
        "SELECT id, digest, size, location, verified_at FROM blobs
         WHERE location IS NOT NULL AND verified_at < ?1 AND (verified_at, id) > (?2, ?3) AND health < 2
         ORDER BY verified_at, id LIMIT ?4",
        values![before, after.0, after.1, limit],
        |row: &Row<'_>| {
            Ok(Due {
                id: row.get(0)?,
                digest: row.get(1)?,
                size: row.get(2)?,
                location: row.get(3)?,
                verified_at: row.get(4)?,
            })
        },
    )
}

/// These files are good, as of `now`, unless they were replaced meanwhile.
pub fn mark_good(tx: &mut Tx<'_>, files: &[Due], now: i64) -> Result<(), Error> {
    for file in files {
        tx.execute(
            "UPDATE blobs SET health = 0, verified_at = ?3 WHERE id = ?1 AND location = ?2 AND health < 2",
            values![file.id, &file.location, now],
        )?;
    }
    Ok(())
}

/// When the file that was read back longest ago was; none if there is no file.
pub fn oldest_verified(tx: &mut Tx<'_>) -> Result<Option<i64>, Error> {
    tx.first(
        "SELECT verified_at FROM blobs WHERE location IS NOT NULL AND verified_at >= 0
         ORDER BY verified_at, id LIMIT 1",
        values![],
        |row: &Row<'_>| row.get(0),
    )
}

/// Files that a read failed on and that were not looked at since.
pub fn count_suspects(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let count = tx.first(
        "SELECT COUNT(*) FROM blobs WHERE location IS NOT NULL AND verified_at < 0",
        values![],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(count.unwrap_or(0))
}

/// Reads back rows of a table after the key `after`, at most `limit`: `is` says whether bytes are what their digest names.
pub fn sift(
    tx: &mut Tx<'_>,
    what: Kept,
    after: i64,
    limit: usize,
    is: fn(&Digest, &[u8]) -> bool,
) -> Result<Sifted, Error> {
    let sql = match what {
        Kept::Blobs => {
            "SELECT id, digest, size, inline FROM blobs
             WHERE id > ?1 AND inline IS NOT NULL AND health < 2 ORDER BY id LIMIT ?2"
        }
        Kept::Manifests => {
            "SELECT id, digest, size, body FROM manifest_bodies WHERE id > ?1 ORDER BY id LIMIT ?2"
        }
    };
    let mut sifted = Sifted::default();
    let ids: Vec<i64> = tx.query(sql, values![after, limit], |row: &Row<'_>| {
        let (digest, size): (Digest, u64) = (row.get(1)?, row.get(2)?);
        let bytes: Vec<u8> = row.get(3)?;
        sifted.count += 1;
        sifted.bytes += bytes.len() as u64;
        if bytes.len() as u64 != size || !is(&digest, &bytes) {
            sifted.wrong.push(digest);
        }
        row.get(0)
    })?;
    sifted.last = ids.last().copied();
    Ok(sifted)
}

/// How far the walk through a table is.
pub fn find_walk(tx: &mut Tx<'_>, what: Kept) -> Result<Walk, Error> {
    let walk = tx.first(
        "SELECT after_id, ended_at FROM scrubs WHERE name = ?1",
        values![what.name()],
        |row: &Row<'_>| {
            Ok(Walk {
                after: row.get(0)?,
                ended_at: row.get(1)?,
            })
        },
    )?;
    Ok(walk.unwrap_or_default())
}

/// Writes down how far the walk through a table is.
pub fn save_walk(tx: &mut Tx<'_>, what: Kept, walk: Walk) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO scrubs(name, after_id, ended_at) VALUES (?1, ?2, ?3)
         ON CONFLICT(name) DO UPDATE SET after_id = excluded.after_id, ended_at = excluded.ended_at",
        values![what.name(), walk.after, walk.ended_at],
    )?;
    Ok(())
}

/// The name of the row of a pause. Kept in the database.
const PAUSED: &str = "scrub.paused";

/// Scrubs nothing by itself until `until`, on any server of this catalog; a pause that lasts is replaced.
pub fn pause_scrub(tx: &mut Tx<'_>, by: &str, until: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO leases(name, owner, epoch, expires_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT(name) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1,
           expires_at = excluded.expires_at",
        values![PAUSED, by, until],
    )?;
    Ok(())
}

/// Ends a pause. False if there was none.
pub fn resume_scrub(tx: &mut Tx<'_>, now: i64) -> Result<bool, Error> {
    let until: Option<i64> = tx.first(
        "DELETE FROM leases WHERE name = ?1 RETURNING expires_at",
        values![PAUSED],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(until.is_some_and(|until| until > now))
}

/// Who paused scrubbing, and until when.
pub fn scrub_pause(tx: &mut Tx<'_>, now: i64) -> Result<Option<(String, i64)>, Error> {
    tx.first(
        "SELECT owner, expires_at FROM leases WHERE name = ?1 AND expires_at > ?2",
        values![PAUSED, now],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )
}
