//! Links whose lease ended (P-REVIEW-LINK): one that an edge holds stays; one that none holds goes, and the blob with
//! it if this was the last. Its bytes wait under a tombstone until nobody can still be sent to them.
//!
//! A hidden link whose blob a trashed manifest names stays hidden. Units: milliseconds, bytes. Fails: never by halves.

use std::collections::BTreeMap;

use oci::Digest;

use crate::Error;
use crate::history::{ChangeKind, record_change};
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::stamps::Slot;
use crate::tombstones::{Reason, bury};
use crate::usage::{Usage, count, count_stored};

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinksReviewed {
    /// Links that an edge holds.
    pub kept: usize,
    /// Links that are gone.
    pub removed: usize,
    /// Blobs that no repository has any more.
    pub blobs: usize,
    /// Bytes of those.
    pub bytes: u64,
}

struct Due {
    repo: Repo,
    blob_id: i64,
    hidden: bool,
}

struct Blob {
    digest: Digest,
    size: u64,
    location: Option<String>,
}

/// Reviews links whose lease ended, at most `limit`. Bytes that nothing needs may go `read_grace_ms` later.
pub fn review_links(
    tx: &mut Tx<'_>,
    now: i64,
    read_grace_ms: i64,
    limit: usize,
) -> Result<LinksReviewed, Error> {
    let due = tx.query(
        "SELECT l.repo_id, r.namespace_id, l.blob_id, l.hidden_at IS NOT NULL, r.name
         FROM repo_blobs l JOIN repos r ON r.id = l.repo_id
         WHERE l.review_at <= ?1 ORDER BY l.review_at LIMIT ?2 @update OF l @skip @keyshare OF r @skip",
        values![now, limit],
        |row: &Row<'_>| {
            Ok(Due {
                repo: Repo {
                    id: row.get(0)?,
                    namespace_id: row.get(1)?,
                    slot: Slot::of(&row.get::<String>(4)?),
                },
                blob_id: row.get(2)?,
                hidden: row.get(3)?,
            })
        },
    )?;
    let mut review = Review {
        now,
        free_at: now.saturating_add(read_grace_ms),
        done: LinksReviewed::default(),
        less: BTreeMap::new(),
    };
    for one in due {
        review.link(tx, &one)?;
    }
    review.finish(tx)
}

struct Review {
    now: i64,
    free_at: i64,
    done: LinksReviewed,
    /// What repositories have less of, by namespace and number.
    less: BTreeMap<(i64, i64), (Repo, Usage)>,
}

impl Review {
    fn link(&mut self, tx: &mut Tx<'_>, due: &Due) -> Result<(), Error> {
        let link = values![due.repo.id, due.blob_id];
        if tx.exists(
            "SELECT 1 FROM manifest_blobs WHERE repo_id = ?1 AND blob_id = ?2 LIMIT 1",
            link,
        )? {
            tx.execute(
                "UPDATE repo_blobs SET review_at = NULL WHERE repo_id = ?1 AND blob_id = ?2",
                link,
            )?;
            self.done.kept += 1;
            return Ok(());
        }
        // Somebody who publishes or mounts the blob right now has its row and wants the link, which we have: waiting
        // would be a deadlock, and they are about to renew it.
        let blob = tx.first(
            "SELECT digest, size, location FROM blobs WHERE id = ?1 @update @skip",
            values![due.blob_id],
            |row: &Row<'_>| {
                Ok(Blob {
                    digest: row.get(0)?,
                    size: row.get(1)?,
                    location: row.get(2)?,
                })
            },
        )?;
        match blob {
            Some(blob) => self.remove(tx, due, &blob),
            None => Ok(()),
        }
    }

    fn remove(&mut self, tx: &mut Tx<'_>, due: &Due, blob: &Blob) -> Result<(), Error> {
        tx.execute(
            "DELETE FROM repo_blobs WHERE repo_id = ?1 AND blob_id = ?2",
            values![due.repo.id, due.blob_id],
        )?;
        self.done.removed += 1;
        let of_repo = self.less.entry((due.repo.namespace_id, due.repo.id));
        let (_, less) = of_repo.or_insert((due.repo, Usage::default()));
        less.bytes -= i64::try_from(blob.size).unwrap_or(i64::MAX);
        less.blobs -= 1;
        if !due.hidden {
            record_change(tx, ChangeKind::Blob, due.repo, &blob.digest.to_string(), self.now)?;
        }
        let is_linked = tx.exists(
            "SELECT 1 FROM repo_blobs WHERE blob_id = ?1 LIMIT 1",
            values![due.blob_id],
        )?;
        if is_linked {
            return Ok(());
        }
        if let Some(location) = &blob.location {
            bury(
                tx,
                location,
                &blob.digest,
                blob.size,
                self.free_at,
                Reason::Collected,
            )?;
        }
        tx.execute("DELETE FROM blobs WHERE id = ?1", values![due.blob_id])?;
        self.done.blobs += 1;
        self.done.bytes += blob.size;
        Ok(())
    }

    /// Counts at the end, in one order, so that two steps cannot wait for each other's counters.
    fn finish(self, tx: &mut Tx<'_>) -> Result<LinksReviewed, Error> {
        if self.done.blobs > 0 {
            let bytes = i64::try_from(self.done.bytes).unwrap_or(i64::MAX);
            let blobs = i64::try_from(self.done.blobs).unwrap_or(i64::MAX);
            count_stored(tx, -blobs, -bytes)?;
        }
        for (repo, less) in self.less.into_values() {
            count(tx, repo, less)?;
        }
        Ok(self.done)
    }
}
