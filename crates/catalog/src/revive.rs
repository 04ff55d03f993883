//! Bringing manifests back out of the trash, with the children and blobs that they need, and with the referrers that went
//! with them. Not what was emptied: that is final, also while the collector waits, or something holds it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
    /// Of operations that were looked at: what they took, by what it refers to.
    referrers_of: BTreeMap<i64, BTreeMap<Digest, Vec<Found>>>,
}

/// A manifest's row and digest.
type Found = (i64, Digest);

impl Revival {
    pub(crate) fn new(repo: Repo, now: i64, keep_ms: i64) -> Self {
        Self {
            repo,
            now,
            keep_ms,
            manifests: Vec::new(),
            referrers_of: BTreeMap::new(),
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

    /// One manifest. False if it is purged, or its delete is final.
    pub(crate) fn manifest(&mut self, tx: &mut Tx<'_>, digest: &Digest) -> Result<bool, Error> {
        let known: Option<(i64, bool, bool)> = tx.first(
            "SELECT m.id, m.trashed_at IS NOT NULL,
               EXISTS (SELECT 1 FROM ops o WHERE o.id = m.trash_op AND o.until <= o.at)
             FROM manifests m WHERE m.repo_id = ?1 AND m.digest = ?2 @update OF m",
            values![self.repo.id, digest],
            |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        match known {
            Some((_, false, _)) => Ok(true),
            Some((id, true, false)) => self.run(tx, vec![(id, digest.clone())]).map(|()| true),
            Some((_, true, true)) | None => Ok(false),
        }
    }

    /// What a delete of this manifest took because it refers to it, and what hangs on that. Not what somebody deleted for
    /// itself.
    pub(crate) fn referrers(&mut self, tx: &mut Tx<'_>, subject: &Digest) -> Result<(), Error> {
        let next = self.went_with(tx, subject)?;
        self.run(tx, next)
    }

    fn run(&mut self, tx: &mut Tx<'_>, mut next: Vec<Found>) -> Result<(), Error> {
        while let Some((id, digest)) = next.pop() {
            if self.revive(tx, id, &digest)? {
                // Children whatever became of their own delete: what lists them is back, so they are not to go before it.
                next.extend(tx.query(
                    "SELECT m.id, m.digest FROM manifest_children c JOIN manifests m ON m.id = c.child_id
                     WHERE c.parent_id = ?1 AND m.trashed_at IS NOT NULL ORDER BY m.id @update OF m",
                    values![id],
                    found,
                )?);
                next.extend(self.went_with(tx, &digest)?);
            }
        }
        Ok(())
    }

    /// What refers to a manifest and is in the trash by an operation that took both and is not final: this one, or an older
    /// delete of the same manifest. Work: that of what those operations took, once.
    fn went_with(&mut self, tx: &mut Tx<'_>, subject: &Digest) -> Result<Vec<Found>, Error> {
        let ops: Vec<i64> = tx.query(
            "SELECT o.id FROM op_manifests d JOIN ops o ON o.id = d.op_id
             WHERE d.digest = ?1 AND o.repo_id = ?2 AND o.until > o.at
               AND EXISTS (SELECT 1 FROM manifests m WHERE m.trash_op = o.id) ORDER BY o.id",
            values![subject, self.repo.id],
            |row: &Row<'_>| row.get(0),
        )?;
        let mut with = Vec::new();
        for op in ops {
            let taken = match self.referrers_of.entry(op) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(referrers_in(tx, op)?),
            };
            with.extend(taken.remove(subject).unwrap_or_default());
        }
        Ok(with)
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

/// What an operation took that refers to something, by that.
fn referrers_in(tx: &mut Tx<'_>, op: i64) -> Result<BTreeMap<Digest, Vec<Found>>, Error> {
    let all: Vec<(i64, Digest, Digest)> = tx.query(
        "SELECT id, digest, subject_digest FROM manifests
         WHERE trash_op = ?1 AND subject_digest IS NOT NULL AND trashed_at IS NOT NULL ORDER BY id @update",
        values![op],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let mut referrers: BTreeMap<Digest, Vec<Found>> = BTreeMap::new();
    for (id, digest, subject) in all {
        referrers.entry(subject).or_default().push((id, digest));
    }
    Ok(referrers)
}

fn found(row: &Row<'_>) -> Result<Found, Error> {
    Ok((row.get(0)?, row.get(1)?))
}
