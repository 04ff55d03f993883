//! What repositories take.

use oci::RepositoryName;

use crate::Error;
use crate::repos::{Repo, without_nul};
use crate::sql::{Row, Tx, values};

const REPOSITORY: i64 = 2;

/// A repository's counters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositoryUsage {
    /// Its name.
    pub name: RepositoryName,
    /// Bytes of the blobs that it may serve, each once, whoever else has them.
    pub bytes: u64,
    /// Manifests that are served.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
}

/// Blobs of a repository, summed up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BlobSums {
    /// Blobs that manifests here name, and none elsewhere.
    pub unique: u64,
    /// Blobs that manifests here name, and some elsewhere too.
    pub shared: u64,
    /// Of `unique`: blobs that only manifests in the trash name.
    pub trash: u64,
    /// Blobs that no manifest here names. With `unique` and `shared` this is what counts towards a quota.
    pub pending: u64,
    /// Those of them that no manifest elsewhere names either.
    pub pending_alone: u64,
    /// When the last lease of those ends.
    pub pending_until: Option<i64>,
    /// The last blob that was looked at; none at the end.
    pub last: Option<i64>,
}

/// The trash of a repository.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TrashOf {
    /// Manifests in it.
    pub manifests: u64,
    /// When the last one may be purged.
    pub last_purge_at: Option<i64>,
}

/// Counters of repositories after the name `after`, in the order of the list of repositories, at most `limit`.
pub fn list_usage(tx: &mut Tx<'_>, after: &str, limit: usize) -> Result<Vec<RepositoryUsage>, Error> {
    let after = without_nul(after).replace('/', "!");
    tx.query(
        "SELECT r.name,
           CAST((SELECT COALESCE(SUM(u.bytes), 0) FROM usage u WHERE u.scope = ?3 AND u.scope_id = r.id) AS BIGINT),
           CAST((SELECT COALESCE(SUM(u.manifests), 0) FROM usage u WHERE u.scope = ?3 AND u.scope_id = r.id) AS BIGINT),
           CAST((SELECT COALESCE(SUM(u.tags), 0) FROM usage u WHERE u.scope = ?3 AND u.scope_id = r.id) AS BIGINT)
         FROM repos r WHERE r.deleted_at IS NULL AND r.sort_name > ?1 ORDER BY r.sort_name LIMIT ?2",
        values![&after, limit, REPOSITORY],
        |row: &Row<'_>| {
            Ok(RepositoryUsage {
                name: row.get(0)?,
                bytes: row.get(1)?,
                manifests: row.get(2)?,
                tags: row.get(3)?,
            })
        },
    )
}

struct Linked {
    blob: i64,
    size: u64,
    review_at: Option<i64>,
    live: bool,
    named: bool,
    elsewhere: bool,
}

/// Sums up the blobs of a repository after the one with the number `after`, at most `limit`. None if it is not there.
pub fn sum_blobs(
    tx: &mut Tx<'_>,
    repo: &RepositoryName,
    after: i64,
    limit: usize,
) -> Result<Option<BlobSums>, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(None);
    };
    let links = tx.query(
        "SELECT l.blob_id, b.size, l.review_at,
           EXISTS (SELECT 1 FROM manifest_blobs e JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repo_id = l.repo_id AND e.blob_id = l.blob_id AND m.trashed_at IS NULL),
           EXISTS (SELECT 1 FROM manifest_blobs e WHERE e.repo_id = l.repo_id AND e.blob_id = l.blob_id),
           EXISTS (SELECT 1 FROM repo_blobs o JOIN manifest_blobs e ON e.repo_id = o.repo_id AND e.blob_id = o.blob_id
             WHERE o.blob_id = l.blob_id AND o.repo_id <> l.repo_id)
         FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id
         WHERE l.repo_id = ?1 AND l.blob_id > ?2 ORDER BY l.blob_id LIMIT ?3",
        values![repo.id, after, limit],
        |row: &Row<'_>| {
            Ok(Linked {
                blob: row.get(0)?,
                size: row.get(1)?,
                review_at: row.get(2)?,
                live: row.get(3)?,
                named: row.get(4)?,
                elsewhere: row.get(5)?,
            })
        },
    )?;
    let mut sums = BlobSums::default();
    if links.len() >= limit {
        sums.last = links.last().map(|link| link.blob);
    }
    for link in links {
        sums.add_link(&link);
    }
    Ok(Some(sums))
}

impl BlobSums {
    fn add_link(&mut self, link: &Linked) {
        if !link.named {
            self.pending += link.size;
            if !link.elsewhere {
                self.pending_alone += link.size;
            }
            self.pending_until = self.pending_until.max(link.review_at);
        } else if link.elsewhere {
            self.shared += link.size;
        } else {
            self.unique += link.size;
            if !link.live {
                self.trash += link.size;
            }
        }
    }

    /// Adds the next step's.
    pub fn add(&mut self, next: &Self) {
        self.unique += next.unique;
        self.shared += next.shared;
        self.trash += next.trash;
        self.pending += next.pending;
        self.pending_alone += next.pending_alone;
        self.pending_until = self.pending_until.max(next.pending_until);
        self.last = next.last;
    }
}

/// What is in the trash of a repository.
pub fn trash_of(tx: &mut Tx<'_>, repo: &RepositoryName) -> Result<TrashOf, Error> {
    let Some(repo) = Repo::find(tx, repo)? else {
        return Ok(TrashOf::default());
    };
    let found = tx.first(
        "SELECT COUNT(*), MAX(purge_at) FROM manifests WHERE repo_id = ?1 AND trashed_at IS NOT NULL",
        values![repo.id],
        |row: &Row<'_>| {
            Ok(TrashOf {
                manifests: row.get(0)?,
                last_purge_at: row.get(1)?,
            })
        },
    )?;
    Ok(found.unwrap_or_default())
}
