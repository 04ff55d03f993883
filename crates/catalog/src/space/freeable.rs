//! What a set of manifests names, and what of it nothing else does.

use std::collections::BTreeMap;

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// What deleting a set of manifests would free.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Freeable {
    /// Blobs that the set names.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Those of them that nothing else names.
    pub freed_blobs: u64,
    /// Bytes of those: what would be free.
    pub freed_bytes: u64,
}

/// A blob that a set of manifests names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its bytes.
    pub size: u64,
    /// How many edges of the set lead to it.
    pub edges: u64,
}

/// What deleting these manifests, live or in the trash, would free; those that are not there count for nothing. All in
/// one transaction: for a set of some hundred manifests. A larger one goes in steps, by the two functions below.
pub fn freeable(tx: &mut Tx<'_>, set: &[(RepositoryName, Digest)]) -> Result<Freeable, Error> {
    let mut named = BTreeMap::new();
    named_by(tx, set, &mut named)?;
    let mut all = Freeable::default();
    for (blob, found) in named {
        let is_elsewhere = is_named_elsewhere(tx, blob, found.edges)?;
        all.add(found.size, is_elsewhere);
    }
    Ok(all)
}

/// Adds what these manifests name to `named`, by the number of the blob. A manifest must not come twice.
pub fn named_by(
    tx: &mut Tx<'_>,
    set: &[(RepositoryName, Digest)],
    named: &mut BTreeMap<i64, Named>,
) -> Result<(), Error> {
    for (repo, digest) in set {
        let Some(repo) = Repo::find(tx, repo)? else {
            continue;
        };
        let id = tx.first(
            "SELECT id FROM manifests WHERE repo_id = ?1 AND digest = ?2",
            values![repo.id, digest],
            |row: &Row<'_>| row.get(0),
        )?;
        if let Some(id) = id {
            named_by_one(tx, id, named)?;
        }
    }
    Ok(())
}

pub(super) fn named_by_one(
    tx: &mut Tx<'_>,
    manifest: i64,
    named: &mut BTreeMap<i64, Named>,
) -> Result<(), Error> {
    let edges: Vec<(i64, u64)> = tx.query(
        "SELECT e.blob_id, b.size FROM manifest_blobs e JOIN blobs b ON b.id = e.blob_id WHERE e.manifest_id = ?1",
        values![manifest],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (blob, size) in edges {
        named.entry(blob).or_insert(Named { size, edges: 0 }).edges += 1;
    }
    Ok(())
}

/// Whether more edges lead to a blob than the `edges` that are known: then a manifest outside the set names it. Looks at
/// one edge more than that, however many there are.
pub fn is_named_elsewhere(tx: &mut Tx<'_>, blob: i64, edges: u64) -> Result<bool, Error> {
    let found: Vec<i64> = tx.query(
        "SELECT e.manifest_id FROM repo_blobs l JOIN manifest_blobs e ON e.repo_id = l.repo_id AND e.blob_id = l.blob_id
         WHERE l.blob_id = ?1 LIMIT ?2",
        values![blob, edges.saturating_add(1)],
        |row: &Row<'_>| row.get(0),
    )?;
    Ok(found.len() as u64 > edges)
}

impl Freeable {
    /// Counts a blob of the set.
    pub fn add(&mut self, size: u64, is_named_elsewhere: bool) {
        self.blobs += 1;
        self.bytes += size;
        if !is_named_elsewhere {
            self.freed_blobs += 1;
            self.freed_bytes += size;
        }
    }

    /// Adds blobs of the same set that were counted apart.
    pub fn merge(&mut self, part: &Self) {
        self.blobs += part.blobs;
        self.bytes += part.bytes;
        self.freed_blobs += part.freed_blobs;
        self.freed_bytes += part.freed_bytes;
    }
}
