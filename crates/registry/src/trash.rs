//! The trash: look into it, bring things back, empty it.
//!
//! Fails: a name that no repository has or had is unknown; what stands in the way of a restore is an answer ([`Restored`]).

use access::{CatalogPermit, Delete, Permit, Pull, Push};
use catalog::{RestoreWish, Restored, TrashEntry, TrashPage, TrashPlace, Tx};
use oci::{Digest, DigestPrefix, Reference, RepositoryName};

use crate::history::By;
use crate::{Error, Registry};

/// Operations whose window ends in one transaction.
const BATCH: usize = 64;

/// What emptying the trash did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Emptied {
    /// Operations that can no more be taken back.
    pub operations: usize,
    /// Manifests that are the collector's now, beside those of whole repositories.
    pub manifests: u64,
}

impl Registry {
    /// What is in the trash of all repositories that the caller may see, or of those that have or had a name; at most
    /// `limit` after `after`.
    pub async fn list_trash(
        &self,
        permit: &CatalogPermit,
        repository: Option<RepositoryName>,
        after: Option<TrashPlace>,
        limit: usize,
    ) -> Result<TrashPage, Error> {
        let now = self.now();
        if let Some(name) = &repository {
            let wanted = name.clone();
            let find = move |tx: &mut Tx<'_>| catalog::has_or_had_name(tx, &wanted);
            if !permit.shows(name) || !self.inner.catalog.read(find).await? {
                return Err(Error::RepositoryUnknown(name.clone()));
            }
        }
        let list = move |tx: &mut Tx<'_>| catalog::list_trash(tx, repository.as_ref(), now, after, limit);
        let mut page = self.inner.catalog.read(list).await?;
        page.items.retain(|entry| permit.shows(&entry.repository));
        Ok(page)
    }

    /// One entry of the trash.
    pub async fn trash_entry(&self, permit: &CatalogPermit, op: i64) -> Result<Option<TrashEntry>, Error> {
        let find = move |tx: &mut Tx<'_>| catalog::trash_entry(tx, op);
        let entry = self.inner.catalog.read(find).await?;
        Ok(entry.filter(|entry| permit.shows(&entry.repository)))
    }

    /// The operation that took away a tag, a digest, or the permit's repository itself.
    pub async fn find_in_trash(
        &self,
        permit: &Permit<Pull>,
        what: Option<Reference>,
    ) -> Result<Option<i64>, Error> {
        let (repository, now) = (permit.repository().clone(), self.now());
        let find = move |tx: &mut Tx<'_>| catalog::find_in_trash(tx, &repository, what.as_ref(), now);
        Ok(self.inner.catalog.read(find).await?)
    }

    /// Digests in the trash of the permit's repository that begin so; at most `limit`.
    pub async fn in_trash_like(
        &self,
        permit: &Permit<Pull>,
        prefix: &DigestPrefix,
        limit: usize,
    ) -> Result<Vec<Digest>, Error> {
        let mut found = Vec::new();
        for (low, high) in prefix.ranges() {
            let repository = permit.repository().clone();
            let between =
                move |tx: &mut Tx<'_>| catalog::in_trash_between(tx, &repository, (&low, &high), limit);
            found.extend(self.inner.catalog.read(between).await?);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The repository that an operation was done in.
    pub async fn repository_of(&self, op: i64) -> Result<Option<RepositoryName>, Error> {
        let find = move |tx: &mut Tx<'_>| catalog::repository_of(tx, op);
        Ok(self.inner.catalog.read(find).await?)
    }

    /// Takes back an operation that was done in the permit's repository. `renamed` is needed where a repository is to
    /// come back under another name.
    pub async fn restore(
        &self,
        permit: &Permit<Push>,
        op: i64,
        wish: RestoreWish,
        renamed: Option<&Permit<Push>>,
    ) -> Result<Restored, Error> {
        self.may_write()?;
        let (repository, by) = (permit.repository().clone(), By::of(permit));
        let (now, keep_ms) = (self.now(), self.keep_ms());
        let into = renamed.map_or(repository.clone(), |permit| permit.repository().clone());
        let wish = RestoreWish {
            as_repository: renamed.map(|permit| permit.repository().clone()),
            ..wish
        };
        let work = move |tx: &mut Tx<'_>| {
            by.sign(tx);
            if catalog::repository_of(tx, op)?.as_ref() != Some(&repository) {
                return Ok(Restored::Unknown);
            }
            catalog::restore(tx, op, &wish, now, keep_ms, by.actor())
        };
        self.write_under_quota(&into, work).await
    }

    /// Ends the undo window of everything that was deleted `older_than_ms` ago or longer, in one repository or in all.
    /// What it took goes as soon as the collector comes to it.
    pub async fn empty_trash(
        &self,
        repository: Option<&Permit<Delete>>,
        older_than_ms: i64,
    ) -> Result<Emptied, Error> {
        self.may_delete()?;
        let now = self.now();
        if let Some(permit) = repository {
            let name = permit.repository().clone();
            if !self
                .inner
                .catalog
                .read(move |tx| catalog::has_name(tx, &name))
                .await?
            {
                return Err(Error::RepositoryUnknown(permit.repository().clone()));
            }
        }
        let (mut all, mut after) = (Emptied::default(), None);
        loop {
            let name = repository.map(|permit| permit.repository().clone());
            let before = now.saturating_sub(older_than_ms);
            let done = self
                .write_even_when_full(move |tx| {
                    catalog::empty_trash(tx, name.as_ref(), before, now, after, BATCH)
                })
                .await?;
            all.operations += done.operations;
            all.manifests += done.manifests;
            match done.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}
