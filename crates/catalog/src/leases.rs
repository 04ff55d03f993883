//! Turns at work that one process at a time may do, for instance retention: a row with an owner, an end and a number.
//!
//! The number grows with each owner, so who was paused for long and comes back finds that the turn is another's: each of
//! its writes asks. Units: Unix milliseconds.

use crate::Error;
use crate::sql::{Row, Tx, values};

/// The right to do some work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Which work.
    pub name: String,
    /// Whose.
    pub owner: String,
    /// The number of the turn.
    pub epoch: i64,
}

/// Takes the turn until `until`, or renews ours. None while another has it.
pub fn take_turn(
    tx: &mut Tx<'_>,
    name: &str,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<Option<Turn>, Error> {
    let epoch = tx.first(
        "INSERT INTO leases(name, owner, epoch, expires_at) VALUES (?1, ?2, 1, ?4)
         ON CONFLICT(name) DO UPDATE SET expires_at = excluded.expires_at, owner = excluded.owner,
           epoch = CASE WHEN leases.owner = excluded.owner THEN leases.epoch ELSE leases.epoch + 1 END
         WHERE leases.owner = excluded.owner OR leases.expires_at <= ?3
         RETURNING epoch",
        values![name, owner, now, until],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(epoch.map(|epoch| Turn {
        name: name.to_owned(),
        owner: owner.to_owned(),
        epoch,
    }))
}

/// Ends a turn early. One that is no longer ours stays as it is.
pub fn end_turn(tx: &mut Tx<'_>, turn: &Turn) -> Result<(), Error> {
    tx.execute(
        "UPDATE leases SET expires_at = 0 WHERE name = ?1 AND owner = ?2 AND epoch = ?3",
        values![&turn.name, &turn.owner, turn.epoch],
    )?;
    Ok(())
}

/// Whether a turn is still ours; it stays so until the end of the transaction.
pub(crate) fn holds_turn(tx: &mut Tx<'_>, turn: &Turn, now: i64) -> Result<bool, Error> {
    tx.exists(
        "SELECT 1 FROM leases WHERE name = ?1 AND owner = ?2 AND epoch = ?3 AND expires_at > ?4 @share",
        values![&turn.name, &turn.owner, turn.epoch, now],
    )
}
