//! Repositories as a whole: look, give settings, rename, delete. Coming back is a restore like any other.
//!
//! Fails: `RepositoryImmutable`, `OverQuota` (a rename), `RepositoryUnknown`, or `Gone` where it is known what became of it.

use access::{CatalogPermit, Delete, Permit, Pull, Push};
use catalog::{Renamed, RepositoryDeleted, RepositorySettings, RepositoryView, RepositoryViews, Tx};

use crate::history::By;
use crate::{Error, Registry};

impl Registry {
    /// Repositories after the name `after` that the caller may see, at most `limit`.
    pub async fn repository_views(
        &self,
        permit: &CatalogPermit,
        after: Option<String>,
        limit: usize,
    ) -> Result<RepositoryViews, Error> {
        let find = move |tx: &mut Tx<'_>| catalog::repository_views(tx, after.as_deref(), limit);
        let mut views = self.inner.catalog.read(find).await?;
        views.items.retain(|view| permit.shows(&view.name));
        Ok(views)
    }

    /// One repository.
    pub async fn repository_view(&self, permit: &Permit<Pull>) -> Result<RepositoryView, Error> {
        let name = permit.repository().clone();
        let find = move |tx: &mut Tx<'_>| catalog::repository_view(tx, &name);
        match self.inner.catalog.read(find).await? {
            Some(view) => Ok(view),
            None => Err(self.what_became_of_repository(permit.repository()).await),
        }
    }

    /// Gives a repository settings of its own.
    pub async fn set_repository(
        &self,
        permit: &Permit<Delete>,
        settings: RepositorySettings,
    ) -> Result<(), Error> {
        self.may_write()?;
        let name = permit.repository().clone();
        let set = move |tx: &mut Tx<'_>| catalog::set_repository(tx, &name, settings);
        if self.inner.catalog.write(set).await? {
            Ok(())
        } else {
            Err(self.what_became_of_repository(permit.repository()).await)
        }
    }

    /// Renames a repository. False if there is one of the new name.
    pub async fn rename_repository(&self, old: &Permit<Delete>, new: &Permit<Push>) -> Result<bool, Error> {
        let (from, to, by) = (old.repository().clone(), new.repository().clone(), By::of(old));
        let now = self.now();
        let rename = move |tx: &mut Tx<'_>| {
            by.sign(tx);
            catalog::rename_repository(tx, &from, &to, now, by.actor())
        };
        self.renamed(old, new, rename).await
    }

    async fn renamed(
        &self,
        old: &Permit<Delete>,
        new: &Permit<Push>,
        rename: impl FnMut(&mut Tx<'_>) -> Result<Renamed, catalog::Error> + Send + 'static,
    ) -> Result<bool, Error> {
        self.may_write()?;
        match self.write_under_quota(new.repository(), rename).await? {
            Renamed::Done { .. } => Ok(true),
            Renamed::Taken => Ok(false),
            Renamed::Unknown => Err(self.what_became_of_repository(old.repository()).await),
        }
    }

    /// Fails as deleting a repository would.
    pub async fn may_be_deleted(&self, permit: &Permit<Delete>) -> Result<(), Error> {
        self.may_delete()?;
        let name = permit.repository().clone();
        let ask = move |tx: &mut Tx<'_>| catalog::may_go(tx, &name, None);
        Ok(self.inner.catalog.write(ask).await?)
    }

    /// Fails as renaming a repository would, and does nothing. False if there is one of the new name.
    pub async fn may_be_renamed(&self, old: &Permit<Delete>, new: &Permit<Push>) -> Result<bool, Error> {
        let (from, to) = (old.repository().clone(), new.repository().clone());
        let now = self.now();
        let ask = move |tx: &mut Tx<'_>| catalog::may_rename(tx, &from, &to, now);
        self.renamed(old, new, ask).await
    }

    /// Deletes a repository with all that it holds; it can be brought back until the undo window ends.
    pub async fn delete_repository(&self, permit: &Permit<Delete>) -> Result<RepositoryDeleted, Error> {
        self.may_delete()?;
        let (name, by) = (permit.repository().clone(), By::of(permit));
        let (now, undo_ms) = (self.now(), self.rules().undo_window_ms);
        let deleted = self
            .write_even_when_full(move |tx| {
                by.sign(tx);
                catalog::delete_repository(tx, &name, now, undo_ms, by.actor())
            })
            .await?;
        match deleted {
            Some(deleted) => Ok(deleted),
            None => Err(self.what_became_of_repository(permit.repository()).await),
        }
    }
}
