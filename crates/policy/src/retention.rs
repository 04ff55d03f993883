//! Retention rules: which tags of which repositories a rule is about, and what of them it keeps.
//!
//! A rule with a `keep_…` lets go of the tags that it is about and that no `keep_…` of any rule holds. A rule with
//! `untagged` alone is about manifests that nothing holds, and touches no tag. One with neither is refused, because it
//! would keep nothing. Units: seconds in a spec, milliseconds in a rule.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BadRule, RepositoryGlob, TagGlob, TagSelector, check_name};

/// A rule as somebody wrote it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSpec {
    /// What it is called.
    pub name: String,
    /// The repositories that it is about: a glob.
    #[serde(rename = "match")]
    pub repositories: String,
    /// The tags that it is about: globs; none are all tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The newest so many tags stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Tags that were set within this time stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_newer_seconds: Option<u64>,
    /// Tags that match one of these stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_matching: Vec<String>,
    /// Tags that were pulled or set within this time stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_pulled_seconds: Option<u64>,
    /// What becomes of manifests that nothing holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untagged: Option<Untagged>,
}

/// What becomes of manifests that no tag, no index and no subject holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Untagged {
    /// They stay.
    Keep,
    /// They go when nothing has held them for so long.
    OlderSeconds(u64),
}

/// A rule that means something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionRule {
    spec: RetentionSpec,
    repositories: RepositoryGlob,
    tags: Vec<TagGlob>,
    pub(crate) keep_last: Option<u32>,
    pub(crate) keep_newer_ms: Option<i64>,
    pub(crate) keep_matching: Vec<TagSelector>,
    pub(crate) keep_pulled_ms: Option<i64>,
    /// None: it says nothing of untagged manifests. Otherwise how long they stay; `i64::MAX` for ever.
    pub(crate) untagged_ms: Option<i64>,
}

/// More than a list of tags that somebody keeps has.
const KEEP_LAST_MAX: u32 = 1_000_000;
/// Items of one list.
const ITEMS_MAX: usize = 100;

impl RetentionRule {
    /// `lease_seconds` is `gc.lease`: nothing that a pusher counts on goes before it.
    pub fn new(spec: RetentionSpec, lease_seconds: u64) -> Result<Self, BadRule> {
        check_name(&spec.name)?;
        let repositories =
            RepositoryGlob::new(&spec.repositories).map_err(|problem| BadRule::new("match", problem))?;
        let tags = tag_globs("tags", &spec.tags)?;
        let keep_matching = selectors(&spec.keep_matching, &tags)?;
        check_amounts(&spec)?;
        let untagged_ms = match spec.untagged {
            None => None,
            Some(Untagged::Keep) => Some(i64::MAX),
            Some(Untagged::OlderSeconds(seconds)) if seconds >= lease_seconds => Some(milliseconds(seconds)),
            Some(Untagged::OlderSeconds(seconds)) => {
                let problem = format!(
                    "`older` is {seconds} s, but what a client was told is here stays for `gc.lease`, {lease_seconds} s: \
                     `older` must be at least that"
                );
                return Err(BadRule::new("untagged", problem));
            }
        };
        let rule = Self {
            repositories,
            tags,
            keep_last: spec.keep_last,
            keep_newer_ms: spec.keep_newer_seconds.map(milliseconds),
            keep_matching,
            keep_pulled_ms: spec.keep_pulled_seconds.map(milliseconds),
            untagged_ms,
            spec,
        };
        if !rule.is_about_tags() && rule.untagged_ms.is_none() {
            return Err(BadRule::new(
                "keep_last",
                "this rule keeps nothing, so it would remove every tag that it is about: say what stays, by `keep_last`, \
                 `keep_newer`, `keep_matching` or `keep_pulled`; or what becomes of untagged manifests, by `untagged`",
            ));
        }
        if !rule.is_about_tags() && !rule.tags.is_empty() {
            return Err(BadRule::new(
                "tags",
                "a rule about untagged manifests alone has no `tags`; with a `keep_…` it would be about tags too",
            ));
        }
        Ok(rule)
    }

    /// What somebody wrote.
    #[must_use]
    pub fn spec(&self) -> &RetentionSpec {
        &self.spec
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Whether it is about a repository.
    #[must_use]
    pub fn is_about(&self, repository: &str) -> bool {
        self.repositories.matches(repository)
    }

    /// What the names of the repositories that it is about begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.repositories.prefix()
    }

    /// Whether it is about a tag of those repositories.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.is_about_tags() && (self.tags.is_empty() || self.tags.iter().any(|glob| glob.matches(tag)))
    }

    /// Whether it lets go of any tag.
    #[must_use]
    pub fn is_about_tags(&self) -> bool {
        self.keep_last.is_some()
            || self.keep_newer_ms.is_some()
            || self.keep_pulled_ms.is_some()
            || !self.keep_matching.is_empty()
    }

    /// Whether it is about untagged manifests.
    #[must_use]
    pub fn is_about_untagged(&self) -> bool {
        self.untagged_ms.is_some()
    }
}

pub(crate) fn tag_globs(field: &'static str, texts: &[String]) -> Result<Vec<TagGlob>, BadRule> {
    if texts.len() > ITEMS_MAX {
        return Err(BadRule::new(field, format!("more than {ITEMS_MAX} patterns")));
    }
    let glob = |(at, text): (usize, &String)| {
        TagGlob::new(text).map_err(|problem| BadRule::item(field, at, problem))
    };
    texts.iter().enumerate().map(glob).collect()
}

fn selectors(texts: &[String], tags: &[TagGlob]) -> Result<Vec<TagSelector>, BadRule> {
    const FIELD: &str = "keep_matching";
    if texts.len() > ITEMS_MAX {
        return Err(BadRule::new(FIELD, format!("more than {ITEMS_MAX} patterns")));
    }
    let mut selectors = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let selector = TagSelector::new(text).map_err(|problem| BadRule::item(FIELD, at, problem))?;
        let keeps_any = |glob: &TagGlob| tags.is_empty() || tags.iter().any(|tag| tag.meets(glob));
        if selector.glob().is_some_and(|glob| !keeps_any(glob)) {
            let problem = format!("{text:?} keeps nothing: no tag matches it and `tags`");
            return Err(BadRule::item(FIELD, at, problem));
        }
        selectors.push(selector);
    }
    Ok(selectors)
}

fn check_amounts(spec: &RetentionSpec) -> Result<(), BadRule> {
    let zero = |field| {
        BadRule::new(
            field,
            "0 keeps nothing: leave it out, or give a number that keeps something",
        )
    };
    match spec {
        RetentionSpec {
            keep_last: Some(0), ..
        } => Err(zero("keep_last")),
        RetentionSpec {
            keep_last: Some(last),
            ..
        } if *last > KEEP_LAST_MAX => Err(BadRule::new("keep_last", format!("at most {KEEP_LAST_MAX}"))),
        RetentionSpec {
            keep_newer_seconds: Some(0),
            ..
        } => Err(zero("keep_newer")),
        RetentionSpec {
            keep_pulled_seconds: Some(0),
            ..
        } => Err(zero("keep_pulled")),
        _ => Ok(()),
    }
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: u64 = 86_400;

    fn spec() -> RetentionSpec {
        RetentionSpec {
            name: "pr-images".into(),
            repositories: "team/**".into(),
            tags: vec!["pr-*".into()],
            keep_last: Some(3),
            ..RetentionSpec::default()
        }
    }

    fn refused(spec: RetentionSpec) -> (&'static str, Option<usize>) {
        let bad = RetentionRule::new(spec, LEASE).unwrap_err();
        (bad.field, bad.item)
    }

    #[test]
    fn a_rule_knows_what_it_is_about() {
        let rule = RetentionRule::new(spec(), LEASE).unwrap();
        assert!(rule.is_about("team/app") && !rule.is_about("other/app"));
        assert!(rule.has_tag("pr-1") && !rule.has_tag("latest"));
        let untagged = RetentionSpec {
            tags: vec![],
            keep_last: None,
            untagged: Some(Untagged::OlderSeconds(LEASE)),
            ..spec()
        };
        let rule = RetentionRule::new(untagged, LEASE).unwrap();
        assert!(!rule.has_tag("pr-1") && rule.is_about_untagged());
    }

    #[test]
    fn rules_that_mean_nothing_or_too_much_are_refused_where_they_are_wrong() {
        assert_eq!(
            refused(RetentionSpec {
                name: "Bad name".into(),
                ..spec()
            }),
            ("name", None)
        );
        assert_eq!(
            refused(RetentionSpec {
                repositories: "Team".into(),
                ..spec()
            }),
            ("match", None)
        );
        assert_eq!(
            refused(RetentionSpec {
                tags: vec!["a".into(), "b/c".into()],
                ..spec()
            }),
            ("tags", Some(1))
        );
        assert_eq!(
            refused(RetentionSpec {
                keep_last: None,
                ..spec()
            }),
            ("keep_last", None)
        );
        assert_eq!(
            refused(RetentionSpec {
                keep_last: Some(0),
                ..spec()
            }),
            ("keep_last", None)
        );
        assert_eq!(
            refused(RetentionSpec {
                keep_newer_seconds: Some(0),
                ..spec()
            }),
            ("keep_newer", None)
        );
        let never = RetentionSpec {
            keep_matching: vec!["release-*".into()],
            ..spec()
        };
        assert_eq!(refused(never), ("keep_matching", Some(0)));
        let early = RetentionSpec {
            untagged: Some(Untagged::OlderSeconds(LEASE - 1)),
            ..spec()
        };
        assert_eq!(refused(early), ("untagged", None));
        let pointless = RetentionSpec {
            keep_last: None,
            untagged: Some(Untagged::Keep),
            ..spec()
        };
        assert_eq!(refused(pointless), ("tags", None));
    }

    #[test]
    fn a_spec_is_read_back_as_it_was_written_and_unknown_keys_are_refused() {
        let full = RetentionSpec {
            untagged: Some(Untagged::OlderSeconds(LEASE)),
            ..spec()
        };
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<RetentionSpec>(&text).unwrap(), full);
        assert!(serde_json::from_str::<RetentionSpec>(r#"{"name":"a","match":"**","keep_lst":3}"#).is_err());
    }
}
