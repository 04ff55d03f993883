//! Pulls: how often a manifest was pulled, by which tag, and when last. Written in batches, by who counted them.
//!
//! The tag '' stands for a pull by digest. Units: Unix milliseconds. A manifest that is gone by now counts no more, its
//! repository does.

use oci::{Digest, RepositoryName};

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// Pulls of one manifest by one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulls {
    /// Where.
    pub repo: RepositoryName,
    /// What.
    pub digest: Digest,
    /// By which tag; none: by digest.
    pub tag: Option<String>,
    /// How often since they were written last.
    pub count: u64,
    /// The last time.
    pub last_at: i64,
}

/// Adds to the pulls of these.
pub fn record_pulls(tx: &mut Tx<'_>, pulls: &[Pulls]) -> Result<(), Error> {
    for one in pulls {
        let Some(repo) = Repo::hold(tx, &one.repo)? else {
            continue;
        };
        tx.execute(
            "INSERT INTO repo_pulls(repo_id, count, last_at) VALUES (?1, ?2, ?3)
             ON CONFLICT(repo_id) DO UPDATE SET count = repo_pulls.count + excluded.count,
               last_at = CASE WHEN repo_pulls.last_at > excluded.last_at THEN repo_pulls.last_at
                         ELSE excluded.last_at END",
            values![repo.id, one.count, one.last_at],
        )?;
        let manifest: Option<i64> = tx.first(
            "SELECT id FROM manifests WHERE repo_id = ?1 AND digest = ?2 @keyshare",
            values![repo.id, &one.digest],
            |row: &Row<'_>| row.get(0),
        )?;
        let Some(manifest) = manifest else { continue };
        tx.execute(
            "INSERT INTO pulls(manifest_id, tag, count, last_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(manifest_id, tag) DO UPDATE SET count = pulls.count + excluded.count,
               last_at = CASE WHEN pulls.last_at > excluded.last_at THEN pulls.last_at ELSE excluded.last_at END",
            values![manifest, one.tag.as_deref().unwrap_or_default(), one.count, one.last_at],
        )?;
    }
    Ok(())
}
