//! Globs over names: `*` stands for any characters but `/`, `**` for any with `/`, `?` for one but `/`.
//!
//! `team/**` has `team/a` and `team/a/b`; `**/base` has `base`, too. A tag has no `/`, so there `*` is enough. A pattern that
//! no name can match is refused when it is made. Source: the grammar of names in distribution-spec "Pulling manifests".

use std::fmt;

use regex::Regex;

/// A name has at most so many bytes; a pattern that needs more matches nothing.
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

/// A pattern of repository names.
#[derive(Clone, Debug)]
pub struct RepositoryGlob {
    text: Box<str>,
    regex: Regex,
}

/// A pattern of tags.
#[derive(Clone, Debug)]
pub struct TagGlob {
    text: Box<str>,
    regex: Regex,
}

impl RepositoryGlob {
    /// Fails: a sentence that says what is wrong with the pattern.
    pub fn new(text: &str) -> Result<Self, String> {
        let is_possible =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/');
        check(
            text,
            REPOSITORY_BYTES_MAX,
            is_possible,
            "a repository's name has lower-case letters, digits, `.`, `_`, `-` and `/`",
        )?;
        if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
            return Err(format!(
                "no name matches {text:?}: a name neither begins nor ends with `/`, and has no two in a row"
            ));
        }
        if text.contains("***") {
            return Err(format!(
                "{text:?} has `***`: `*` stays within a part of a name, `**` goes across"
            ));
        }
        for part in text.split('/') {
            let wild = |c: Option<char>| matches!(c, Some('*' | '?'));
            let ends = [part.chars().next(), part.chars().last()];
            if let Some(end) = ends
                .into_iter()
                .flatten()
                .find(|&end| !wild(Some(end)) && !end.is_ascii_alphanumeric())
            {
                return Err(format!(
                    "no name matches {text:?}: the parts of a name begin and end with a letter or digit, not `{end}`"
                ));
            }
        }
        Ok(Self {
            text: text.into(),
            regex: compile(text)?,
        })
    }

    /// Whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// What every name that matches begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let end = self.text.find(['*', '?']).unwrap_or(self.text.len());
        // `**/` may also stand for nothing, but not what is before it.
        &self.text[..end]
    }

    /// Whether it is a name, with nothing that stands for something else.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.text.contains(['*', '?'])
    }
}

impl TagGlob {
    /// Fails: a sentence that says what is wrong with the pattern.
    pub fn new(text: &str) -> Result<Self, String> {
        let is_possible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        check(
            text,
            TAG_BYTES_MAX,
            is_possible,
            "a tag has letters, digits, `.`, `_` and `-`",
        )?;
        if text.starts_with(['.', '-']) {
            return Err(format!(
                "no tag matches {text:?}: a tag begins with a letter, a digit or `_`"
            ));
        }
        Ok(Self {
            text: text.into(),
            regex: compile(text)?,
        })
    }

    /// Whether a tag matches.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        self.regex.is_match(tag)
    }

    /// Whether it has every tag.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.text.bytes().all(|b| b == b'*')
    }

    /// Whether some text matches both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (a, b): (Vec<char>, Vec<char>) = (self.text.chars().collect(), other.text.chars().collect());
        // `met[j]`: the first i characters of one and the first j of the other can stand for the same text.
        let mut met = vec![false; b.len() + 1];
        met[0] = true;
        for j in 0..b.len() {
            met[j + 1] = met[j] && b[j] == '*';
        }
        for &x in &a {
            let mut next = vec![false; b.len() + 1];
            next[0] = met[0] && x == '*';
            for (j, &y) in b.iter().enumerate() {
                let same = x == y || x == '?' || y == '?';
                next[j + 1] = if x == '*' || y == '*' {
                    met[j + 1] || next[j]
                } else {
                    met[j] && same
                };
            }
            met = next;
        }
        met[b.len()]
    }
}

fn check(
    text: &str,
    bytes_max: usize,
    is_possible: impl Fn(char) -> bool,
    grammar: &str,
) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "an empty pattern matches nothing; `**` matches every repository, `*` every tag".to_owned(),
        );
    }
    if let Some(odd) = text.chars().find(|&c| !matches!(c, '*' | '?') && !is_possible(c)) {
        return Err(format!("no name matches {text:?}, because of `{odd}`: {grammar}"));
    }
    if text.chars().filter(|&c| c != '*').count() > bytes_max {
        return Err(format!(
            "no name is as long as {text:?}: at most {bytes_max} characters"
        ));
    }
    Ok(())
}

fn compile(glob: &str) -> Result<Regex, String> {
    let mut pattern = String::from("^(?s:");
    let mut rest = glob;
    while let Some(first) = rest.chars().next() {
        let at_start_of_part = rest.len() == glob.len() || glob[..glob.len() - rest.len()].ends_with('/');
        if let Some(after) = rest.strip_prefix("**/").filter(|_| at_start_of_part) {
            pattern.push_str("(?:.*/)?");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            pattern.push_str(".*");
            rest = after;
        } else {
            match first {
                '*' => pattern.push_str("[^/]*"),
                '?' => pattern.push_str("[^/]"),
                other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    pattern.push_str(")$");
    Regex::new(&pattern).map_err(|error| format!("{glob:?} cannot be used as a pattern: {error}"))
}

macro_rules! as_text {
    ($($pattern:ty),*) => {
        $(impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
        impl PartialEq for $pattern {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }
        impl Eq for $pattern {})*
    };
}
as_text!(RepositoryGlob, TagGlob);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(glob: &str, name: &str) -> bool {
        RepositoryGlob::new(glob).unwrap().matches(name)
    }

    #[test]
    fn a_star_stays_within_a_part_and_two_go_across() {
        assert!(has("team/*", "team/app") && !has("team/*", "team/app/web") && !has("team/*", "team"));
        assert!(has("team/**", "team/app/web") && has("team/**", "team/app") && !has("team/**", "team"));
        assert!(has("**", "a") && has("**", "a/b") && has("**/base", "base") && has("**/base", "a/b/base"));
        assert!(!has("**/base", "database") && has("a?c", "abc") && !has("a?c", "a/c"));
        assert!(has("team/app", "team/app") && !has("team/app", "team/app2"));
        assert!(has("a.b", "a.b") && !has("a.b", "axb"), "a dot is a dot");
        assert_eq!(RepositoryGlob::new("team/a*").unwrap().prefix(), "team/a");
    }

    #[test]
    fn patterns_that_no_name_matches_are_refused() {
        for bad in [
            "", "Team/*", "team /x", "/a", "a//b", "team/", "a:b", "-a", "a***", "é", "a/.b",
        ] {
            assert!(RepositoryGlob::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", ".x*", "-x", "a/b", "v1:2", "a b", &"x".repeat(129)] {
            assert!(TagGlob::new(bad).is_err(), "{bad:?}");
        }
        assert!(TagGlob::new("V1_*-rc.?").is_ok());
    }

    #[test]
    fn patterns_that_have_a_tag_in_common_are_told() {
        let meets = |a: &str, b: &str| TagGlob::new(a).unwrap().meets(&TagGlob::new(b).unwrap());
        assert!(meets("pr-*", "*-1") && meets("*", "x") && meets("a*c", "ab*") && meets("v?", "v1"));
        assert!(!meets("pr-*", "release-*") && !meets("a", "b") && !meets("v?", "v10") && !meets("*a", "*b"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_pattern_panic(text in "\\PC{0,20}", near in "[a-z*?/.-]{0,12}") {
            for text in [text, near] {
                let _ = RepositoryGlob::new(&text).map(|glob| glob.matches("a/b"));
                let _ = TagGlob::new(&text).map(|glob| glob.matches("a"));
            }
        }

        #[test]
        fn what_both_match_makes_them_meet(a in "[ab*?]{1,6}", b in "[ab*?]{1,6}", text in "[ab]{0,6}") {
            let (a, b) = (TagGlob::new(&a).unwrap(), TagGlob::new(&b).unwrap());
            if a.matches(&text) && b.matches(&text) {
                prop_assert!(a.meets(&b) && b.meets(&a));
            }
        }

        #[test]
        fn every_match_begins_with_the_prefix(glob in "[ab*?]{1,5}(/[ab*?]{1,4})?", name in "[ab]{1,4}(/[ab]{1,4}){0,2}") {
            if let Ok(glob) = RepositoryGlob::new(&glob) && glob.matches(&name) {
                prop_assert!(name.starts_with(glob.prefix()));
            }
        }
    }
}
