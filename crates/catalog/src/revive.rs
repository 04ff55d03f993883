//! Bringing manifests back out of the trash, with the children and blobs that they need.

use std::collections::BTreeSet;

use oci::Digest;

use crate::Error;
use crate::history::{ChangeKind, record_change};
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::usage::{Usage, count};

/// Manifests that come back, in one repository.
pub(crate) struct Revival {
    pub(crate) repo: Repo,
    pub(crate) now: i64,
    pub(crate) keep_ms: i64,
    /// Those that are back.
    pub(crate) manifests: Vec<Digest>,
}

impl Revival {
    pub(crate) fn new(repo: Repo, now: i64, keep_ms: i64) -> Self {
        Self {
            repo,
            now,
            keep_ms,
            manifests: Vec::new(),
        }
    }

    /// Everything that went in one operation, and the children that it needs.
    pub(crate) fn operation(&mut self, tx: &mut Tx<'_>, op: i64) -> Result<(), Error> {
        let next = tx.query(
            "SELECT id, digest FROM manifests WHERE trash_op = ?1 ORDER BY id @update",
            values![op],
            found,
        )?;
        // Children that would have followed stay.
        tx.execute(
            "UPDATE manifests SET trash_op = NULL WHERE trash_op = ?1 AND trashed_at IS NULL",
            values![op],
        )?;
        self.run(tx, next)
    }

    /// One manifest, the children that it needs, and what refers to it and went with it. False if it is purged.
    pub(crate) fn manifest(&mut self, tx: &mut Tx<'_>, digest: &Digest) -> Result<bool, Error> {
        let known: Option<(i64, Option<i64>, bool)> = tx.first(
            "SELECT id, trash_op, trashed_at IS NOT NULL FROM manifests WHERE repo_id = ?1 AND digest = ?2 @update",
            values![self.repo.id, digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        match known {
            None => return Ok(false),
            Some((_, _, false)) => {}
            Some((id, None, true)) => self.run(tx, vec![(id, digest.clone())])?,
            Some((id, Some(op), true)) => {
                let mut next = went_with(tx, op, digest)?;
                next.push((id, digest.clone()));
                self.run(tx, next)?;
            }
        }
        Ok(true)
    }

    fn run(&mut self, tx: &mut Tx<'_>, mut next: Vec<(i64, Digest)>) -> Result<(), Error> {
        while let Some((id, digest)) = next.pop() {
            if self.revive(tx, id, &digest)? {
                next.extend(tx.query(
                    "SELECT m.id, m.digest FROM manifest_children c JOIN manifests m ON m.id = c.child_id
                     WHERE c.parent_id = ?1 AND m.trashed_at IS NOT NULL ORDER BY m.id @update OF m",
                    values![id],
                    found,
                )?);
            }
        }
        Ok(())
    }

    /// One manifest, and the links that its edges need. False if it is back already.
    fn revive(&mut self, tx: &mut Tx<'_>, id: i64, digest: &Digest) -> Result<bool, Error> {
        let until = self.now.saturating_add(self.keep_ms);
        let revived = tx.execute(
            "UPDATE manifests SET trashed_at = NULL, purge_at = NULL, trash_op = NULL, loose_at = NULL, review_at = ?2
             WHERE id = ?1 AND trashed_at IS NOT NULL",
            values![id, until],
        )?;
        if revived == 0 {
            return Ok(false);
        }
        tx.execute(
            "UPDATE repo_blobs SET hidden_at = NULL WHERE repo_id = ?1 AND hidden_at IS NOT NULL
               AND blob_id IN (SELECT e.blob_id FROM manifest_blobs e WHERE e.manifest_id = ?2)",
            values![self.repo.id, id],
        )?;
        let one = Usage {
            manifests: 1,
            trashed: -1,
            ..Usage::default()
        };
        count(tx, self.repo, one)?;
        record_change(tx, ChangeKind::Manifest, self.repo, &digest.to_string(), self.now)?;
        self.manifests.push(digest.clone());
        Ok(true)
    }
}

/// What refers to a manifest, and to that, and so on, and is in the trash by the same operation.
fn went_with(tx: &mut Tx<'_>, op: i64, root: &Digest) -> Result<Vec<(i64, Digest)>, Error> {
    let all: Vec<(i64, Digest, Digest)> = tx.query(
        "SELECT id, digest, subject_digest FROM manifests WHERE trash_op = ?1 AND subject_digest IS NOT NULL
         ORDER BY id @update",
        values![op],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (mut wanted, mut with) = (BTreeSet::from([root.clone()]), Vec::new());
    loop {
        let before = wanted.len();
        for (id, digest, subject) in &all {
            if wanted.contains(subject) && wanted.insert(digest.clone()) {
                with.push((*id, digest.clone()));
            }
        }
        if wanted.len() == before {
            return Ok(with);
        }
    }
}

fn found(row: &Row<'_>) -> Result<(i64, Digest), Error> {
    Ok((row.get(0)?, row.get(1)?))
}
