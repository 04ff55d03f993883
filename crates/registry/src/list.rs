//! Lists: repositories, tags, referrers. Every page is one range of an index, at any depth.
//!
//! Fails: `RepositoryUnknown` for tags of an unknown repository; referrers never fail for what is not there.
//! Source: distribution-spec "Listing Tags", "Listing Referrers"; the catalog list of the CNCF registry.

use access::{Caller, Permit, Pull};
use oci::Digest;

use crate::{Error, Registry};

/// One page of tags.
#[derive(Clone, Debug)]
pub struct TagsPage {
    /// In byte order.
    pub tags: Vec<String>,
    /// Whether there is at least one more after it.
    pub more: bool,
}

/// One page of referrers.
pub type ReferrersPage = catalog::ReferrersPage;

impl Registry {
    /// Tags after `last`, at most `limit`; no limit lists all.
    pub async fn tags(
        &self,
        permit: &Permit<Pull>,
        last: Option<String>,
        limit: Option<usize>,
    ) -> Result<TagsPage, Error> {
        let repository = permit.repository().clone();
        let find =
            move |tx: &mut catalog::Tx<'_>| catalog::list_tags(tx, &repository, last.as_deref(), limit);
        let page = self.inner.catalog.read(find).await?;
        if page.known {
            Ok(TagsPage {
                tags: page.tags,
                more: page.more,
            })
        } else {
            Err(Error::RepositoryUnknown(permit.repository().clone()))
        }
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
            let (from, missing) = (last.take(), limit - shown.len());
            let find =
                move |tx: &mut catalog::Tx<'_>| catalog::list_repositories(tx, from.as_deref(), missing);
            let page = self.inner.catalog.read(find).await?;
            last = page.names.last().cloned();
            shown.extend(
                page.names
                    .into_iter()
                    .filter(|name| name.parse().is_ok_and(|name| permit.shows(&name))),
            );
            if !page.more || shown.len() >= limit {
                return Ok((shown, page.more));
            }
        }
    }

    /// Manifests whose subject is `subject`, after `after`; with `types`, only those of one of these artifact types.
    /// A page holds at most `limit` entries and about `bytes_max` bytes of them, but always one.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        types: Vec<String>,
        after: Option<i64>,
        bytes_max: usize,
        limit: usize,
    ) -> Result<ReferrersPage, Error> {
        let (repository, subject) = (permit.repository().clone(), subject.clone());
        let find = move |tx: &mut catalog::Tx<'_>| {
            catalog::list_referrers(tx, &repository, &subject, &types, after, bytes_max, limit)
        };
        Ok(self.inner.catalog.read(find).await?)
    }
}
