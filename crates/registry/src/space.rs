//! Where the bytes are: of everything, of repositories, of tags; and when what is on its way out will be gone.
//!
//! Counted in steps that hold no reader for long, so a push meanwhile may be in one step and not in another; where nothing
//! changes, the answer is exact. Work is proportional to what is asked about. Units: bytes, Unix milliseconds.
//! Fails: `RepositoryUnknown`, or `Gone` where it is known what became of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use catalog::{BlobSums, Freeable, RepositoryUsage, Scope, TagSpace};
use oci::{Digest, RepositoryName};

use crate::jobs::URGENT_LEASE_MS;
use crate::{Error, Registry};

/// Links that one step looks at.
const LINKS: usize = 1000;
/// Images that one step weighs.
const IMAGES: usize = 20;
/// Repositories whose counters one step reads.
pub(crate) const REPOSITORIES: usize = 1000;

/// Everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Blobs that are stored.
    pub blobs: u64,
    /// Bytes of those, each once.
    pub bytes: u64,
    /// Bytes that are free on the disk.
    pub disk_free: u64,
    /// Bytes that the disk has.
    pub disk_total: u64,
}

/// One repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositorySpace {
    /// Its name.
    pub name: RepositoryName,
    /// Manifests that are served.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// What its blobs have, by who else needs them.
    pub sums: BlobSums,
    /// When the last of its trash will be gone; none where there is none.
    pub trash_gone_by: Option<i64>,
    /// When the last blob that no manifest names will be gone.
    pub pending_gone_by: Option<i64>,
}

impl Registry {
    /// What is stored, and what the disk has.
    pub async fn space(&self) -> Result<Space, Error> {
        let usage = self
            .inner
            .catalog
            .read(|tx| catalog::usage(tx, &Scope::Everything))
            .await?;
        let room = self.inner.store.free_bytes().await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Space {
            blobs: count(usage.blobs),
            bytes: count(usage.bytes),
            disk_free: room.free,
            disk_total: room.total,
        })
    }

    /// One repository.
    pub async fn space_of_repository(&self, name: &RepositoryName) -> Result<RepositorySpace, Error> {
        let of = name.clone();
        let usage = self
            .inner
            .catalog
            .read(move |tx| catalog::usage(tx, &Scope::Repository(of.clone())))
            .await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let usage = RepositoryUsage {
            name: name.clone(),
            bytes: count(usage.bytes),
            manifests: count(usage.manifests),
            tags: count(usage.tags),
        };
        match self.sum_up(usage).await? {
            Some(space) => Ok(space),
            None => Err(self.what_became_of_repository(name).await),
        }
    }

    /// Repositories after the name `after`, at most `limit`, and whether there are more.
    pub async fn space_of_repositories(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<RepositorySpace>, bool), Error> {
        let mut page = self
            .usage_after(after.unwrap_or_default(), limit.saturating_add(1))
            .await?;
        let more = page.len() > limit;
        page.truncate(limit);
        Ok((self.sum_up_all(page).await?, more))
    }

    /// The `top` repositories that have most bytes, the largest first.
    pub async fn largest_repositories(&self, top: usize) -> Result<Vec<RepositorySpace>, Error> {
        let mut largest: Vec<RepositoryUsage> = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.usage_after(after, REPOSITORIES).await?;
            let is_last = page.len() < REPOSITORIES;
            after = page.last().map(|one| one.name.to_string()).unwrap_or_default();
            largest.extend(page);
            // Of two of one size, the first by name.
            largest.sort_by_key(|one| Reverse(one.bytes));
            largest.truncate(top);
            if is_last {
                break;
            }
        }
        self.sum_up_all(largest).await
    }

    /// The images of tags after `after`, at most `limit`, and whether there are more.
    pub async fn space_of_tags(
        &self,
        name: &RepositoryName,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<TagSpace>, bool), Error> {
        let (mut all, mut after) = (Vec::new(), after.unwrap_or_default());
        // One more than is wanted, to know whether there is one.
        while all.len() <= limit {
            let step = (limit + 1 - all.len()).min(IMAGES);
            let of = name.clone();
            let page = self
                .inner
                .catalog
                .read(move |tx| catalog::space_of_tags(tx, &of, &after, step))
                .await?
                .ok_or_else(|| Error::RepositoryUnknown(name.clone()))?;
            after = page.last().map(|one| one.tag.to_string()).unwrap_or_default();
            let is_last = page.len() < step;
            all.extend(page);
            if is_last {
                break;
            }
        }
        let more = all.len() > limit;
        all.truncate(limit);
        Ok((all, more))
    }

    /// What [`Registry::gc_urgent`] would end: manifests in the trash of a repository, the bytes that they or leases alone
    /// hold, and when those would be gone.
    pub async fn urgent_plan(&self, name: &RepositoryName) -> Result<(u64, u64, i64), Error> {
        let space = self.space_of_repository(name).await?;
        let of = name.clone();
        let trash = self
            .inner
            .catalog
            .read(move |tx| catalog::trash_of(tx, &of))
            .await?;
        let wait_ms = URGENT_LEASE_MS.saturating_add(self.rules().read_grace_ms);
        Ok((
            trash.manifests,
            space.sums.trash.saturating_add(space.sums.pending_alone),
            self.now().saturating_add(wait_ms),
        ))
    }

    /// What deleting these manifests, live or in the trash, would free: blobs that no other manifest names.
    pub async fn freeable(&self, mut set: Vec<(RepositoryName, Digest)>) -> Result<Freeable, Error> {
        set.sort();
        set.dedup();
        let mut named = BTreeMap::new();
        for step in set.chunks(IMAGES) {
            let step = step.to_vec();
            let found = self
                .inner
                .catalog
                .read(move |tx| {
                    let mut found = BTreeMap::new();
                    catalog::named_by(tx, &step, &mut found)?;
                    Ok(found)
                })
                .await?;
            for (blob, more) in found {
                named
                    .entry(blob)
                    .and_modify(|known: &mut catalog::Named| known.edges += more.edges)
                    .or_insert(more);
            }
        }
        let named: Vec<_> = named.into_iter().collect();
        let mut all = Freeable::default();
        for step in named.chunks(LINKS) {
            let step = step.to_vec();
            let part = self
                .inner
                .catalog
                .read(move |tx| {
                    let mut part = Freeable::default();
                    for (blob, found) in &step {
                        part.add(found.size, catalog::is_named_elsewhere(tx, *blob, found.edges)?);
                    }
                    Ok(part)
                })
                .await?;
            all.merge(&part);
        }
        Ok(all)
    }

    pub(crate) async fn usage_after(
        &self,
        after: String,
        limit: usize,
    ) -> Result<Vec<RepositoryUsage>, Error> {
        let list = move |tx: &mut catalog::Tx<'_>| catalog::list_usage(tx, &after, limit);
        Ok(self.inner.catalog.read(list).await?)
    }

    /// Those that went meanwhile are left out.
    async fn sum_up_all(&self, all: Vec<RepositoryUsage>) -> Result<Vec<RepositorySpace>, Error> {
        let mut spaces = Vec::with_capacity(all.len());
        for one in all {
            spaces.extend(self.sum_up(one).await?);
        }
        Ok(spaces)
    }

    async fn sum_up(&self, usage: RepositoryUsage) -> Result<Option<RepositorySpace>, Error> {
        let (mut sums, mut after) = (BlobSums::default(), 0);
        loop {
            let of = usage.name.clone();
            let step = move |tx: &mut catalog::Tx<'_>| catalog::sum_blobs(tx, &of, after, LINKS);
            let Some(next) = self.inner.catalog.read(step).await? else {
                return Ok(None);
            };
            sums.add(&next);
            match next.last {
                Some(last) => after = last,
                None => break,
            }
        }
        let of = usage.name.clone();
        let trash = self
            .inner
            .catalog
            .read(move |tx| catalog::trash_of(tx, &of))
            .await?;
        let rules = self.rules();
        let leased = |at: i64| {
            at.saturating_add(rules.lease_ms)
                .saturating_add(rules.read_grace_ms)
        };
        Ok(Some(RepositorySpace {
            name: usage.name,
            manifests: usage.manifests,
            tags: usage.tags,
            sums,
            trash_gone_by: trash.last_purge_at.map(leased),
            pending_gone_by: sums
                .pending_until
                .map(|until| until.saturating_add(rules.read_grace_ms)),
        }))
    }
}
