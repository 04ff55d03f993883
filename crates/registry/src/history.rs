//! Tags and their history: look, move by hand, delete.
//!
//! Fails: `RepositoryUnknown`; what stands in the way of a move is an answer ([`TagMoved`]).

use access::{Delete, Permit, Pull, Push, Right};
use catalog::{MoveTo, TagEvent, TagMove, TagMoved, TagViews, Tx, Untagged};
use oci::Tag;

use crate::{Error, Registry};

/// Who does something, and from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct By {
    actor: Option<String>,
    remote: Option<String>,
}

impl By {
    pub(crate) fn of<R: Right>(permit: &Permit<R>) -> Self {
        Self {
            actor: permit.actor().map(str::to_owned),
            remote: permit.remote().map(|remote| remote.to_string()),
        }
    }

    pub(crate) fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Says in a transaction from where it was asked for.
    pub(crate) fn sign(&self, tx: &mut Tx<'_>) {
        tx.asked_from(self.remote.as_deref());
    }
}

impl Registry {
    /// Tags after `after` and what they lead to, at most `limit`.
    pub async fn tag_views(
        &self,
        permit: &Permit<Pull>,
        after: Option<String>,
        limit: usize,
    ) -> Result<TagViews, Error> {
        let repository = permit.repository().clone();
        let find = move |tx: &mut Tx<'_>| catalog::tag_views(tx, &repository, after.as_deref(), limit);
        let views = self.inner.catalog.read(find).await?;
        if views.known {
            Ok(views)
        } else {
            Err(self.what_became_of_repository(permit.repository()).await)
        }
    }

    /// The history of a tag, newest first: steps before `before`, at most `limit`.
    pub async fn tag_history(
        &self,
        permit: &Permit<Pull>,
        tag: &Tag,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<TagEvent>, Error> {
        let (repository, tag) = (permit.repository().clone(), tag.clone());
        let find = move |tx: &mut Tx<'_>| {
            if !catalog::repo_exists(tx, &repository)? {
                return Ok(None);
            }
            catalog::tag_history(tx, &repository, &tag, before, limit).map(Some)
        };
        match self.inner.catalog.read(find).await? {
            Some(events) => Ok(events),
            None => Err(self.what_became_of_repository(permit.repository()).await),
        }
    }

    /// Moves a tag, or says what would come of it.
    pub async fn move_tag(
        &self,
        permit: &Permit<Push>,
        tag: &Tag,
        to: MoveTo,
        dry_run: bool,
    ) -> Result<TagMoved, Error> {
        self.may_write()?;
        let by = By::of(permit);
        let moving = TagMove {
            repo: permit.repository().clone(),
            tag: tag.clone(),
            to,
            actor: by.actor.clone(),
            now: self.now(),
            keep_ms: self.keep_ms(),
            dry_run,
        };
        let work = move |tx: &mut Tx<'_>| {
            by.sign(tx);
            catalog::move_tag(tx, &moving)
        };
        match self.write_under_quota(permit.repository(), work).await? {
            TagMoved::NoRepository => Err(self.what_became_of_repository(permit.repository()).await),
            moved => Ok(moved),
        }
    }

    /// Deletes a tag; its manifest stays. None if there was none.
    pub async fn delete_tag(&self, permit: &Permit<Delete>, tag: &Tag) -> Result<Option<Untagged>, Error> {
        self.may_delete()?;
        let (repository, tag, by) = (permit.repository().clone(), tag.clone(), By::of(permit));
        let (now, keep_ms, undo_ms) = (self.now(), self.keep_ms(), self.rules().undo_window_ms);
        self.write_even_when_full(move |tx| {
            by.sign(tx);
            catalog::delete_tag(tx, &repository, &tag, now, keep_ms, undo_ms, by.actor())
        })
        .await
    }
}
