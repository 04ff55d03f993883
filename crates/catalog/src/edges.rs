//! Edges: what a manifest names, as rows. Made from links and manifests that are served now, which stay locked until
//! the commit, so that no collector can take them (I4).
//!
//! Units: `ord` counts descriptors from 0. Fails: never by halves; what is missing is an answer.

use std::borrow::Cow;
use std::collections::BTreeSet;

use oci::Digest;

use crate::Error;
use crate::links::{forget_missing, lease_again};
use crate::put::{Child, Edge, EdgeKind, NewManifest, storable};
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// Edges to everything that the manifest names and the repository serves; the digests that it must have and lacks.
pub(crate) fn store_edges(
    tx: &mut Tx<'_>,
    repo: Repo,
    id: i64,
    is_fresh: bool,
    new: &NewManifest,
) -> Result<Vec<Digest>, Error> {
    if is_fresh {
        return make_edges(tx, repo, id, new);
    }
    // What an earlier push of the same bytes resolved may have changed since: blobs came, children went.
    let blob_id = |row: &Row<'_>| row.get::<i64>(0);
    let old = tx.query(
        "DELETE FROM manifest_blobs WHERE manifest_id = ?1 RETURNING blob_id",
        values![id],
        blob_id,
    )?;
    tx.execute("DELETE FROM manifest_children WHERE parent_id = ?1", values![id])?;
    tx.execute("DELETE FROM manifest_missing WHERE manifest_id = ?1", values![id])?;
    let missing = make_edges(tx, repo, id, new)?;
    let made = tx.query(
        "SELECT blob_id FROM manifest_blobs WHERE manifest_id = ?1",
        values![id],
        blob_id,
    )?;
    let made = BTreeSet::from_iter(made);
    let until = new.now.saturating_add(new.keep_ms);
    for blob_id in old.into_iter().filter(|one| !made.contains(one)) {
        lease_again(tx, repo, blob_id, until)?;
    }
    Ok(missing)
}

fn make_edges(tx: &mut Tx<'_>, repo: Repo, id: i64, new: &NewManifest) -> Result<Vec<Digest>, Error> {
    let mut missing = Vec::new();
    // In the order of digests, so that two pushes lock in the same order.
    let mut blobs: Vec<&Edge> = new.blobs.iter().collect();
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    for edge in blobs {
        if !store_blob_edge(tx, repo, id, edge.ord, &edge.digest, edge.kind)? {
            if edge.required {
                missing.push(edge.digest.clone());
            } else {
                store_missing(tx, id, edge.ord, &edge.digest, edge.size, edge.kind, None)?;
            }
        }
    }
    let mut children: Vec<&Child> = new.children.iter().collect();
    children.sort_by(|a, b| a.digest.cmp(&b.digest));
    for child in children {
        let platform = child.platform.as_deref().map(storable);
        let found = store_child(tx, repo, id, child, platform.clone())?
            || store_blob_edge(tx, repo, id, child.ord, &child.digest, EdgeKind::Child)?;
        if !found {
            if child.required {
                missing.push(child.digest.clone());
            } else {
                store_missing(
                    tx,
                    id,
                    child.ord,
                    &child.digest,
                    child.size,
                    EdgeKind::Child,
                    platform,
                )?;
            }
        }
    }
    missing.sort();
    missing.dedup();
    Ok(missing)
}

/// False where the repository does not serve the blob, or its bytes are known to be damaged: the client must send them.
fn store_blob_edge(
    tx: &mut Tx<'_>,
    repo: Repo,
    id: i64,
    ord: i64,
    digest: &Digest,
    kind: EdgeKind,
) -> Result<bool, Error> {
    let made = tx.execute(
        "INSERT INTO manifest_blobs(manifest_id, ord, repo_id, blob_id, kind)
         SELECT CAST(?1 AS BIGINT), CAST(?2 AS INTEGER), l.repo_id, l.blob_id, CAST(?3 AS SMALLINT)
         FROM blobs b JOIN repo_blobs l ON l.blob_id = b.id
         WHERE b.digest = ?4 AND l.repo_id = ?5 AND l.hidden_at IS NULL AND b.health < 2 @share OF l",
        values![id, ord, kind as i64, digest, repo.id],
    )?;
    Ok(made > 0)
}

fn store_child(
    tx: &mut Tx<'_>,
    repo: Repo,
    id: i64,
    child: &Child,
    platform: Option<Cow<'_, str>>,
) -> Result<bool, Error> {
    let made = tx.execute(
        "INSERT INTO manifest_children(parent_id, ord, child_id, platform)
         SELECT CAST(?1 AS BIGINT), CAST(?2 AS INTEGER), m.id, CAST(?3 AS TEXT) FROM manifests m
         WHERE m.repo_id = ?4 AND m.digest = ?5 AND m.trashed_at IS NULL @share",
        values![id, child.ord, platform, repo.id, &child.digest],
    )?;
    Ok(made > 0)
}

fn store_missing(
    tx: &mut Tx<'_>,
    id: i64,
    ord: i64,
    digest: &Digest,
    size: u64,
    kind: EdgeKind,
    platform: Option<Cow<'_, str>>,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO manifest_missing(manifest_id, ord, digest, size, kind, platform)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![id, ord, digest, size, kind as i64, platform],
    )?;
    Ok(())
}

/// Indexes that were let in without this child list it from now on.
pub(crate) fn adopt_parents(tx: &mut Tx<'_>, repo: Repo, id: i64, digest: &Digest) -> Result<(), Error> {
    let adopted = tx.execute(
        "INSERT INTO manifest_children(parent_id, ord, child_id, platform)
         SELECT x.manifest_id, x.ord, CAST(?1 AS BIGINT), x.platform
         FROM manifest_missing x JOIN manifests m ON m.id = x.manifest_id
         WHERE x.digest = ?2 AND m.repo_id = ?3 AND x.kind = 2",
        values![id, digest, repo.id],
    )?;
    if adopted > 0 {
        forget_missing(tx, repo, digest)?;
    }
    Ok(())
}
