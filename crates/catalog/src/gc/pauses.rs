//! Pauses of the collection, known to every server on this catalog. Each ends by itself: garbage that nobody collects
//! fills a disk. Units: Unix milliseconds.

use crate::Error;
use crate::sql::{Row, Tx, values};

/// Why nothing is collected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PauseCause {
    /// Somebody asked for it.
    Operator,
    /// The clock jumped, so that no lease can be trusted to have run its time.
    Clock,
}

/// A pause that lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Why.
    pub cause: PauseCause,
    /// Who asked for it, or who noticed.
    pub by: String,
    /// When it ends.
    pub until: i64,
}

impl PauseCause {
    const ALL: [Self; 2] = [Self::Operator, Self::Clock];

    /// Its row's name. Kept in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::Operator => "gc.paused",
            Self::Clock => "gc.clock",
        }
    }
}

/// Pauses the collection until `until`; a pause for the same cause is replaced.
pub fn pause_gc(tx: &mut Tx<'_>, pause: &Pause) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO leases(name, owner, epoch, expires_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT(name) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1,
           expires_at = excluded.expires_at",
        values![pause.cause.name(), &pause.by, pause.until],
    )?;
    Ok(())
}

/// Ends all pauses. False if there was none.
pub fn resume_gc(tx: &mut Tx<'_>, now: i64) -> Result<bool, Error> {
    let mut ended = false;
    for cause in PauseCause::ALL {
        let until: Option<i64> = tx.first(
            "DELETE FROM leases WHERE name = ?1 RETURNING expires_at",
            values![cause.name()],
            |row: &Row<'_>| row.get(0),
        )?;
        ended |= until.is_some_and(|until| until > now);
    }
    Ok(ended)
}

/// The pause that lasts longest.
pub fn gc_pause(tx: &mut Tx<'_>, now: i64) -> Result<Option<Pause>, Error> {
    let mut longest: Option<Pause> = None;
    for cause in PauseCause::ALL {
        let pause = tx.first(
            "SELECT owner, expires_at FROM leases WHERE name = ?1 AND expires_at > ?2",
            values![cause.name(), now],
            |row: &Row<'_>| {
                Ok(Pause {
                    cause,
                    by: row.get(0)?,
                    until: row.get(1)?,
                })
            },
        )?;
        longest = longest.into_iter().chain(pause).max_by_key(|pause| pause.until);
    }
    Ok(longest)
}
