//! A catalog made large: manifests that no client pushes, written row by row beside those that one did push.
//!
//! Shape: each is a copy of a manifest that is there, with a digest of its own, the same blobs, and a tag; they are in order
//! for every rule of the auditor but one, that a body hashes to its digest. Only on a folder that no server holds.
//! Fails: without a tagged manifest to copy.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::Trouble;

/// Adds manifests until the catalog has this many.
pub(crate) fn manifests(data: &Path, wanted: i64) -> Result<(), Trouble> {
    let rows = Connection::open(data.join("landfall/catalog/landfall.db"))?;
    rows.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")?;
    let there: i64 = rows.query_row("SELECT COUNT(*) FROM manifests", [], |row| row.get(0))?;
    let (model, repo, at, tagged): (i64, i64, i64, i64) = rows.query_row(
        "SELECT m.id, m.repo_id, m.pushed_at, t.event_seq FROM manifests m JOIN tags t ON t.manifest_id = m.id LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let new = (wanted - there).max(0);
    for number in 0..new {
        let digest = fresh_digest()?;
        rows.prepare_cached(
            "INSERT INTO manifest_bodies(digest, size, body) SELECT ?1, size, body FROM manifest_bodies
             WHERE id = (SELECT body_id FROM manifests WHERE id = ?2)",
        )?
        .execute(params![digest, model])?;
        let body = rows.last_insert_rowid();
        rows.prepare_cached(
            "INSERT INTO manifests(repo_id, body_id, digest, media_type, pushed_at)
             SELECT repo_id, ?1, ?2, media_type, pushed_at FROM manifests WHERE id = ?3",
        )?
        .execute(params![body, digest, model])?;
        let manifest = rows.last_insert_rowid();
        rows.prepare_cached(
            "INSERT INTO manifest_blobs(manifest_id, ord, repo_id, blob_id, kind)
             SELECT ?1, ord, repo_id, blob_id, kind FROM manifest_blobs WHERE manifest_id = ?2",
        )?
        .execute(params![manifest, model])?;
        let name = format!("t{number:07}");
        rows.prepare_cached(
            "INSERT INTO tag_events(repo_id, name, op_id, at, kind, new_digest)
             SELECT repo_id, ?1, op_id, at, kind, ?2 FROM tag_events WHERE seq = ?3",
        )?
        .execute(params![name, digest, tagged])?;
        let event = rows.last_insert_rowid();
        rows.prepare_cached(
            "INSERT INTO tags(repo_id, name, manifest_id, event_seq, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![repo, name, manifest, event, at])?;
    }
    rows.execute(
        "UPDATE usage SET manifests = manifests + ?1, tags = tags + ?1 WHERE stripe = 0 AND (scope = 0
           OR (scope = 2 AND scope_id = ?2)
           OR (scope = 1 AND scope_id = (SELECT namespace_id FROM repos WHERE id = ?2)))",
        params![new, repo],
    )?;
    rows.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// SHA-256 of nothing in particular.
fn fresh_digest() -> Result<Vec<u8>, Trouble> {
    let mut digest = vec![ALGORITHM; 33];
    getrandom::fill(&mut digest[1..])?;
    Ok(digest)
}

/// What SHA-256 is in the first byte of a digest in a row.
const ALGORITHM: u8 = 1;
