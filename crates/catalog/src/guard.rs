//! What operators forbid, asked in the transaction that would do it: moving or deleting an immutable tag, and passing a
//! quota.
//!
//! Every write of a catalog that was given a guard has it, so that no operation can forget to ask. Content that is adopted
//! from another registry is taken as it is. Where no rule is about anything, nothing is asked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use oci::{Digest, RepositoryName, counted, either};

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

/// What keeps a repository from being deleted or renamed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImmutableTags {
    /// The repository.
    pub repository: String,
    /// How many tags must stay.
    pub count: u64,
    /// Some of them.
    pub some: Vec<String>,
    /// The rules that make all of them so.
    pub rules: BTreeSet<String>,
}

impl fmt::Display for ImmutableTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.count > self.some.len() as u64 {
            ", …"
        } else {
            ""
        };
        let rules: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        write!(
            f,
            "{} of {} must stay as {} ({}{more}; by {} {})",
            counted(self.count, "immutable tag"),
            self.repository,
            either(self.count, "it is", "they are"),
            self.some.join(", "),
            either(self.rules.len() as u64, "rule", "rules"),
            rules.join(", "),
        )
    }
}

/// Tags that are looked at in one query.
const PAGE: usize = 1000;
/// Tags that a refusal names.
const NAMED: usize = 5;

/// Fails where a repository has tags that must stay, and would be deleted, or would get a name under which no rule keeps them.
pub fn may_go(
    tx: &mut Tx<'_>,
    name: &RepositoryName,
    new_name: Option<&RepositoryName>,
) -> Result<(), Error> {
    let Some(guard) = tx.guard().filter(|guard| guard.has_immutable()) else {
        return Ok(());
    };
    let Some(repo) = Repo::find(tx, name)? else {
        return Ok(());
    };
    let mut found = ImmutableTags {
        repository: name.to_string(),
        count: 0,
        some: Vec::new(),
        rules: BTreeSet::new(),
    };
    let mut after = String::new();
    loop {
        let page: Vec<String> = tx.query(
            "SELECT name FROM tags WHERE repo_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            values![repo.id, &after, PAGE],
            |row: &Row<'_>| row.get(0),
        )?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        for tag in page {
            let Some(rule) = guard.immutable_by(name, &tag) else {
                continue;
            };
            if new_name.is_some_and(|new| guard.immutable_by(new, &tag).is_some()) {
                continue;
            }
            found.count += 1;
            found.rules.insert(rule);
            if found.some.len() < NAMED {
                found.some.push(tag);
            }
        }
    }
    if found.count == 0 {
        Ok(())
    } else {
        Err(Error::HasImmutable(Box::new(found)))
    }
}

/// The guard of a catalog.
pub(crate) type Shared = Arc<dyn Guard>;
