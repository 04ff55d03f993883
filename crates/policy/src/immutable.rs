//! Immutable tags: once set, such a tag is neither moved nor deleted. Pushing the same image to it again is fine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::retention::tag_globs;
use crate::{BadRule, RepositoryGlob, TagGlob};

/// A rule as somebody wrote it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImmutableSpec {
    /// The repositories that it is about: a glob.
    #[serde(rename = "match")]
    pub repositories: String,
    /// The tags that it is about: globs; none are all tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// But not these: globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// A rule that means something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImmutableRule {
    spec: ImmutableSpec,
    repositories: RepositoryGlob,
    tags: Vec<TagGlob>,
    except: Vec<TagGlob>,
}

impl ImmutableRule {
    /// Fails where a pattern is impossible, or where the exceptions leave nothing or change nothing.
    pub fn new(spec: ImmutableSpec) -> Result<Self, BadRule> {
        let repositories =
            RepositoryGlob::new(&spec.repositories).map_err(|problem| BadRule::new("match", problem))?;
        let tags = tag_globs("tags", &spec.tags)?;
        let except = tag_globs("except", &spec.except)?;
        for (at, exception) in except.iter().enumerate() {
            if exception.is_all() || tags.len() == 1 && tags.contains(exception) {
                let problem = format!(
                    "{:?} excepts every tag, so the rule matches nothing",
                    spec.except[at]
                );
                return Err(BadRule::item("except", at, problem));
            }
            if !tags.is_empty() && !tags.iter().any(|tag| tag.meets(exception)) {
                let problem = format!(
                    "{:?} excepts nothing: no tag matches it and `tags`",
                    spec.except[at]
                );
                return Err(BadRule::item("except", at, problem));
            }
        }
        if let Some(at) = tags.iter().position(|tag| except.contains(tag)) {
            let problem = format!("{:?} is excepted again, so it matches nothing", spec.tags[at]);
            return Err(BadRule::item("tags", at, problem));
        }
        Ok(Self {
            spec,
            repositories,
            tags,
            except,
        })
    }

    /// What somebody wrote.
    #[must_use]
    pub fn spec(&self) -> &ImmutableSpec {
        &self.spec
    }

    /// What it is called: the repositories that it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.repositories
    }

    /// Whether it is about a repository.
    #[must_use]
    pub fn is_about(&self, repository: &str) -> bool {
        self.repositories.matches(repository)
    }

    /// Whether it is about a tag of those repositories.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        (self.tags.is_empty() || self.tags.iter().any(|glob| glob.matches(tag)))
            && !self.except.iter().any(|glob| glob.matches(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(tags: &[&str], except: &[&str]) -> ImmutableSpec {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        ImmutableSpec {
            repositories: "**".into(),
            tags: list(tags),
            except: list(except),
        }
    }

    #[test]
    fn exceptions_count_more() {
        let rule = ImmutableRule::new(spec(&["v*"], &["*-rc*"])).unwrap();
        assert!(rule.has_tag("v1") && !rule.has_tag("v1-rc1") && !rule.has_tag("latest"));
        let all = ImmutableRule::new(spec(&[], &["latest"])).unwrap();
        assert!(all.has_tag("anything") && !all.has_tag("latest"));
    }

    #[test]
    fn rules_that_match_nothing_are_refused() {
        for (tags, except, field) in [
            (&["v*"][..], &["*"][..], "except"),
            (&["v*"], &["v*"], "except"),
            (&["v*", "w"], &["w"], "tags"),
            (&["v*"], &["latest"], "except"),
            (&["v/"], &[], "tags"),
        ] {
            assert_eq!(
                ImmutableRule::new(spec(tags, except)).unwrap_err().field,
                field,
                "{tags:?} {except:?}"
            );
        }
    }
}
