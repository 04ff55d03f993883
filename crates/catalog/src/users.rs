//! Who did it: names of users, kept once, so that history can hold a number.

use crate::Error;
use crate::sql::{Tx, values};

/// Known by name only: another system checks the password.
const KIND_NAME_ONLY: i64 = 0;

/// The number of a user, given on first sight. Nobody has none.
pub(crate) fn actor_id(tx: &mut Tx<'_>, name: Option<&str>, now: i64) -> Result<Option<i64>, Error> {
    let Some(name) = name else { return Ok(None) };
    if let Some(id) = find_actor(tx, name)? {
        return Ok(Some(id));
    }
    tx.execute(
        "INSERT INTO users(name, kind, created_at) VALUES (?1, ?2, ?3) ON CONFLICT(name) DO NOTHING",
        values![name, KIND_NAME_ONLY, now],
    )?;
    find_actor(tx, name)
}

/// The number of a user who did something before.
pub(crate) fn find_actor(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>, Error> {
    tx.first("SELECT id FROM users WHERE name = ?1", values![name], |row| {
        row.get(0)
    })
}
