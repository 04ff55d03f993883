//! What the bytes on disk would be less by, if some tags and untagged manifests went: exact, and in time proportional to
//! what goes.
//!
//! A manifest goes with its last tag where no index or subject that stays holds it; with it what hangs on it alone. A blob
//! goes where no manifest that stays names it, in any repository that has it. Shape: `tag` and `untagged` say what goes,
//! `step` looks at some of it at a time, so that no read is long. What is in the trash of the same repository already
//! counts as gone.
//! Units: bytes.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, RepositoryName, Tag};

use crate::Error;
use crate::sql::{Row, Tx, values};

/// What would be freed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Freed {
    /// Manifests that would go.
    pub manifests: u64,
    /// Blobs that no repository would have any more.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A calculation that is under way.
#[derive(Clone, Default, Debug)]
pub struct WouldFree {
    tags: BTreeSet<(i64, String)>,
    /// Manifests to be looked at: number and repository.
    waiting: Vec<(i64, i64)>,
    gone: BTreeSet<i64>,
    /// Of gone manifests, those whose blobs were not counted yet.
    uncounted: Vec<(i64, i64)>,
    /// Edges from gone manifests, by blob and repository.
    edges: BTreeMap<i64, BTreeMap<i64, u64>>,
}

impl WouldFree {
    /// A tag goes.
    pub fn tag(&mut self, tx: &mut Tx<'_>, repo: &RepositoryName, tag: &Tag) -> Result<(), Error> {
        let found: Option<(i64, i64)> = tx.first(
            "SELECT t.manifest_id, t.repo_id FROM repos r JOIN tags t ON t.repo_id = r.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND t.name = ?2",
            values![repo, tag],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some((manifest, repo)) = found {
            self.tags.insert((repo, tag.to_string()));
            self.waiting.push((manifest, repo));
        }
        Ok(())
    }

    /// A manifest that nothing holds goes.
    pub fn untagged(&mut self, tx: &mut Tx<'_>, repo: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        let found: Option<(i64, i64)> = tx.first(
            "SELECT m.id, r.id FROM repos r JOIN manifests m ON m.repo_id = r.id
             WHERE r.name = ?1 AND r.deleted_at IS NULL AND m.digest = ?2 AND m.trashed_at IS NULL",
            values![repo, digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?)),
        )?;
        self.waiting.extend(found);
        Ok(())
    }

    /// Manifests that have lost their last tag go, by number and repository.
    pub fn lost_tags(&mut self, manifests: Vec<(i64, i64)>) {
        self.waiting.extend(manifests);
    }

    /// Counts the manifests that go, looking at `some` more. None until all are counted.
    pub fn count(&mut self, tx: &mut Tx<'_>, some: usize) -> Result<Option<u64>, Error> {
        for _ in 0..some {
            let Some((manifest, repo)) = self.waiting.pop() else {
                return Ok(Some(self.gone.len() as u64));
            };
            self.look(tx, manifest, repo)?;
        }
        Ok(None)
    }

    /// Looks at `some` of what goes. False when there is no more: then [`Self::sum`].
    pub fn step(&mut self, tx: &mut Tx<'_>, some: usize) -> Result<bool, Error> {
        for _ in 0..some {
            if let Some((manifest, repo)) = self.waiting.pop() {
                self.look(tx, manifest, repo)?;
            } else if let Some((manifest, repo)) = self.uncounted.pop() {
                let blobs = tx.query(
                    "SELECT blob_id FROM manifest_blobs WHERE manifest_id = ?1",
                    values![manifest],
                    |row: &Row<'_>| row.get::<i64>(0),
                )?;
                for blob in blobs {
                    *self.edges.entry(blob).or_default().entry(repo).or_default() += 1;
                }
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn look(&mut self, tx: &mut Tx<'_>, manifest: i64, repo: i64) -> Result<(), Error> {
        if self.gone.contains(&manifest) || self.is_held(tx, manifest, repo)? {
            return Ok(());
        }
        self.gone.insert(manifest);
        self.uncounted.push((manifest, repo));
        // Whatever this one held may go now, too.
        let loosened = tx.query(
            "SELECT m.id FROM manifest_children c JOIN manifests m ON m.id = c.child_id
             WHERE c.parent_id = ?1 AND m.trashed_at IS NULL
             UNION SELECT r.id FROM manifests m JOIN manifests r
               ON r.repo_id = m.repo_id AND r.subject_digest = m.digest AND r.trashed_at IS NULL WHERE m.id = ?1",
            values![manifest],
            |row: &Row<'_>| row.get::<i64>(0),
        )?;
        self.waiting.extend(loosened.into_iter().map(|one| (one, repo)));
        Ok(())
    }

    fn is_held(&self, tx: &mut Tx<'_>, manifest: i64, repo: i64) -> Result<bool, Error> {
        let tags: Vec<String> = tx.query(
            "SELECT name FROM tags WHERE manifest_id = ?1",
            values![manifest],
            |row: &Row<'_>| row.get(0),
        )?;
        if tags.into_iter().any(|tag| !self.tags.contains(&(repo, tag))) {
            return Ok(true);
        }
        let holders = tx.query(
            "SELECT p.id FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
             WHERE c.child_id = ?1 AND p.trashed_at IS NULL
             UNION SELECT s.id FROM manifests m JOIN manifests s
               ON s.repo_id = m.repo_id AND s.digest = m.subject_digest AND s.trashed_at IS NULL WHERE m.id = ?1",
            values![manifest],
            |row: &Row<'_>| row.get::<i64>(0),
        )?;
        Ok(holders.into_iter().any(|holder| !self.gone.contains(&holder)))
    }

    /// Counts the blobs that nothing else names, `some` at a time; what was counted is forgotten. None until all are.
    pub fn sum(&mut self, tx: &mut Tx<'_>, so_far: &mut Freed, some: usize) -> Result<bool, Error> {
        so_far.manifests = self.gone.len() as u64;
        for _ in 0..some {
            let Some((blob, repos)) = self.edges.pop_first() else {
                return Ok(false);
            };
            if Self::is_needed(tx, blob, &repos)? {
                continue;
            }
            let size: Option<u64> =
                tx.first("SELECT size FROM blobs WHERE id = ?1", values![blob], |row| {
                    row.get(0)
                })?;
            so_far.blobs += 1;
            so_far.bytes += size.unwrap_or(0);
        }
        Ok(true)
    }

    fn is_needed(tx: &mut Tx<'_>, blob: i64, repos: &BTreeMap<i64, u64>) -> Result<bool, Error> {
        let links = tx.query(
            "SELECT repo_id FROM repo_blobs WHERE blob_id = ?1 LIMIT ?2",
            values![blob, repos.len() + 1],
            |row: &Row<'_>| row.get::<i64>(0),
        )?;
        if links.iter().any(|link| !repos.contains_key(link)) {
            return Ok(true);
        }
        for (&repo, &edges) in repos {
            // One more than go would be one that stays.
            let named = tx.query(
                "SELECT e.manifest_id FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
                 WHERE e.repo_id = ?1 AND e.blob_id = ?2 AND m.trashed_at IS NULL LIMIT ?3",
                values![repo, blob, edges + 1],
                |row: &Row<'_>| row.get::<i64>(0),
            )?;
            if named.len() as u64 > edges {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
