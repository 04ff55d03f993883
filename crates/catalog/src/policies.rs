//! Rules that operators made by command or API, as rows: what they mean is not the catalog's to know.
//!
//! Few enough to be read whole. Units: Unix milliseconds.

use crate::Error;
use crate::sql::{Row, Tx, values};

/// What a rule is about. The numbers are kept in the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PolicyKind {
    /// Which tags go.
    Retention = 1,
    /// How much a repository may have.
    Quota = 2,
    /// Which tags stay as they are.
    Immutable = 3,
    /// Whether writes are taken: one row.
    Mode = 4,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// What it is about.
    pub kind: PolicyKind,
    /// What it is called; once in its kind.
    pub name: String,
    /// What it says: JSON.
    pub body: String,
    /// When it was made or changed.
    pub set_at: i64,
    /// By whom.
    pub set_by: String,
}

/// More rules than people write.
const POLICIES_MAX: i64 = 10_000;

/// All rules, by kind and name.
pub fn list_policies(tx: &mut Tx<'_>) -> Result<Vec<Policy>, Error> {
    tx.query(
        "SELECT kind, name, body, set_at, set_by FROM policies WHERE kind >= 1 ORDER BY kind, name LIMIT ?1",
        values![POLICIES_MAX],
        |row: &Row<'_>| {
            let kind = match row.get::<i64>(0)? {
                1 => PolicyKind::Retention,
                2 => PolicyKind::Quota,
                3 => PolicyKind::Immutable,
                4 => PolicyKind::Mode,
                other => return Err(Error::Impossible(format!("a policy of kind {other}"))),
            };
            Ok(Policy {
                kind,
                name: row.get(1)?,
                body: row.get(2)?,
                set_at: row.get(3)?,
                set_by: row.get(4)?,
            })
        },
    )
}

/// Makes a rule, or changes the one of that name. False if it was there.
pub fn set_policy(tx: &mut Tx<'_>, policy: &Policy) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE policies SET body = ?3, set_at = ?4, set_by = ?5, version = version + 1 WHERE kind = ?1 AND name = ?2",
        values![policy.kind as i64, &policy.name, &policy.body, policy.set_at, &policy.set_by],
    )?;
    if changed > 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO policies(scope, scope_id, kind, name, body, version, enabled, set_at, set_by)
         VALUES (0, 0, ?1, ?2, ?3, 1, 1, ?4, ?5)
         ON CONFLICT(kind, name) DO UPDATE SET body = excluded.body, set_at = excluded.set_at,
           set_by = excluded.set_by, version = policies.version + 1",
        values![
            policy.kind as i64,
            &policy.name,
            &policy.body,
            policy.set_at,
            &policy.set_by
        ],
    )?;
    Ok(true)
}

/// Removes a rule. False if there was none.
pub fn remove_policy(tx: &mut Tx<'_>, kind: PolicyKind, name: &str) -> Result<bool, Error> {
    let removed = tx.execute(
        "DELETE FROM policies WHERE kind = ?1 AND name = ?2",
        values![kind as i64, name],
    )?;
    Ok(removed > 0)
}
