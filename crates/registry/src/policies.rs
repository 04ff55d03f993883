//! The rules in force: those of the file, and those made by command or API, which are rows of the catalog.
//!
//! A name exists once in its kind: a row whose name the file has too is left out, and said so. All rules together are one
//! value that is replaced whole, so nobody sees half of a change; the catalog asks the same value in its transactions.
//! Other servers on one catalog see a change within seconds (`jobs::retention`). Fails: [`RuleError`].

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use catalog::{Guard, Policy, PolicyKind, Quota};
use policy::{
    BadRule, ImmutableRule, ImmutableSpec, QuotaRule, QuotaScope, QuotaSpec, RetentionRule, RetentionSpec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mode::ModeBody;
use crate::{Error, Registry, Rules};

/// Where a rule was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleSource {
    /// In the configuration file.
    File,
    /// By command or API.
    Command {
        /// Who made or changed it.
        by: String,
        /// When, Unix milliseconds.
        at: i64,
    },
}

/// A rule, and what is to be known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// What it is called.
    pub name: String,
    /// What it says.
    pub spec: T,
    /// Where it was made.
    pub source: RuleSource,
    /// Why it does not count, if it does not.
    pub ignored: Option<String>,
}

/// Why a rule was not made or removed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleError {
    /// It means nothing.
    #[error("the rule cannot be used: {0}")]
    Bad(#[from] BadRule),
    /// The file has one of that name.
    #[error(
        "the rule {0:?} is in the configuration file: change or remove it there, and the server reads it again on SIGHUP"
    )]
    OfFile(String),
    /// There is none of that name.
    #[error("there is no rule {0:?}")]
    Unknown(String),
    /// One cannot be used, so none is.
    #[error("rule {0:?} cannot be used, and no tag is removed while what it keeps is not known: {1}")]
    Broken(String, String),
}

/// All rules of one moment.
#[derive(Default, Debug)]
pub(crate) struct InForce {
    pub(crate) retention: Vec<RetentionRule>,
    pub(crate) quotas: Vec<QuotaRule>,
    immutable: Vec<ImmutableRule>,
    pub(crate) mode: Option<(ModeBody, Policy)>,
    lists: Lists,
    /// The first retention rule that cannot be used, and why.
    pub(crate) broken: Option<(String, String)>,
}

#[derive(Default, Debug)]
struct Lists {
    retention: Vec<Listed<RetentionSpec>>,
    quotas: Vec<Listed<QuotaSpec>>,
    immutable: Vec<Listed<ImmutableSpec>>,
}

/// What the rules are made of, and the rules.
pub(crate) struct Policies {
    written: ArcSwap<Rules>,
    rows: Mutex<Vec<Policy>>,
    in_force: ArcSwap<InForce>,
}

impl Policies {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            written: ArcSwap::from_pointee(rules),
            rows: Mutex::default(),
            in_force: ArcSwap::default(),
        }
    }

    /// The rules as the file has them.
    pub(crate) fn written(&self) -> Arc<Rules> {
        self.written.load_full()
    }

    pub(crate) fn write_rules(&self, rules: Rules) {
        self.written.store(Arc::new(rules));
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }
}

impl Registry {
    /// Reads the rows again, for another server may have changed them.
    pub(crate) async fn read_policies(&self) -> Result<(), Error> {
        let rows = self.inner.catalog.read(catalog::list_policies).await?;
        let changed = {
            let mut known = self
                .inner
                .policies
                .rows
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let changed = *known != rows;
            *known = rows;
            changed
        };
        if changed {
            self.put_in_force();
        }
        Ok(())
    }

    /// Makes the rules of the file and of the rows the rules of the registry, at once.
    pub(crate) fn put_in_force(&self) {
        let policies = &self.inner.policies;
        let rows = policies.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let written = policies.written();
        let in_force = Arc::new(InForce::of(&written, &rows));
        let mut rules = Rules::clone(&written);
        rules.read_only |= in_force.mode.as_ref().is_some_and(|(body, _)| body.read_only);
        self.inner.catalog.set_guard(in_force.clone());
        policies.in_force.store(in_force);
        self.inner.rules.store(Arc::new(rules));
    }

    /// Retention rules, those of the file first.
    #[must_use]
    pub fn retention_rules(&self) -> Vec<Listed<RetentionSpec>> {
        self.inner.policies.in_force().lists.retention.clone()
    }

    /// Quotas, those of the file first.
    #[must_use]
    pub fn quotas(&self) -> Vec<Listed<QuotaSpec>> {
        self.inner.policies.in_force().lists.quotas.clone()
    }

    /// Rules about immutable tags, those of the file first.
    #[must_use]
    pub fn immutable_rules(&self) -> Vec<Listed<ImmutableSpec>> {
        self.inner.policies.in_force().lists.immutable.clone()
    }

    /// Makes a retention rule, or changes the one of that name. False if it was there.
    pub async fn set_retention(&self, spec: &RetentionSpec, by: &str) -> Result<bool, Error> {
        RetentionRule::new(spec.clone(), self.lease_seconds()).map_err(RuleError::Bad)?;
        self.set_policy(PolicyKind::Retention, &spec.name, spec, by).await
    }

    /// Makes a quota, or changes it. False if it was there.
    pub async fn set_quota(&self, spec: &QuotaSpec, by: &str) -> Result<bool, Error> {
        QuotaRule::new(spec.clone()).map_err(RuleError::Bad)?;
        self.set_policy(PolicyKind::Quota, &spec.repositories, spec, by)
            .await
    }

    /// Makes a rule about immutable tags, or changes it. False if it was there.
    pub async fn set_immutable(&self, spec: &ImmutableSpec, by: &str) -> Result<bool, Error> {
        ImmutableRule::new(spec.clone()).map_err(RuleError::Bad)?;
        self.set_policy(PolicyKind::Immutable, &spec.repositories, spec, by)
            .await
    }

    /// Removes a rule that was made by command or API.
    pub async fn remove_policy(&self, kind: PolicyKind, name: &str, by: &str) -> Result<(), Error> {
        let owned = name.to_owned();
        let removed = self
            .write_even_when_full(move |tx| catalog::remove_policy(tx, kind, &owned))
            .await?;
        self.read_policies().await?;
        match removed {
            true => {
                tracing::info!(?kind, name, by, "a rule was removed");
                Ok(())
            }
            false if self.is_of_file(kind, name) => Err(RuleError::OfFile(name.to_owned()).into()),
            false => Err(RuleError::Unknown(name.to_owned()).into()),
        }
    }

    async fn set_policy(
        &self,
        kind: PolicyKind,
        name: &str,
        spec: &(impl Serialize + Sync),
        by: &str,
    ) -> Result<bool, Error> {
        if self.is_of_file(kind, name) {
            return Err(RuleError::OfFile(name.to_owned()).into());
        }
        let policy = Policy {
            kind,
            name: name.to_owned(),
            body: serde_json::to_string(spec).unwrap_or_default(),
            set_at: self.now(),
            set_by: by.to_owned(),
        };
        let made = self
            .write_even_when_full(move |tx| catalog::set_policy(tx, &policy))
            .await?;
        self.read_policies().await?;
        tracing::info!(?kind, name, by, "a rule was set");
        Ok(made)
    }

    fn is_of_file(&self, kind: PolicyKind, name: &str) -> bool {
        let written = self.inner.policies.written();
        match kind {
            PolicyKind::Retention => written.written.retention.iter().any(|rule| rule.name() == name),
            PolicyKind::Quota => written.written.quotas.iter().any(|rule| rule.name() == name),
            PolicyKind::Immutable => written.written.immutable.iter().any(|rule| rule.name() == name),
            PolicyKind::Mode => false,
        }
    }

    fn lease_seconds(&self) -> u64 {
        lease_seconds(&self.rules())
    }
}

fn lease_seconds(rules: &Rules) -> u64 {
    u64::try_from(rules.lease_ms / 1000).unwrap_or(0)
}

impl InForce {
    fn of(rules: &Rules, rows: &[Policy]) -> Self {
        let mut all = Self::default();
        for rule in &rules.written.retention {
            all.lists
                .retention
                .push(listed(rule.name(), rule.spec(), RuleSource::File));
            all.retention.push(rule.clone());
        }
        for rule in &rules.written.quotas {
            all.lists
                .quotas
                .push(listed(rule.name(), rule.spec(), RuleSource::File));
            all.quotas.push(rule.clone());
        }
        for rule in &rules.written.immutable {
            all.lists
                .immutable
                .push(listed(rule.name(), rule.spec(), RuleSource::File));
            all.immutable.push(rule.clone());
        }
        for row in rows {
            all.add(row, lease_seconds(rules));
        }
        all
    }

    fn add(&mut self, row: &Policy, lease_seconds: u64) {
        match row.kind {
            PolicyKind::Retention => {
                let make = |spec| RetentionRule::new(spec, lease_seconds);
                let broken = add(row, &mut self.lists.retention, &mut self.retention, make);
                self.broken = self
                    .broken
                    .take()
                    .or_else(|| broken.map(|why| (row.name.clone(), why)));
            }
            PolicyKind::Quota => drop(add(row, &mut self.lists.quotas, &mut self.quotas, QuotaRule::new)),
            PolicyKind::Immutable => {
                let list = &mut self.lists.immutable;
                drop(add(row, list, &mut self.immutable, ImmutableRule::new));
            }
            PolicyKind::Mode => match serde_json::from_str(&row.body) {
                Ok(body) => self.mode = Some((body, row.clone())),
                Err(error) => {
                    tracing::error!(%error, "the mode in the catalog cannot be read; writes are taken");
                }
            },
        }
    }
}

fn listed<T: Clone>(name: &str, spec: &T, source: RuleSource) -> Listed<T> {
    Listed {
        name: name.to_owned(),
        spec: spec.clone(),
        source,
        ignored: None,
    }
}

/// Adds the rule of a row to those in force, if it can be used and its name is free. Why it cannot be used, if not.
fn add<S: DeserializeOwned + Clone + Default, R>(
    row: &Policy,
    list: &mut Vec<Listed<S>>,
    rules: &mut Vec<R>,
    make: impl FnOnce(S) -> Result<R, BadRule>,
) -> Option<String> {
    let source = RuleSource::Command {
        by: row.set_by.clone(),
        at: row.set_at,
    };
    let is_taken = list
        .iter()
        .any(|one| one.name == row.name && one.source == RuleSource::File);
    let spec: Result<S, _> = serde_json::from_str(&row.body);
    let mut entry = listed(&row.name, spec.as_ref().unwrap_or(&S::default()), source);
    if is_taken {
        tracing::warn!(
            rule = row.name,
            "the configuration file has a rule of this name too; the one of the file counts"
        );
        entry.ignored = Some("the configuration file has a rule of this name".to_owned());
        list.push(entry);
        return None;
    }
    let judged = match spec {
        Ok(spec) => make(spec).map_err(|bad| bad.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let broken = match judged {
        Ok(rule) => {
            rules.push(rule);
            None
        }
        Err(why) => {
            tracing::error!(rule = row.name, why, "this rule cannot be used as it is");
            Some(why)
        }
    };
    entry.ignored.clone_from(&broken);
    list.push(entry);
    broken
}

impl Guard for InForce {
    fn has_immutable(&self) -> bool {
        !self.immutable.is_empty()
    }

    fn immutable_by(&self, repository: &str, tag: &str) -> Option<String> {
        let mut rules = self.immutable.iter();
        let rule = rules.find(|rule| rule.is_about(repository) && rule.has_tag(tag))?;
        Some(rule.name().to_owned())
    }

    fn has_quotas(&self) -> bool {
        !self.quotas.is_empty()
    }

    fn quotas_of(&self, repository: &str) -> Vec<Quota> {
        let limit = |limit: Option<u64>| limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let about = self.quotas.iter().filter(|rule| rule.is_about(repository));
        about
            .map(|rule| Quota {
                name: rule.name().to_owned(),
                is_namespace: matches!(rule.scope(), QuotaScope::Namespace(_)),
                bytes: limit(rule.spec().bytes),
                tags: limit(rule.spec().tags),
            })
            .collect()
    }
}
