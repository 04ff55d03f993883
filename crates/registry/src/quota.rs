//! Quotas before the bytes have come, what is used of them, and words for a refusal: used, limit, and what is biggest.
//!
//! The limit itself is held by the catalog, in the transaction that adds (`catalog::quota`). Units: bytes.

use std::collections::BTreeMap;
use std::fmt;

use catalog::{Guard, Limited, OverQuota, Quota, RepositoryUsage, Scope, Tx};
use oci::{Digest, RepositoryName};
use policy::QuotaScope;

use crate::space::REPOSITORIES;
use crate::{Error, Registry};

/// What a quota refused, and what people should know of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaRefusal {
    /// The numbers.
    pub over: OverQuota,
    /// What is biggest, and how big.
    pub biggest: Vec<(String, u64)>,
}

/// What is used of a quota: of all of a namespace, or of the repository that uses most.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct QuotaUsed {
    /// Bytes.
    pub bytes: u64,
    /// Whose; none: the namespace's, or nobody's.
    pub bytes_in: Option<RepositoryName>,
    /// Tags.
    pub tags: u64,
    /// Whose.
    pub tags_in: Option<RepositoryName>,
}

impl Registry {
    /// Whether so many bytes fit, if they are not here yet. Promises nothing; repositories without a quota ask nobody.
    pub(crate) async fn room_for(
        &self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
        bytes: u64,
    ) -> Result<(), Error> {
        let quotas = self.quotas_over(repository);
        if quotas.is_empty() {
            return Ok(());
        }
        let (asked, digest, now) = (repository.clone(), digest.cloned(), self.now());
        let over = self
            .inner
            .catalog
            .read(move |tx| {
                if let Some(digest) = &digest
                    && catalog::find_blob(tx, &asked, digest, now, 0)?.is_some()
                {
                    return Ok(None);
                }
                catalog::would_pass(tx, &asked, &quotas, (bytes, 0))
            })
            .await?;
        self.must_be_none(repository, over).await
    }

    /// Whether all that is to be brought into a repository fits, before any of it comes. Promises nothing.
    pub(crate) async fn room_for_all(
        &self,
        repository: &RepositoryName,
        (bytes, tags): (u64, u64),
    ) -> Result<(), Error> {
        let quotas = self.quotas_over(repository);
        if quotas.is_empty() || (bytes, tags) == (0, 0) {
            return Ok(());
        }
        let asked = repository.clone();
        let weigh = move |tx: &mut Tx<'_>| catalog::would_pass(tx, &asked, &quotas, (bytes, tags));
        let over = self.inner.catalog.read(weigh).await?;
        self.must_be_none(repository, over).await
    }

    /// The quotas that a repository is under.
    pub(crate) fn quotas_over(&self, repository: &RepositoryName) -> Vec<Quota> {
        self.inner.policies.in_force().quotas_of(repository)
    }

    async fn must_be_none(&self, repository: &RepositoryName, over: Option<OverQuota>) -> Result<(), Error> {
        match over {
            None => Ok(()),
            Some(over) => {
                let error = catalog::Error::OverQuota(Box::new(over)).into();
                Err(self.say_biggest(repository, error).await)
            }
        }
    }

    /// Writes what a quota may refuse, and says then what is biggest.
    pub(crate) async fn write_under_quota<T: Send + 'static>(
        &self,
        repository: &RepositoryName,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self.inner.catalog.write(work).await {
            Ok(done) => Ok(done),
            Err(error) => Err(self.say_biggest(repository, error.into()).await),
        }
    }

    /// What is used of each quota in force, by its name. Work: of quotas that are for each repository, as long as there are
    /// repositories.
    pub async fn quotas_used(&self) -> Result<BTreeMap<String, QuotaUsed>, Error> {
        let policies = self.inner.policies.in_force();
        let mut used = BTreeMap::<String, QuotaUsed>::new();
        let mut each = Vec::new();
        for rule in &policies.quotas {
            let entry = used.entry(rule.name().to_owned()).or_default();
            let QuotaScope::Namespace(namespace) = rule.scope() else {
                each.push(rule);
                continue;
            };
            let scope = Scope::Namespace(namespace.clone());
            let read = move |tx: &mut Tx<'_>| catalog::usage(tx, &scope);
            let sum = self.inner.catalog.read(read).await?;
            entry.bytes = u64::try_from(sum.bytes).unwrap_or(0);
            entry.tags = u64::try_from(sum.tags).unwrap_or(0);
        }
        let mut after = (!each.is_empty()).then(String::new);
        while let Some(from) = after {
            let page = self.usage_after(from, REPOSITORIES).await?;
            for (rule, one) in each
                .iter()
                .flat_map(|rule| page.iter().map(move |one| (rule, one)))
            {
                if rule.is_about(&one.name) {
                    used.entry(rule.name().to_owned()).or_default().see(one);
                }
            }
            let last = page.last().filter(|_| page.len() >= REPOSITORIES);
            after = last.map(|one| one.name.to_string());
        }
        Ok(used)
    }

    /// Adds to a refusal by a quota what is biggest, where room can be made.
    pub(crate) async fn say_biggest(&self, repository: &RepositoryName, error: Error) -> Error {
        let Error::OverQuota(mut refusal) = error else {
            return error;
        };
        let (asked, over) = (repository.clone(), refusal.over.clone());
        match self
            .inner
            .catalog
            .read(move |tx| catalog::biggest(tx, &asked, &over))
            .await
        {
            Ok(biggest) => refusal.biggest = biggest,
            Err(error) => tracing::debug!(%error, "what is biggest could not be read"),
        }
        Error::OverQuota(refusal)
    }
}

impl QuotaUsed {
    fn see(&mut self, one: &RepositoryUsage) {
        if one.bytes > self.bytes {
            (self.bytes, self.bytes_in) = (one.bytes, Some(one.name.clone()));
        }
        if one.tags > self.tags {
            (self.tags, self.tags_in) = (one.tags, Some(one.name.clone()));
        }
    }
}

impl std::error::Error for QuotaRefusal {}

impl fmt::Display for QuotaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = &self.over;
        let amount = |n: i64| amount_of(over.limited, u64::try_from(n).unwrap_or(0));
        let whose = if over.is_namespace {
            "all of"
        } else {
            "each repository of"
        };
        write!(
            f,
            "over quota: {whose} {} may have {}; {} {} used",
            over.quota,
            amount(over.limit),
            amount(over.used),
            oci::either(over.used, "is", "are"),
        )?;
        // An upload whose length nobody said.
        if over.wanted > 0 {
            write!(f, ", and this needs {} more", amount(over.wanted))?;
        } else {
            f.write_str(" already")?;
        }
        for (at, (what, size)) in self.biggest.iter().enumerate() {
            let before = if at == 0 { "; biggest: " } else { ", " };
            write!(f, "{before}{what} ({})", amount_of(over.limited, *size))?;
        }
        match over.limited {
            Limited::Bytes => f.write_str(
                "; what was deleted counts until it is collected: `landfall gc run --urgent REPO` makes that an hour, and \
                 where the repository itself is deleted, `landfall trash empty --repo REPO` ends it",
            ),
            Limited::Tags => f.write_str("; delete tags that nobody needs"),
        }
    }
}

/// `3 tags`, `1.5 GB`.
fn amount_of(limited: Limited, n: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    match limited {
        Limited::Tags => oci::counted(n, "tag"),
        Limited::Bytes => match UNITS.iter().find(|(_, scale)| n >= *scale) {
            // Cut, not rounded: it is never said that more is used than is.
            Some((unit, scale)) => format!("{}.{} {unit}", n / scale, n % scale * 10 / scale),
            None => format!("{n} B"),
        },
    }
}
