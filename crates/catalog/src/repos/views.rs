//! Repositories as people look at them: what they hold, and when somebody pushed or pulled last.
//!
//! Order: that of the catalog list. Shape: a page is one range of an index and a few look-ups for each entry. Units: Unix
//! milliseconds, bytes.

use oci::RepositoryName;

use crate::Error;
use crate::repos::settings::{RepositorySettings, parse};
use crate::repos::{cut, sort_name, without_nul};
use crate::sql::{Row, Tx, values};
use crate::usage::{Usage, usage_of};

/// A repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositoryView {
    /// Its name.
    pub name: RepositoryName,
    /// When it came into being.
    pub created_at: i64,
    /// What it holds.
    pub usage: Usage,
    /// What it has of its own.
    pub settings: RepositorySettings,
    /// Pulls of manifests since it came into being.
    pub pulls: u64,
    /// The last one.
    pub last_pull_at: Option<i64>,
    /// When somebody pushed last.
    pub last_push_at: Option<i64>,
}

/// One page.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RepositoryViews {
    /// In order.
    pub items: Vec<RepositoryView>,
    /// Whether there is at least one after them.
    pub more: bool,
}

/// Repositories after the name `after`, at most `limit`; also those without a manifest.
pub fn repository_views(
    tx: &mut Tx<'_>,
    after: Option<&str>,
    limit: usize,
) -> Result<RepositoryViews, Error> {
    let after = sort_name(&without_nul(after.unwrap_or_default()));
    let found = tx.query(
        "SELECT r.id, r.name, r.created_at, r.settings, p.count, p.last_at, h.last_at
         FROM repos r LEFT JOIN repo_pulls p ON p.repo_id = r.id LEFT JOIN repo_pushes h ON h.repo_id = r.id
         WHERE r.deleted_at IS NULL AND r.sort_name > ?1 ORDER BY r.sort_name LIMIT ?2",
        values![&after, limit.saturating_add(1)],
        view,
    )?;
    let (found, more) = cut(found, limit);
    let mut items = Vec::with_capacity(found.len());
    for (id, view) in found {
        items.push(with_contents(tx, id, view)?);
    }
    Ok(RepositoryViews { items, more })
}

/// One repository.
pub fn repository_view(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Option<RepositoryView>, Error> {
    let found = tx.first(
        "SELECT r.id, r.name, r.created_at, r.settings, p.count, p.last_at, h.last_at
         FROM repos r LEFT JOIN repo_pulls p ON p.repo_id = r.id LEFT JOIN repo_pushes h ON h.repo_id = r.id
         WHERE r.name = ?1 AND r.deleted_at IS NULL",
        values![name],
        view,
    )?;
    match found {
        Some((id, view)) => with_contents(tx, id, view).map(Some),
        None => Ok(None),
    }
}

fn view(row: &Row<'_>) -> Result<(i64, RepositoryView), Error> {
    let view = RepositoryView {
        name: row.get(1)?,
        created_at: row.get(2)?,
        usage: Usage::default(),
        settings: parse(row.get::<Option<String>>(3)?.as_deref()),
        pulls: row.get::<Option<u64>>(4)?.unwrap_or(0),
        last_pull_at: row.get(5)?,
        last_push_at: row.get(6)?,
    };
    Ok((row.get(0)?, view))
}

fn with_contents(tx: &mut Tx<'_>, id: i64, mut view: RepositoryView) -> Result<RepositoryView, Error> {
    view.usage = usage_of(tx, id)?;
    Ok(view)
}
