//! What operators forbid, asked in the transaction that would do it: moving or deleting an immutable tag, and passing a
//! quota.
//!
//! Every write of a catalog that was given a guard has it, so that no operation can forget to ask. Content that is adopted
//! from another registry is taken as it is. Where no rule is about anything, nothing is asked.

use std::sync::Arc;

use oci::Digest;

use crate::Error;
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};

/// The rules of the moment.
pub trait Guard: Send + Sync {
    /// Whether there is any rule about immutable tags.
    fn has_immutable(&self) -> bool;

    /// The rule that makes a tag of a repository immutable.
    fn immutable_by(&self, repository: &str, tag: &str) -> Option<String>;

    /// Whether there is any quota.
    fn has_quotas(&self) -> bool;

    /// The quotas that a repository is under.
    fn quotas_of(&self, repository: &str) -> Vec<Quota>;
}

/// A limit of one repository, or of its namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quota {
    /// What it is called.
    pub name: String,
    /// Whether it is for the whole namespace together.
    pub is_namespace: bool,
    /// Most bytes.
    pub bytes: Option<i64>,
    /// Most tags.
    pub tags: Option<i64>,
}

/// The name of a repository; none if it was deleted, for then no rule is about it.
pub(crate) fn name_of(tx: &mut Tx<'_>, repo: Repo) -> Result<Option<String>, Error> {
    tx.first(
        "SELECT name FROM repos WHERE id = ?1 AND deleted_at IS NULL",
        values![repo.id],
        |row: &Row<'_>| row.get(0),
    )
}

/// The rule that makes a tag immutable.
pub(crate) fn immutable_by(tx: &mut Tx<'_>, repo: Repo, tag: &str) -> Result<Option<String>, Error> {
    let Some(guard) = tx.guard().filter(|guard| guard.has_immutable()) else {
        return Ok(None);
    };
    let name = name_of(tx, repo)?;
    Ok(name.and_then(|name| guard.immutable_by(&name, tag)))
}

/// Fails where a tag, which leads to `digest`, must stay as it is.
pub(crate) fn may_change(tx: &mut Tx<'_>, repo: Repo, tag: &str, digest: &Digest) -> Result<(), Error> {
    match immutable_by(tx, repo, tag)? {
        Some(rule) => Err(Error::Immutable {
            tag: tag.to_owned(),
            digest: digest.clone(),
            rule,
        }),
        None => Ok(()),
    }
}

/// The guard of a catalog.
pub(crate) type Shared = Arc<dyn Guard>;
