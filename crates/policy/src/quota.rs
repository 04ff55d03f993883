//! Quotas: how many bytes and tags repositories may have.
//!
//! A `match` that ends in `/` is a namespace, the first part of names, and its quota is for all of it together; any other
//! is a glob, and its quota is for each repository that matches. A repository under several quotas is under all of them.
//! Units: bytes, as `du` counts them: each blob of a repository once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BadRule, RepositoryGlob};

/// A quota as somebody wrote it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSpec {
    /// Whose: a glob over repositories, or a namespace with a `/` at its end.
    #[serde(rename = "match")]
    pub repositories: String,
    /// Most bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Most tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<u64>,
}

/// A quota that means something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaRule {
    spec: QuotaSpec,
    scope: QuotaScope,
}

/// Whose usage a quota is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotaScope {
    /// All repositories of a namespace together.
    Namespace(String),
    /// Each repository that matches.
    Each(RepositoryGlob),
}

impl QuotaRule {
    /// Fails where the quota limits nothing, or can never be anybody's.
    pub fn new(spec: QuotaSpec) -> Result<Self, BadRule> {
        let bad = |problem: String| BadRule::new("match", problem);
        let text = spec.repositories.as_str();
        let scope = match text.strip_suffix('/') {
            Some(namespace) if !text.contains(['*', '?']) => {
                RepositoryGlob::new(namespace).map_err(bad)?;
                if namespace.contains('/') {
                    let first = namespace.split('/').next().unwrap_or_default();
                    return Err(bad(format!(
                        "{text:?} is no namespace: a namespace is the first part of a name, such as `{first}/`; for each \
                         repository below it, write `{namespace}/**`"
                    )));
                }
                QuotaScope::Namespace(namespace.to_owned())
            }
            _ => QuotaScope::Each(RepositoryGlob::new(text).map_err(bad)?),
        };
        if spec.bytes.is_none() && spec.tags.is_none() {
            return Err(bad(format!(
                "the quota of {text:?} limits nothing: it needs `bytes` or `tags`"
            )));
        }
        Ok(Self { spec, scope })
    }

    /// What somebody wrote.
    #[must_use]
    pub fn spec(&self) -> &QuotaSpec {
        &self.spec
    }

    /// What it is called: whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.repositories
    }

    /// Whose usage it is about.
    #[must_use]
    pub fn scope(&self) -> &QuotaScope {
        &self.scope
    }

    /// Whether a repository is under it.
    #[must_use]
    pub fn is_about(&self, repository: &str) -> bool {
        match &self.scope {
            QuotaScope::Namespace(namespace) => repository
                .split_once('/')
                .is_some_and(|(first, _)| first == namespace),
            QuotaScope::Each(glob) => glob.matches(repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Result<QuotaRule, BadRule> {
        QuotaRule::new(QuotaSpec {
            repositories: text.into(),
            bytes: Some(1),
            tags: None,
        })
    }

    #[test]
    fn a_namespace_is_the_first_part_of_a_name() {
        let team = quota("team/").unwrap();
        assert!(
            team.is_about("team/app")
                && team.is_about("team/a/b")
                && !team.is_about("teams/app")
                && !team.is_about("team")
        );
        let each = quota("team/*").unwrap();
        assert!(each.is_about("team/app") && !each.is_about("team/a/b"));
    }

    #[test]
    fn quotas_of_nobody_and_of_nothing_are_refused() {
        for bad in ["", "/", "Team/", "a/b/", "team/*/", "-/"] {
            assert_eq!(quota(bad).unwrap_err().field, "match", "{bad:?}");
        }
        assert!(
            QuotaRule::new(QuotaSpec {
                repositories: "a".into(),
                ..QuotaSpec::default()
            })
            .is_err()
        );
    }
}
