//! Names of repositories, tags, and the reference that is either a tag or a digest.
//!
//! Units: lengths are bytes (the grammar is ASCII). Fails: `BadName`, which says which rule was broken.
//! Source: distribution-spec "Pulling manifests".

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use crate::{BadDigest, Digest};

/// `team/api`: lower-case path components. `parse` is the only door.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Box<str>);

/// `1.0`, `latest`: at most [`Tag::LEN_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// What a manifest is asked for by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// An address that cannot.
    Digest(Digest),
}

/// Which rule a name breaks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadName {
    /// Not a repository name.
    #[error(
        "{0:?} is not a repository name: lower-case letters and digits, separated by one of . _ __ or dashes, \
         in components joined by /"
    )]
    Repository(String),
    /// A repository name that is too long.
    #[error("a repository name has at most 255 bytes, this one has {0}")]
    RepositoryLength(usize),
    /// Not a tag.
    #[error("{0:?} is not a tag: up to 128 letters, digits, _ . and -, not starting with . or -")]
    Tag(String),
    /// A reference with a colon that is no digest.
    #[error(transparent)]
    Digest(#[from] BadDigest),
}

/// Enough of a bad name to recognise it, never a flood.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl RepositoryName {
    /// Longest name, in bytes: also the longest file name, and what clients count on.
    pub const LEN_MAX: usize = 255;

    /// The first component if there is more than one, else the empty string.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(first, _)| first)
    }
}

impl FromStr for RepositoryName {
    type Err = BadName;

    /// Source: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`.
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.len() > Self::LEN_MAX {
            return Err(BadName::RepositoryLength(text.len()));
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(BadName::Repository(shown(text)))
        }
    }
}

/// Runs of letters and digits, joined by exactly one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(word) || !bytes.last().is_some_and(word) {
        return false;
    }
    bytes
        .chunk_by(|a, b| word(a) == word(b))
        .all(|run| word(&run[0]) || matches!(run, b"." | b"_" | b"__") || run.iter().all(|&b| b == b'-'))
}

impl Tag {
    /// Longest tag, in bytes.
    pub const LEN_MAX: usize = 128;
}

impl FromStr for Tag {
    type Err = BadName;

    /// Source: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    fn from_str(text: &str) -> Result<Self, BadName> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match text.as_bytes() {
            [first, rest @ ..]
                if word(*first)
                    && rest.len() < Self::LEN_MAX
                    && rest.iter().all(|&b| word(b) || b == b'.' || b == b'-') =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(BadName::Tag(shown(text))),
        }
    }
}

impl FromStr for Reference {
    type Err = BadName;

    /// A reference with a colon is a digest, otherwise a tag.
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse::<Digest>()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

macro_rules! text_like {
    ($name:ident) => {
        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
text_like!(RepositoryName);
text_like!(Tag);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repository_names_follow_the_grammar() {
        for good in [
            "a",
            "busy/hello",
            "a.b",
            "a_b",
            "a__b",
            "a---b",
            "a/b/c/d",
            "0/1",
            "blobs/uploads/manifests",
        ] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "a.-b",
            "-a",
            "a-",
            ".",
            "..",
            "a/../b",
            "_catalog",
            "a b",
            "a\0b",
            "é",
            "host:5000/a",
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!(
            "a".repeat(256).parse::<RepositoryName>(),
            Err(BadName::RepositoryLength(256))
        );
    }

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["latest", "1.0", "_x", "A", "a-b_c.d", &"x".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "a:b", "ü", &"x".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_colon_makes_a_reference_a_digest() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        assert!(matches!(
            format!("sha256:{}", "0".repeat(64)).parse(),
            Ok(Reference::Digest(_))
        ));
        assert!(matches!(
            "sha256:xyz".parse::<Reference>(),
            Err(BadName::Digest(_))
        ));
    }

    proptest! {
        #[test]
        fn generated_names_parse(
            name in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}){0,3}"
        ) {
            prop_assert!(name.parse::<RepositoryName>().is_ok());
        }

        #[test]
        fn nothing_panics(text in ".{0,300}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<Tag>();
            let _ = text.parse::<Reference>();
        }
    }
}
