//! Uploads under way: how far each one is, so that it goes on after a restart.
//!
//! Units: offsets are bytes. An upload has a row from its first checkpoint on; deleting that row is the fence that keeps
//! a late writer from publishing (P-PUBLISH (a)). The repository is held by name, for it need not exist yet.

use oci::{Algorithm, RepositoryName};
use uuid::Uuid;

use crate::Error;
use crate::sql::{Row, Tx, values};
use crate::users::{actor_id, find_actor};

/// One upload, as it was last written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadRow {
    /// Which one.
    pub id: Uuid,
    /// Where to.
    pub repo: RepositoryName,
    /// Whose.
    pub actor: Option<String>,
    /// Bytes that it has.
    pub offset: u64,
    /// The hash that runs.
    pub algorithm: Algorithm,
    /// The hash of these bytes, unfinished.
    pub hash_state: Vec<u8>,
    /// The life of the page cache that these bytes were written in.
    pub boot_id: [u8; 16],
    /// When it began.
    pub created_at: i64,
    /// When it may be reaped.
    pub expires_at: i64,
}

/// The algorithm's number, as in a digest's key.
const fn number(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

/// Writes down how far an upload is.
pub fn save_checkpoint(tx: &mut Tx<'_>, row: &UploadRow) -> Result<(), Error> {
    let actor = actor_id(tx, row.actor.as_deref(), row.created_at)?;
    let mut state = vec![number(row.algorithm)];
    state.extend_from_slice(&row.hash_state);
    tx.execute(
        "INSERT INTO uploads(id, repo, actor, offset_bytes, hash_state, boot_id, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT(id) DO UPDATE SET offset_bytes = excluded.offset_bytes, hash_state = excluded.hash_state,
           boot_id = excluded.boot_id, expires_at = excluded.expires_at",
        values![
            row.id,
            &row.repo,
            actor,
            row.offset,
            state,
            &row.boot_id[..],
            row.created_at,
            row.expires_at
        ],
    )?;
    Ok(())
}

/// An upload as it was last written down.
pub fn find_upload(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<UploadRow>, Error> {
    tx.first(
        "SELECT p.repo, u.name, p.offset_bytes, p.hash_state, p.boot_id, p.created_at, p.expires_at
         FROM uploads p LEFT JOIN users u ON u.id = p.actor WHERE p.id = ?1",
        values![id],
        |row: &Row<'_>| {
            let mut hash_state: Vec<u8> = row.get(3)?;
            let algorithm = hash_state
                .first()
                .and_then(|&first| {
                    Algorithm::ALL
                        .into_iter()
                        .find(|&algorithm| number(algorithm) == first)
                })
                .ok_or_else(|| Error::Impossible(format!("upload {id} has no hash algorithm")))?;
            hash_state.remove(0);
            let boot_id: Vec<u8> = row.get(4)?;
            let boot_id = boot_id
                .try_into()
                .map_err(|_| Error::Impossible(format!("upload {id} has a boot id of another length")))?;
            Ok(UploadRow {
                id,
                repo: row.get(0)?,
                actor: row.get(1)?,
                offset: row.get(2)?,
                algorithm,
                hash_state,
                boot_id,
                created_at: row.get(5)?,
                expires_at: row.get(6)?,
            })
        },
    )
}

/// Ends an upload. False if it had no row.
pub fn delete_upload(tx: &mut Tx<'_>, id: Uuid) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM uploads WHERE id = ?1", values![id])? > 0)
}

/// Uploads that nobody went on with in time, at most `limit`.
pub fn expired_uploads(tx: &mut Tx<'_>, now: i64, limit: usize) -> Result<Vec<Uuid>, Error> {
    tx.query(
        "SELECT id FROM uploads WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        values![now, limit],
        |row: &Row<'_>| row.get(0),
    )
}

/// Every upload that has a row: what may be kept at the start.
pub fn list_upload_ids(tx: &mut Tx<'_>) -> Result<Vec<Uuid>, Error> {
    tx.query("SELECT id FROM uploads", values![], |row: &Row<'_>| row.get(0))
}

/// The uploads of one user, or of nobody, at most `limit`.
pub fn uploads_of(tx: &mut Tx<'_>, actor: Option<&str>, limit: usize) -> Result<Vec<Uuid>, Error> {
    let Some(name) = actor else {
        return tx.query(
            "SELECT id FROM uploads WHERE actor IS NULL LIMIT ?1",
            values![limit],
            |row| row.get(0),
        );
    };
    let Some(actor) = find_actor(tx, name)? else {
        return Ok(Vec::new());
    };
    tx.query(
        "SELECT id FROM uploads WHERE actor = ?1 LIMIT ?2",
        values![actor, limit],
        |row| row.get(0),
    )
}
