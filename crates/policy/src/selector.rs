//! Which tags a `keep_matching` has: a glob, `regex:…` over the whole tag, or `semver:…` over the version that it names.
//!
//! A tag that names a version: an optional `v`, one to three numbers, and what semantic versioning allows after them
//! (`1`, `v1.2`, `1.2.3-rc.1`); a number that is left out counts as 0. As semantic versioning has it, a pre-release
//! (`1.3.0-rc1`, and so `1.3-alpine`) is only within a range that names one of the same version.
//! Source: semver.org; the ranges are those of Cargo.

use std::fmt;

use regex::{Regex, RegexBuilder};
use semver::{Version, VersionReq};

use crate::TagGlob;

/// A compiled pattern may take this much memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// One item of `keep_matching`.
#[derive(Clone, Debug)]
pub struct TagSelector {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Glob(TagGlob),
    Regex(Regex),
    Version(VersionReq),
}

impl TagSelector {
    /// Fails: a sentence that says what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        let kind = if let Some(pattern) = text.strip_prefix("regex:") {
            Kind::Regex(whole(pattern)?)
        } else if let Some(range) = text.strip_prefix("semver:") {
            Kind::Version(range.trim().parse().map_err(|error| {
                format!(
                    "{range:?} is no range of versions: {error}; such as `semver:>=1.2` or `semver:^2, <2.5`"
                )
            })?)
        } else if let Some((kind, _)) = text.split_once(':') {
            return Err(format!(
                "{text:?} begins with {kind:?}, which is no kind of pattern: `regex:…`, `semver:…`, or a glob"
            ));
        } else {
            Kind::Glob(TagGlob::new(text)?)
        };
        Ok(Self {
            text: text.into(),
            kind,
        })
    }

    /// Whether it has this tag.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        match &self.kind {
            Kind::Glob(glob) => glob.matches(tag),
            Kind::Regex(regex) => regex.is_match(tag),
            Kind::Version(range) => version(tag).is_some_and(|version| range.matches(&version)),
        }
    }

    /// The glob, if it is one.
    pub(crate) fn glob(&self) -> Option<&TagGlob> {
        match &self.kind {
            Kind::Glob(glob) => Some(glob),
            Kind::Regex(_) | Kind::Version(_) => None,
        }
    }
}

impl fmt::Display for TagSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for TagSelector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagSelector {}

fn whole(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() {
        return Err("an empty regular expression matches no tag".to_owned());
    }
    // Alone first, so that a `)` cannot end the group, and so that the message is about what was written.
    let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    build(pattern)
        .and_then(|_| build(&format!("^(?:{pattern})$")))
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            format!("{pattern:?} is not a regular expression: {reason}")
        })
}

/// The version that a tag names.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let numbers_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (numbers, rest) = text.split_at(numbers_end);
    if numbers.is_empty() || !rest.is_empty() && !rest.starts_with('-') {
        return None;
    }
    let mut parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    parts.resize(3, "0");
    Version::parse(&format!("{}{rest}", parts.join("."))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(selector: &str, tag: &str) -> bool {
        TagSelector::new(selector).unwrap().matches(tag)
    }

    #[test]
    fn versions_are_compared_as_versions() {
        assert!(has("semver:>=1.2", "v1.10") && has("semver:>=1.2", "1.2") && has("semver:>=1.2", "2"));
        assert!(
            !has("semver:>=1.2", "1.1.9") && !has("semver:>=1.2", "latest") && !has("semver:*", "1.2.3.4")
        );
        assert!(!has("semver:>=1.2", "1.3.0-rc1") && has("semver:>=1.3.0-rc1", "1.3.0-rc2"));
        assert!(has("semver:^2, <2.5", "v2.4.9") && !has("semver:^2, <2.5", "2.5"));
        assert!(!has("semver:*", "20240101T1200") && !has("semver:*", "v"));
    }

    #[test]
    fn an_expression_is_about_the_whole_tag() {
        assert!(has("regex:v[0-9]+", "v12") && !has("regex:v[0-9]+", "v12-rc") && !has("regex:a|b", "ab"));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in [
            "semver:",
            "semver:new",
            "regex:",
            "regex:(",
            "regex:a)|(b",
            "glob:x",
            "a/b",
            "",
        ] {
            assert!(TagSelector::new(bad).is_err(), "{bad:?}");
        }
        let message = TagSelector::new("regex:v[").unwrap_err();
        assert!(message.contains("v[") && !message.contains('\n'), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_selector_panic(text in "(regex:|semver:|)\\PC{0,16}", tag in "v?[0-9.a-z-]{0,12}") {
            let _ = TagSelector::new(&text).map(|selector| selector.matches(&tag));
        }
    }
}
