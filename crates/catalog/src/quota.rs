//! Quotas: a transaction that adds bytes or tags to a repository under a quota counts first, and is undone if the sum has
//! passed the limit.
//!
//! A repository that comes under another name with all it holds (a rename, a restore) is weighed as a whole: each limit that
//! did not count it before must have room for it.
//!
//! Exact with many writers: on PostgreSQL, where they run side by side, each takes one row of its scope first (a stripe of
//! `usage` that counts nothing), so that the sum which it then reads has everything that was added before. SQLite has one
//! writer. Nobody without a quota pays for it. Units: bytes of linked blobs, each once per repository, as `usage` counts
//! them: also those that only the trash holds, of deleted repositories too, until they are collected. Fails: [`Error::OverQuota`].

use crate::Error;
use crate::guard::{Quota, name_of};
use crate::repos::Repo;
use crate::sql::{Row, Tx, values};
use crate::usage::{NAMESPACE, REPOSITORY, Usage, usage_of};

/// The stripe that counts nothing, and is locked by who counts under a quota.
const TURN: i64 = -1;
/// Rows that are looked at for what is biggest.
const LOOKED_AT_MAX: i64 = 10_000;
/// What is named of it.
const NAMED_MAX: usize = 3;

/// What a quota limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    /// Bytes of blobs.
    Bytes,
    /// Tags.
    Tags,
}

/// A quota that would have been passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverQuota {
    /// Whose it is: what its rule matches.
    pub quota: String,
    /// Whether it is for a whole namespace.
    pub is_namespace: bool,
    /// Of what.
    pub limited: Limited,
    /// What was used.
    pub used: i64,
    /// What may be.
    pub limit: i64,
    /// What would have come; 0: it is not known, and the limit is passed already.
    pub wanted: i64,
}

/// The quotas of the one repository that a transaction adds to.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    repo: i64,
    quotas: Vec<Quota>,
}

/// Takes the turn of every scope that has a quota, before anything is added: a namespace before a repository. Called early
/// in an operation, so that all wait for the turn before they lock rows of their own.
pub(crate) fn claim(tx: &mut Tx<'_>, repo: Repo) -> Result<(), Error> {
    if tx.claimed().is_some_and(|claimed| claimed.repo == repo.id) {
        return Ok(());
    }
    let Some(guard) = tx.guard().filter(|guard| guard.has_quotas()) else {
        return Ok(());
    };
    let name = name_of(tx, repo)?;
    let quotas = name.map(|name| guard.quotas_of(&name)).unwrap_or_default();
    take_turns(tx, repo, &quotas)?;
    tx.claim(Claimed {
        repo: repo.id,
        quotas,
    });
    Ok(())
}

fn take_turns(tx: &mut Tx<'_>, repo: Repo, quotas: &[Quota]) -> Result<(), Error> {
    for (scope, id, is_namespace) in [(NAMESPACE, repo.namespace_id, true), (REPOSITORY, repo.id, false)] {
        if quotas.iter().any(|quota| quota.is_namespace == is_namespace) {
            tx.lock(
                "INSERT INTO usage(scope, scope_id, stripe) VALUES (?1, ?2, ?3)
                 ON CONFLICT(scope, scope_id, stripe) DO UPDATE SET bytes = usage.bytes",
                values![scope, id, TURN],
            )?;
        }
    }
    Ok(())
}

/// Fails where a repository that is seized and gets the name `new`, in the namespace with the number `namespace`, passes a
/// limit there. A quota that counted it under its old name, as small as it may be by now, has nothing more to count.
pub(crate) fn admit(
    tx: &mut Tx<'_>,
    repo: Repo,
    old: &oci::RepositoryName,
    new: &oci::RepositoryName,
    namespace: i64,
) -> Result<(), Error> {
    let Some(guard) = tx.guard().filter(|guard| guard.has_quotas()) else {
        return Ok(());
    };
    let before = guard.quotas_of(old);
    let is_new = |quota: &Quota| {
        let counts = |one: &Quota| one.name == quota.name && one.is_namespace == quota.is_namespace;
        !before.iter().any(counts)
    };
    let quotas: Vec<Quota> = guard.quotas_of(new).into_iter().filter(is_new).collect();
    if quotas.is_empty() {
        return Ok(());
    }
    let there = Repo {
        namespace_id: namespace,
        ..repo
    };
    take_turns(tx, there, &quotas)?;
    let all = usage_of(tx, repo.id)?;
    for quota in quotas {
        // Who is seized has nobody who adds to it, and of what its quota counts it is all.
        let (bytes, tags) = if quota.is_namespace {
            used(tx, NAMESPACE, namespace)?
        } else {
            (0, 0)
        };
        over(&quota, (bytes, tags), all)?;
    }
    Ok(())
}

/// Fails where this much more than what is used passes a limit.
fn over(quota: &Quota, used: (i64, i64), more: Usage) -> Result<(), Error> {
    match passed(
        quota,
        used,
        (more.bytes, more.tags),
        (more.bytes > 0, more.tags > 0),
    ) {
        Some(over) => Err(Error::OverQuota(Box::new(over))),
        None => Ok(()),
    }
}

/// The first limit, of those asked for, that so many more bytes and tags would pass.
fn passed(quota: &Quota, used: (i64, i64), more: (i64, i64), asked: (bool, bool)) -> Option<OverQuota> {
    [
        (Limited::Bytes, quota.bytes, used.0, more.0, asked.0),
        (Limited::Tags, quota.tags, used.1, more.1, asked.1),
    ]
    .into_iter()
    .find_map(|(limited, limit, used, wanted, is_asked)| {
        let limit = limit.filter(|&limit| is_asked && used.saturating_add(wanted) > limit)?;
        Some(OverQuota {
            quota: quota.name.clone(),
            is_namespace: quota.is_namespace,
            limited,
            used,
            limit,
            wanted,
        })
    })
}

/// Fails where what was just added passes a limit.
pub(crate) fn check(tx: &mut Tx<'_>, repo: Repo, more: Usage) -> Result<(), Error> {
    let quotas = match tx.claimed() {
        Some(claimed) if claimed.repo == repo.id && !claimed.quotas.is_empty() => claimed.quotas.clone(),
        _ => return Ok(()),
    };
    for quota in quotas {
        let (scope, id) = scope_of(&quota, repo);
        let (bytes, tags) = used(tx, scope, id)?;
        over(&quota, (bytes - more.bytes, tags - more.tags), more)?;
    }
    Ok(())
}

/// The limit that so many more bytes and tags would pass, were they added now; 0 bytes: how many is not known. Promises
/// nothing.
pub fn would_pass(
    tx: &mut Tx<'_>,
    repository: &oci::RepositoryName,
    quotas: &[Quota],
    (bytes, tags): (u64, u64),
) -> Result<Option<OverQuota>, Error> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for quota in quotas {
        let used = usage_under(tx, repository, quota)?;
        let over = passed(quota, used, (whole(bytes), whole(tags)), (true, tags > 0));
        if over.is_some() {
            return Ok(over);
        }
    }
    Ok(None)
}

/// Bytes and tags that count towards a quota of a repository.
pub fn usage_under(
    tx: &mut Tx<'_>,
    repository: &oci::RepositoryName,
    quota: &Quota,
) -> Result<(i64, i64), Error> {
    let id: Option<i64> = if quota.is_namespace {
        tx.first(
            "SELECT id FROM namespaces WHERE name = ?1",
            values![repository.namespace()],
            |row| row.get(0),
        )?
    } else {
        Repo::find(tx, repository)?.map(|repo| repo.id)
    };
    let Some(id) = id else { return Ok((0, 0)) };
    used(tx, if quota.is_namespace { NAMESPACE } else { REPOSITORY }, id)
}

fn scope_of(quota: &Quota, repo: Repo) -> (i64, i64) {
    if quota.is_namespace {
        (NAMESPACE, repo.namespace_id)
    } else {
        (REPOSITORY, repo.id)
    }
}

fn used(tx: &mut Tx<'_>, scope: i64, id: i64) -> Result<(i64, i64), Error> {
    let stripes = tx.query(
        "SELECT bytes, tags FROM usage WHERE scope = ?1 AND scope_id = ?2",
        values![scope, id],
        |row: &Row<'_>| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)),
    )?;
    Ok(stripes
        .into_iter()
        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1)))
}

/// The biggest of what counts towards a quota, for people who want to make room: repositories of a namespace, blobs or
/// kinds of tags of a repository. Looks at a bounded number of rows.
pub fn biggest(
    tx: &mut Tx<'_>,
    repository: &oci::RepositoryName,
    over: &OverQuota,
) -> Result<Vec<(String, u64)>, Error> {
    let mut found = match (over.is_namespace, Repo::find(tx, repository)?) {
        (true, _) => repositories(tx, repository.namespace(), over.limited)?,
        (false, None) => Vec::new(),
        (false, Some(repo)) if over.limited == Limited::Bytes => return blobs(tx, repo),
        (false, Some(repo)) => kinds_of_tags(tx, repo)?,
    };
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(NAMED_MAX);
    Ok(found)
}

/// Those that were deleted count until they are collected.
fn repositories(tx: &mut Tx<'_>, namespace: &str, limited: Limited) -> Result<Vec<(String, u64)>, Error> {
    let amount = |row: &Row<'_>| {
        let at = if limited == Limited::Bytes { 1 } else { 2 };
        Ok((row.get::<String>(0)?, row.get::<i64>(at)?))
    };
    let mut rows = tx.query(
        "SELECT r.name, u.bytes, u.tags FROM namespaces n JOIN repos r ON r.namespace_id = n.id
         JOIN usage u ON u.scope = 2 AND u.scope_id = r.id WHERE n.name = ?1 AND r.deleted_at IS NULL LIMIT ?2",
        values![namespace, LOOKED_AT_MAX],
        amount,
    )?;
    // Every name of the namespace lies between these: `0` is what follows `/`.
    let (first, end) = (format!("{namespace}/"), format!("{namespace}0"));
    let deleted = tx.query(
        "SELECT r.name, u.bytes, u.tags FROM repos r JOIN usage u ON u.scope = 2 AND u.scope_id = r.id
         WHERE r.deleted_at IS NOT NULL AND r.name >= ?1 AND r.name < ?2 LIMIT ?3",
        values![&first, &end, LOOKED_AT_MAX],
        amount,
    )?;
    rows.extend(
        deleted
            .into_iter()
            .map(|(name, amount)| (format!("deleted {name}"), amount)),
    );
    let mut sums = std::collections::BTreeMap::<String, i64>::new();
    for (name, amount) in rows {
        *sums.entry(name).or_default() += amount;
    }
    let known = |(name, sum): (String, i64)| Some((name, u64::try_from(sum).ok().filter(|&sum| sum > 0)?));
    Ok(sums.into_iter().filter_map(known).collect())
}

/// Large blobs, each with a tag whose image has it.
fn blobs(tx: &mut Tx<'_>, repo: Repo) -> Result<Vec<(String, u64)>, Error> {
    let mut found: Vec<(i64, oci::Digest, u64)> = tx.query(
        "SELECT l.blob_id, b.digest, b.size FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id
         WHERE l.repo_id = ?1 ORDER BY l.blob_id DESC LIMIT ?2",
        values![repo.id, LOOKED_AT_MAX],
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    found.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.cmp(&b.1)));
    found.truncate(NAMED_MAX);
    let mut named = Vec::with_capacity(found.len());
    for (blob, digest, size) in found {
        let tag: Option<String> = tx.first(
            "SELECT t.name FROM manifest_blobs e JOIN tags t ON t.manifest_id = e.manifest_id
             WHERE e.repo_id = ?1 AND e.blob_id = ?2 LIMIT 1",
            values![repo.id, blob],
            |row: &Row<'_>| row.get(0),
        )?;
        let what = tag.map_or(format!("blob {digest}"), |tag| format!("a layer of {tag}"));
        named.push((what, size));
    }
    Ok(named)
}

/// Tags by what stands before their first digit: `pr-*`.
fn kinds_of_tags(tx: &mut Tx<'_>, repo: Repo) -> Result<Vec<(String, u64)>, Error> {
    let names: Vec<String> = tx.query(
        "SELECT name FROM tags WHERE repo_id = ?1 ORDER BY name LIMIT ?2",
        values![repo.id, LOOKED_AT_MAX],
        |row: &Row<'_>| row.get(0),
    )?;
    let mut kinds = std::collections::BTreeMap::<String, u64>::new();
    for name in names {
        let kind = match name.find(|c: char| c.is_ascii_digit()) {
            Some(at) => format!("{}*", &name[..at]),
            None => name,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    Ok(kinds.into_iter().collect())
}
