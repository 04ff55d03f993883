//! What waits to be collected, how much it is, and when its time comes.
//!
//! All of it is read from the partial indexes that the steps themselves use, so the cost is that of the garbage and of
//! what was pushed within a lease, never of what is kept. Units: Unix milliseconds, bytes. One blob may wait in several
//! repositories: its bytes count for each link, and once in the trash.

use crate::Error;
use crate::gc::holds::is_sweep_held;
use crate::gc::pauses::{Pause, gc_pause};
use crate::sql::{Row, Tx, Value, values};

/// Things of one kind that wait.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pending {
    /// How many.
    pub count: u64,
    /// Bytes that go with them.
    pub bytes: u64,
    /// When the first one's time comes.
    pub first_at: Option<i64>,
    /// When the last one's does.
    pub last_at: Option<i64>,
}

/// What waits.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct GcStatus {
    /// Manifests in the trash; the bytes of the blobs that no live manifest names, which go with them.
    pub trash: Pending,
    /// Repositories that were deleted; all bytes that they count, shared or not.
    pub repositories: Pending,
    /// Links that no manifest holds and whose lease runs, or waits to be looked at.
    pub leased: Pending,
    /// Bytes that are the sweeper's.
    pub tombstones: Pending,
    /// Bytes that no row knew, put aside; `first_at` and `last_at` say when they were found.
    pub orphans: Pending,
    /// Whether somebody, such as a backup, holds all bytes.
    pub sweep_held: bool,
    /// Why nothing is collected now.
    pub pause: Option<Pause>,
}

/// Earlier than any time, to ask an index for all that it holds.
const EVER: i64 = i64::MIN;

/// What waits to be collected.
pub fn gc_status(tx: &mut Tx<'_>, now: i64) -> Result<GcStatus, Error> {
    let mut trash = one(
        tx,
        "SELECT COUNT(*), CAST(0 AS BIGINT), MIN(purge_at), MAX(purge_at) FROM manifests WHERE purge_at > ?1",
        values![EVER],
    )?;
    trash.bytes = trash_bytes(tx)?;
    Ok(GcStatus {
        trash,
        repositories: one(
            tx,
            "SELECT COUNT(DISTINCT r.id), CAST(COALESCE(SUM(u.bytes), 0) AS BIGINT), MIN(r.purge_at), MAX(r.purge_at)
             FROM repos r LEFT JOIN usage u ON u.scope = 2 AND u.scope_id = r.id WHERE r.purge_at > ?1",
            values![EVER],
        )?,
        leased: one(
            tx,
            "SELECT COUNT(*), CAST(COALESCE(SUM(b.size), 0) AS BIGINT), MIN(l.review_at), MAX(l.review_at)
             FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id WHERE l.review_at > ?1
               AND NOT EXISTS (SELECT 1 FROM manifest_blobs e WHERE e.repo_id = l.repo_id AND e.blob_id = l.blob_id)",
            values![EVER],
        )?,
        tombstones: one(
            tx,
            "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT), MIN(not_before), MAX(not_before)
             FROM tombstones WHERE not_before > ?1",
            values![EVER],
        )?,
        orphans: one(
            tx,
            "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT), MIN(first_seen), MAX(first_seen)
             FROM orphans WHERE location > ?1",
            values![""],
        )?,
        sweep_held: is_sweep_held(tx, now)?,
        pause: gc_pause(tx, now)?,
    })
}

fn one(tx: &mut Tx<'_>, sql: &'static str, values: &[Value<'_>]) -> Result<Pending, Error> {
    let pending = tx.first(sql, values, |row: &Row<'_>| {
        Ok(Pending {
            count: row.get(0)?,
            bytes: row.get(1)?,
            first_at: row.get(2)?,
            last_at: row.get(3)?,
        })
    })?;
    Ok(pending.unwrap_or_default())
}

/// Bytes of the blobs that manifests in the trash name and no live one does, in any repository.
fn trash_bytes(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let sizes: Vec<u64> = tx.query(
        "SELECT b.size FROM manifests m JOIN manifest_blobs e ON e.manifest_id = m.id JOIN blobs b ON b.id = e.blob_id
         WHERE m.purge_at > ?1
           AND NOT EXISTS (SELECT 1 FROM repo_blobs l
             JOIN manifest_blobs o ON o.repo_id = l.repo_id AND o.blob_id = l.blob_id
             JOIN manifests k ON k.id = o.manifest_id WHERE l.blob_id = e.blob_id AND k.trashed_at IS NULL)
         GROUP BY b.id, b.size",
        values![EVER],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(sizes.into_iter().sum())
}

/// When the next step has something to do; none if nothing waits.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<i64>, Error> {
    let firsts = [
        "SELECT review_at FROM manifests WHERE review_at > ?1 ORDER BY review_at LIMIT 1",
        "SELECT purge_at FROM manifests WHERE purge_at > ?1 ORDER BY purge_at LIMIT 1",
        "SELECT review_at FROM repo_blobs WHERE review_at > ?1 ORDER BY review_at LIMIT 1",
        "SELECT not_before FROM tombstones WHERE not_before > ?1 ORDER BY not_before LIMIT 1",
        "SELECT purge_at FROM repos WHERE purge_at > ?1 ORDER BY purge_at LIMIT 1",
    ];
    let mut next: Option<i64> = None;
    for sql in firsts {
        let first = tx.first(sql, values![EVER], |row: &Row<'_>| row.get(0))?;
        next = next.into_iter().chain(first).min();
    }
    Ok(next)
}
