//! Nodes as typed values: one reader per type.
//!
//! `Read::read` gives `Ok(None)` for "as if not written". An empty value is the type's zero value where it has one that
//! means something (`false`, `0`, no entries); empty texts count as not written, as in the CNCF registry.
//! Fails: `Misfit`, which says what was expected and where.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::ListenAddr;
use crate::duration::{format_duration, parse_duration};
use crate::links::{BaseUrl, Prefix};
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::proxies::TrustedProxy;
use crate::secret::Secret;
use crate::size::parse_size;

/// A value that is not of its kind: where, and what was expected.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) origin: Origin,
    pub(crate) found: Option<String>,
    pub(crate) expected: String,
}

pub(crate) trait Read: Sized {
    fn read(node: &Node) -> Result<Option<Self>, Misfit>;
}

pub(crate) fn misfit<T>(node: &Node, expected: impl Into<String>) -> Result<T, Misfit> {
    let found = match &node.value {
        Value::Scalar(text) => Some(text.clone()),
        _ => None,
    };
    Err(Misfit {
        origin: node.origin.clone(),
        found,
        expected: expected.into(),
    })
}

/// The scalar's text, or nothing if it is empty.
pub(crate) fn scalar<'a>(node: &'a Node, expected: &str) -> Result<Option<&'a str>, Misfit> {
    match &node.value {
        Value::Null => Ok(None),
        Value::Scalar(text) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        _ => misfit(node, format!("expected {expected}, not {}", node.noun())),
    }
}

fn items<'a>(node: &'a Node, expected: &str) -> Result<&'a [Node], Misfit> {
    match &node.value {
        Value::List(items) => Ok(items),
        _ if node.is_blank() => Ok(&[]),
        _ => misfit(node, format!("expected a list of {expected}, such as `[a, b]`")),
    }
}

impl Read for bool {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        // The words that the Go decoder takes, in any case.
        match scalar(node, "`true` or `false`")?
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("true" | "yes" | "on" | "y") => Ok(Some(true)),
            None | Some("false" | "no" | "off" | "n") => Ok(Some(false)),
            Some(_) => misfit(node, "expected `true` or `false`"),
        }
    }
}

impl Read for i64 {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        match scalar(node, "a whole number")?.map(str::parse) {
            None => Ok(Some(0)),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => misfit(node, "expected a whole number"),
        }
    }
}

pub(crate) fn check_least(node: &Node, least: i64) -> Result<(), Misfit> {
    match i64::read(node)? {
        Some(number) if number < least => misfit(node, format!("expected a whole number, at least {least}")),
        _ => Ok(()),
    }
}

impl Read for String {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        Ok(scalar(node, "a single value")?.map(Into::into))
    }
}

impl Read for Secret {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        Ok(String::read(node)?.map(Self::new))
    }
}

impl Read for PathBuf {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        Ok(String::read(node)?.map(Into::into))
    }
}

pub(crate) fn check_version(node: &Node) -> Result<(), Misfit> {
    match scalar(node, "`0.1`")? {
        None | Some("0.1") => Ok(()),
        Some(_) => misfit(node, "the only version of this format is `0.1`"),
    }
}

pub(crate) fn check_word(node: &Node, words: &[&str]) -> Result<(), Misfit> {
    let expected = format!(
        "one of {}",
        words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    match scalar(node, &expected)? {
        Some(text) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            misfit(node, format!("expected {expected}"))
        }
        _ => Ok(()),
    }
}

const DURATION: &str = "a duration, such as `30s`, `1h30m` or `7d`";

impl Read for Duration {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        let Some(text) = scalar(node, DURATION)? else {
            return Ok(Some(Self::ZERO));
        };
        match text
            .parse()
            .ok()
            .map(Self::from_nanos)
            .or_else(|| parse_duration(text))
        {
            Some(duration) => Ok(Some(duration)),
            None => misfit(node, format!("expected {DURATION}")),
        }
    }
}

pub(crate) fn check_duration(node: &Node, least: Duration) -> Result<(), Misfit> {
    let Some(duration) = Duration::read(node)? else {
        return Ok(());
    };
    let bare = node
        .text()
        .is_none_or(|text| text != "0" && text.bytes().all(|b| b.is_ascii_digit()));
    if bare {
        return misfit(node, format!("expected {DURATION}: a unit is needed"));
    }
    if duration < least {
        return misfit(node, format!("expected at least {}", format_duration(least)));
    }
    Ok(())
}

pub(crate) fn check_schedule(node: &Node) -> Result<(), Misfit> {
    let Some(text) = scalar(node, "a schedule, such as `0 4 * * *`")? else {
        return Ok(());
    };
    policy::Schedule::new(text)
        .map(drop)
        .or_else(|problem| misfit(node, problem))
}

/// What becomes of untagged manifests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum UntaggedWord {
    Keep,
    Older(Duration),
}

impl Read for UntaggedWord {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        const EXPECTED: &str = "expected `keep`, or `{older: 7d}`";
        match &node.value {
            Value::Null => Ok(None),
            Value::Scalar(text) if text.is_empty() => Ok(None),
            Value::Scalar(text) if text.eq_ignore_ascii_case("keep") => Ok(Some(Self::Keep)),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if entry.key == "older" && !entry.node.is_blank() => {
                    check_duration(&entry.node, Duration::from_secs(1))?;
                    Ok(Duration::read(&entry.node)?.map(Self::Older))
                }
                [] => Ok(None),
                _ => misfit(node, EXPECTED),
            },
            Value::Scalar(_) | Value::List(_) => misfit(node, EXPECTED),
        }
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Size(pub(crate) u64);

impl Read for Size {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        const SIZE: &str = "a size, such as `16KiB`, `4MiB` or `20GB`";
        let Some(text) = scalar(node, SIZE)? else {
            return Ok(None);
        };
        match parse_size(text) {
            Some(bytes) => Ok(Some(Self(bytes))),
            None => misfit(node, format!("expected {SIZE}")),
        }
    }
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Count(pub(crate) u32);

impl Read for Count {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        match scalar(node, "a whole number")?.map(str::parse) {
            None => Ok(None),
            Some(Ok(count)) => Ok(Some(Self(count))),
            Some(Err(_)) => misfit(node, "expected a whole number, or `none`"),
        }
    }
}

/// A bound that can be left open by writing `none`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

impl<T> Default for Limit<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Read> Read for Limit<T> {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        match node.text() {
            Some("none") => Ok(Some(Self(None))),
            _ => Ok(T::read(node)?.map(|bound| Self(Some(bound)))),
        }
    }
}

/// Any type with a `FromStr` whose error says what was expected.
fn parsed<T: std::str::FromStr>(node: &Node) -> Result<Option<T>, Misfit>
where
    T::Err: std::fmt::Display,
{
    match scalar(node, "a single value")?.map(str::parse) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => misfit(node, T::Err::to_string(&error)),
    }
}

impl Read for ListenAddr {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        parsed(node)
    }
}

impl Read for BaseUrl {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        parsed(node)
    }
}

impl Read for Prefix {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        parsed(node)
    }
}

impl Read for Vec<TrustedProxy> {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        let mut proxies = Self::new();
        for item in items(node, "networks")? {
            match parsed(item)? {
                Some(proxy) => proxies.push(proxy),
                None => return misfit(item, crate::proxies::BadProxy.to_string()),
            }
        }
        Ok(Some(proxies))
    }
}

/// Texts, none of them empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts(pub(crate) Vec<String>);

impl Read for Texts {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        let texts = items(node, "texts")?.iter().map(|item| scalar(item, "a text"));
        let texts: Result<Vec<_>, _> = texts.collect();
        Ok(Some(Self(texts?.into_iter().flatten().map(Into::into).collect())))
    }
}

/// Regular expressions that compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Patterns(pub(crate) Vec<String>);

/// A compiled pattern may take this much memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Read for Patterns {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        let mut patterns = Vec::new();
        for item in items(node, "regular expressions")? {
            let text = scalar(item, "a regular expression")?.unwrap_or_default();
            if let Err(error) = regex::RegexBuilder::new(text)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
            {
                let reason = error.to_string();
                let reason = reason
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                return misfit(item, format!("not a regular expression: {reason}"));
            }
            patterns.push(text.to_owned());
        }
        Ok(Some(Self(patterns)))
    }
}

/// Free words with one value each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Read for Fields {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        if !matches!(node.value, Value::Map(_)) && !node.is_blank() {
            return misfit(node, "expected names and values, such as `{service: registry}`");
        }
        let read = |entry: &crate::node::Entry| {
            Ok((entry.key.clone(), String::read(&entry.node)?.unwrap_or_default()))
        };
        Ok(Some(Self(
            node.entries().iter().map(read).collect::<Result<_, _>>()?,
        )))
    }
}

/// HTTP headers to add to every response.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Headers(pub(crate) Vec<(String, Vec<String>)>);

/// Headers that frame a message: the server alone may write them.
const FRAMING: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Read for Headers {
    fn read(node: &Node) -> Result<Option<Self>, Misfit> {
        if !matches!(node.value, Value::Map(_)) && !node.is_blank() {
            return misfit(node, "expected header names, such as `{X-Frame-Options: [DENY]}`");
        }
        let mut headers = Vec::new();
        for entry in node.entries() {
            let refuse = |expected: &str| Misfit {
                origin: entry.key_origin.clone(),
                found: Some(entry.key.clone()),
                expected: expected.into(),
            };
            if !is_header_name(&entry.key) {
                return Err(refuse("this is not the name of an HTTP header"));
            }
            if FRAMING.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)) {
                return Err(refuse(
                    "this header frames the message, and only the server can know it",
                ));
            }
            headers.push((entry.key.clone(), header_values(&entry.node)?));
        }
        Ok(Some(Self(headers)))
    }
}

fn header_values(node: &Node) -> Result<Vec<String>, Misfit> {
    let single = std::slice::from_ref(node);
    let nodes = if node.text().is_some() {
        single
    } else {
        items(node, "header values")?
    };
    let mut values = Vec::new();
    for node in nodes {
        let text = scalar(node, "a header value")?.unwrap_or_default();
        if text.bytes().any(|b| b != b'\t' && (b < b' ' || b == 0x7f)) {
            return misfit(node, "a header value is one line without control characters");
        }
        values.push(text.to_owned());
    }
    Ok(values)
}

/// RFC 9110 section 5.6.2: token.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
