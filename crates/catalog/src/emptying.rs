//! Emptying the trash: the undo window of what was deleted ends now, and the collector does the rest.
//!
//! Shape: in batches, by the order of the trash. Units: Unix milliseconds.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::repos::cut;
use crate::sql::{Tx, values};
use crate::trash_views::{TrashEntry, TrashKind, TrashPlace, ids_of, operations_in};

/// What emptying did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Emptied {
    /// Operations that can no more be taken back.
    pub operations: usize,
    /// Manifests that are due.
    pub manifests: u64,
    /// Where to go on; none at the end.
    pub next: Option<TrashPlace>,
}

/// Ends the undo window of what was deleted at `before` or earlier: at most `limit` operations after `after`. What they
/// took is the collector's from now on.
pub fn empty_trash(
    tx: &mut Tx<'_>,
    repo: Option<&RepositoryName>,
    before: i64,
    now: i64,
    after: Option<TrashPlace>,
    limit: usize,
) -> Result<Emptied, Error> {
    let ids = match repo {
        Some(name) => Some(ids_of(tx, name)?),
        None => None,
    };
    let (found, more) = cut(
        operations_in(tx, ids.as_deref(), now, after, limit.saturating_add(1))?,
        limit,
    );
    let last = found.last().map(|(_, one)| (one.until, one.op));
    let mut emptied = Emptied {
        next: last.filter(|_| more),
        ..Emptied::default()
    };
    for (repo, one) in found.iter().filter(|(_, one)| one.at <= before) {
        emptied.operations += 1;
        emptied.manifests += end(tx, *repo, one, now)?;
    }
    Ok(emptied)
}

/// Ends the window of one operation; how many manifests are due by it.
fn end(tx: &mut Tx<'_>, repo: i64, one: &TrashEntry, now: i64) -> Result<u64, Error> {
    let mut manifests = 0;
    match one.kind {
        // Of a tag that a rule took, the manifest that followed.
        TrashKind::Manifest | TrashKind::Tag => {
            manifests = tx.execute(
                "UPDATE manifests SET purge_at = ?2 WHERE trash_op = ?1 AND trashed_at IS NOT NULL",
                values![one.op, now],
            )?;
        }
        TrashKind::Blob => end_of_blob(tx, repo, &one.target, now)?,
        TrashKind::Repository => {
            tx.execute(
                "UPDATE repos SET purge_at = ?3 WHERE id = ?1 AND delete_op = ?2 AND purge_at IS NOT NULL",
                values![repo, one.op, now],
            )?;
        }
    }
    // Never later than its beginning, which says that it did not end by itself: the trash does not list it any more.
    tx.execute(
        "UPDATE ops SET until = CASE WHEN at < ?2 THEN at ELSE ?2 END WHERE id = ?1",
        values![one.op, now],
    )?;
    Ok(manifests)
}

fn end_of_blob(tx: &mut Tx<'_>, repo: i64, target: &str, now: i64) -> Result<(), Error> {
    if let Ok(digest) = target.parse::<Digest>() {
        tx.execute(
            "UPDATE repo_blobs SET review_at = ?3 WHERE repo_id = ?1 AND hidden_at IS NOT NULL AND review_at > ?3
               AND blob_id = (SELECT b.id FROM blobs b WHERE b.digest = ?2)",
            values![repo, &digest, now],
        )?;
    }
    Ok(())
}
