//! `Kind`: the word by which a row of the table names what its value may be.

use std::time::Duration;

use crate::address::ListenAddr;
use crate::duration::format_duration;
use crate::links::{BaseUrl, Prefix};
use crate::node::Node;
use crate::proxies::TrustedProxy;
use crate::rate::Rate;
use crate::value::{
    Count, Fields, Headers, Limit, Misfit, Patterns, Read as _, Size, Texts, UntaggedWord, check_duration,
    check_least, check_schedule, check_version, check_word,
};

/// The type of a setting, as the table declares it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Bool,
    /// A whole number, at least this.
    Integer(i64),
    Text,
    Secret,
    Path,
    Version,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A unit is required; at least this many seconds.
    Duration(u64),
    /// As Go decodes it: a bare number is nanoseconds.
    GoDuration,
    Size,
    /// A size, or `none`.
    SizeLimit,
    /// Bytes a second.
    Rate,
    /// A number, or `none`.
    CountLimit,
    /// `HOST:PORT`; with `http.net: unix` a path, so it is read where both are known.
    Listen,
    Address,
    BaseUrl,
    Prefix,
    /// Plain texts.
    Texts,
    /// Regular expressions.
    Patterns,
    Proxies,
    /// Names and single values.
    Fields,
    Headers,
    /// Five fields of cron.
    Schedule,
    /// `keep`, or `{older: 7d}`.
    Untagged,
    /// Not looked into.
    Any,
}

impl Kind {
    pub(crate) fn check(self, node: &Node) -> Result<(), Misfit> {
        match self {
            Self::Bool => bool::read(node).map(drop),
            Self::Integer(least) => check_least(node, least),
            Self::Text | Self::Secret | Self::Path | Self::Listen => String::read(node).map(drop),
            Self::Version => check_version(node),
            Self::Word(words) => check_word(node, words),
            Self::Duration(least) => check_duration(node, Duration::from_secs(least)),
            Self::GoDuration => Duration::read(node).map(drop),
            Self::Size => Size::read(node).map(drop),
            Self::SizeLimit => Limit::<Size>::read(node).map(drop),
            Self::Rate => Rate::read(node).map(drop),
            Self::CountLimit => Limit::<Count>::read(node).map(drop),
            Self::Address => ListenAddr::read(node).map(drop),
            Self::BaseUrl => BaseUrl::read(node).map(drop),
            Self::Prefix => Prefix::read(node).map(drop),
            Self::Texts => Texts::read(node).map(drop),
            Self::Patterns => Patterns::read(node).map(drop),
            Self::Proxies => Vec::<TrustedProxy>::read(node).map(drop),
            Self::Fields => Fields::read(node).map(drop),
            Self::Headers => Headers::read(node).map(drop),
            Self::Schedule => check_schedule(node),
            Self::Untagged => UntaggedWord::read(node).map(drop),
            Self::Any => Ok(()),
        }
    }

    /// The name of the type in `config explain` and in the settings reference.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Integer(0) => "whole number, 0 or more".into(),
            Self::Integer(_) => "whole number".into(),
            Self::Text | Self::Version => "text".into(),
            Self::Secret => "secret text".into(),
            Self::Path => "path".into(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Duration(0) | Self::GoDuration => "duration".into(),
            Self::Duration(least) => format!(
                "duration, at least {}",
                format_duration(Duration::from_secs(least))
            ),
            Self::Size => "size".into(),
            Self::SizeLimit => "size, or `none`".into(),
            Self::Rate => "bytes a second".into(),
            Self::CountLimit => "whole number, or `none`".into(),
            Self::Listen => "HOST:PORT, or the path of a socket".into(),
            Self::Address => "HOST:PORT".into(),
            Self::BaseUrl => "URL without path".into(),
            Self::Prefix => "path of a URL".into(),
            Self::Texts => "list".into(),
            Self::Patterns => "list of regular expressions".into(),
            Self::Proxies => "list of `loopback`, `private`, addresses and networks".into(),
            Self::Fields => "names and values".into(),
            Self::Headers => "header names, each with a list of values".into(),
            Self::Schedule => "schedule".into(),
            Self::Untagged => "`keep`, or `{older: DURATION}`".into(),
            Self::Any => "section".into(),
        }
    }

    /// True for kinds written as one scalar: their text needs no YAML to be read.
    pub(crate) fn is_scalar(self) -> bool {
        !self.is_list() && !self.is_free()
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Texts | Self::Patterns | Self::Proxies)
    }

    /// True where the keys below are the user's own words.
    pub(crate) fn is_free(self) -> bool {
        matches!(self, Self::Fields | Self::Headers | Self::Untagged | Self::Any)
    }
}
