//! Lists: repositories, tags, referrers. Every page is one range of an index, at any depth.
//!
//! Fails: `RepositoryUnknown` for tags of an unknown repository; referrers never fail for what is not there.
//! Source: distribution-spec "Listing Tags", "Listing Referrers"; the catalog list of the CNCF registry.

use std::sync::Arc;

use access::{Caller, Permit, Pull};
use catalog::{Aspect, Referrer, Referrers, ReferrersPage, ReferrersWanted, RepositoriesPage};
use oci::{RepositoryName, Tag};

use crate::recall::Answer;
use crate::{Error, Registry};

/// One page of tags.
#[derive(Clone, Debug)]
pub struct TagsPage {
    /// In byte order.
    pub tags: Vec<String>,
    /// Whether there is at least one more after it.
    pub more: bool,
}

/// What a page of tags is asked by: of which repository, after which, and how many at most.
pub(crate) type TagsAsked = (RepositoryName, Option<String>, Option<usize>);
/// What a page of referrers is asked by: of which repository, and what is wanted.
pub(crate) type ReferrersAsked = (RepositoryName, ReferrersWanted);
/// What a page of repositories is asked by.
pub(crate) type RepositoriesAsked = (Option<String>, usize);

impl Answer for Arc<RepositoriesPage> {
    fn bytes(&self) -> usize {
        bytes_of(&self.names)
    }
}

impl Answer for Arc<TagsPage> {
    fn bytes(&self) -> usize {
        bytes_of(&self.tags)
    }
}

impl Answer for Arc<ReferrersPage> {
    fn bytes(&self) -> usize {
        let bytes = |one: &Referrer| {
            let texts = [&one.artifact_type, &one.annotations];
            let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
            size_of::<Referrer>() + one.media_type.len() + texts
        };
        self.entries.iter().map(bytes).sum()
    }
}

/// Bytes of memory in the artifact types of a page that is kept: what is asked for is to be smaller than what is answered.
const TYPES_BYTES_MAX: usize = 300;
/// What a text takes of memory beside its own bytes.
const TEXT_BYTES: usize = 64;

fn bytes_of(names: &[String]) -> usize {
    names.iter().map(|name| size_of::<String>() + name.len()).sum()
}

impl Registry {
    /// Tags after `last`, at most `limit`; no limit lists all.
    pub async fn tags(
        &self,
        permit: &Permit<Pull>,
        last: Option<String>,
        limit: Option<usize>,
    ) -> Result<Arc<TagsPage>, Error> {
        // No tag is longer; what is asked after is no larger in memory then than what is answered.
        let is_short = last.as_ref().is_none_or(|last| last.len() <= Tag::LEN_MAX);
        let repository = permit.repository().clone();
        let stamp = self.inner.catalog.stamp(&repository, Aspect::Manifests);
        let asked = (repository.clone(), last.clone(), limit);
        let (known, open) = self.inner.tag_pages.look(asked, stamp);
        if let Some(page) = known {
            return Ok(page);
        }
        let find =
            move |tx: &mut catalog::Tx<'_>| catalog::list_tags(tx, &repository, last.as_deref(), limit);
        let page = self.inner.catalog.read(find).await?;
        if !page.known {
            return Err(self.what_became_of_repository(permit.repository()).await);
        }
        let page = Arc::new(TagsPage {
            tags: page.tags,
            more: page.more,
        });
        if is_short {
            self.inner.tag_pages.keep(open, &page);
        }
        Ok(page)
    }

    /// Bytes that a list of all tags after `last` takes, with quotes and a comma for each.
    pub async fn weigh_tags(&self, permit: &Permit<Pull>, last: Option<String>) -> Result<usize, Error> {
        let repository = permit.repository().clone();
        let weigh = move |tx: &mut catalog::Tx<'_>| catalog::weigh_tags(tx, &repository, last.as_deref());
        Ok(self.inner.catalog.read(weigh).await?)
    }

    /// Names of repositories after `last` that the caller may pull, at most `limit`.
    pub async fn repositories(
        &self,
        caller: &Caller,
        last: Option<String>,
        limit: usize,
    ) -> Result<(Vec<String>, bool), Error> {
        let permit = caller.may_list_catalog();
        let (mut shown, mut last) = (Vec::new(), last);
        loop {
            let page = self.repositories_page(last, limit - shown.len()).await?;
            last = page.names.last().cloned();
            let may_be_shown = |name: &&String| name.parse().is_ok_and(|name| permit.shows(&name));
            shown.extend(page.names.iter().filter(may_be_shown).cloned());
            if !page.more || shown.len() >= limit {
                return Ok((shown, page.more));
            }
        }
    }

    /// One page of the names of all repositories.
    async fn repositories_page(
        &self,
        last: Option<String>,
        limit: usize,
    ) -> Result<Arc<RepositoriesPage>, Error> {
        let is_short = last
            .as_ref()
            .is_none_or(|last| last.len() <= RepositoryName::LEN_MAX);
        let stamp = self.inner.catalog.stamp_of_any();
        let (known, open) = self.inner.repository_pages.look((last.clone(), limit), stamp);
        if let Some(page) = known {
            return Ok(page);
        }
        let find = move |tx: &mut catalog::Tx<'_>| catalog::list_repositories(tx, last.as_deref(), limit);
        let page = Arc::new(self.inner.catalog.read(find).await?);
        if is_short {
            self.inner.repository_pages.keep(open, &page);
        }
        Ok(page)
    }

    /// One page of the manifests whose subject is the wanted one, or what it weighs.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        wanted: ReferrersWanted,
    ) -> Result<Referrers, Error> {
        let repository = permit.repository().clone();
        let is_short = wanted
            .types
            .iter()
            .map(|text| TEXT_BYTES + text.len())
            .sum::<usize>()
            <= TYPES_BYTES_MAX;
        let stamp = self.inner.catalog.stamp(&repository, Aspect::Manifests);
        let asked = (repository.clone(), wanted.clone());
        let (known, open) = self.inner.referrer_pages.look(asked, stamp);
        if let Some(page) = known {
            return Ok(Referrers::Page(page));
        }
        let find = move |tx: &mut catalog::Tx<'_>| catalog::list_referrers(tx, &repository, &wanted);
        let found = self.inner.catalog.read(find).await?;
        if let Referrers::Page(page) = &found
            && is_short
        {
            self.inner.referrer_pages.keep(open, page);
        }
        Ok(found)
    }
}
