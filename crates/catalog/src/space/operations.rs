//! What one operation in the trash frees: the blobs that only manifests name which it took, or which follow it when their
//! lease ends, with all that hangs on those.
//!
//! A blob that manifests of several operations name counts for the newest one: so what the trash lists adds up to what is
//! in it, each byte once, and what is deleted first is never said to free what a later delete still keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::freeable::{Named, named_by_one};
use super::tags::{going_with, is_held};
use crate::Error;
use crate::sql::{Row, Tx, values};

/// Edges that are looked at to say what one operation frees.
const EDGES_MAX: usize = 20_000;

/// The bytes; none: it took too much to say it at once.
pub(crate) fn freed_by_operation(tx: &mut Tx<'_>, op: i64) -> Result<Option<u64>, Error> {
    let edges: Vec<(i64, u64)> = tx.query(
        "SELECT e.blob_id, b.size FROM manifests m JOIN manifest_blobs e ON e.manifest_id = m.id
         JOIN blobs b ON b.id = e.blob_id WHERE m.trash_op = ?1 AND m.trashed_at IS NOT NULL LIMIT ?2",
        values![op, EDGES_MAX],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if edges.len() >= EDGES_MAX {
        return Ok(None);
    }
    let mut named: BTreeMap<i64, Named> = edges
        .into_iter()
        .map(|(blob, size)| (blob, Named { size, edges: 0 }))
        .collect();
    for manifest in followers(tx, op)? {
        named_by_one(tx, manifest, &mut named)?;
        if named.len() >= EDGES_MAX {
            return Ok(None);
        }
    }
    let mut freed = 0;
    for (blob, found) in named {
        if !is_needed(tx, blob, op, found.edges)? {
            freed += found.size;
        }
    }
    Ok(Some(freed))
}

/// Live manifests that go to the trash with the operation when their lease ends, unless something holds them until then.
fn followers(tx: &mut Tx<'_>, op: i64) -> Result<BTreeSet<i64>, Error> {
    let first: Vec<i64> = tx.query(
        "SELECT id FROM manifests WHERE trash_op = ?1 AND trashed_at IS NULL ORDER BY id",
        values![op],
        |row: &Row<'_>| row.get(0),
    )?;
    let mut going = BTreeSet::new();
    for manifest in first {
        if !going.contains(&manifest) && !is_held(tx, manifest, None, &going)? {
            going_with(tx, manifest, &mut going)?;
        }
    }
    Ok(going)
}

/// Whether more edges than those `edges` of live manifests lead to a blob from what is live, or was deleted later.
fn is_needed(tx: &mut Tx<'_>, blob: i64, op: i64, edges: u64) -> Result<bool, Error> {
    let found: Vec<i64> = tx.query(
        "SELECT e.manifest_id FROM repo_blobs l JOIN manifest_blobs e ON e.repo_id = l.repo_id AND e.blob_id = l.blob_id
         JOIN manifests k ON k.id = e.manifest_id
         WHERE l.blob_id = ?1 AND (k.trashed_at IS NULL OR k.trash_op > ?2) LIMIT ?3",
        values![blob, op, edges.saturating_add(1)],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(found.len() as u64 > edges)
}
