//! Lays one value over the tree at the place that a variable's or a flag's name means.
//!
//! Rules (those of the CNCF registry for `REGISTRY_*`): a value replaces what stood there, section or not; missing levels
//! are made; words of the user match in any case, else are made in lower case; an index equal to the length appends.
//! Fails: `Unknown` (no such setting), `Gap` (an index beyond the end). The tree is then unchanged but for empty levels.

use std::fmt::Write as _;

use crate::node::{Entry, Node, Value};
use crate::shape::{SHORTHAND, Shape};

/// Deeper than any setting.
const PARTS_MAX: usize = 24;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    Gap { index: usize, length: usize },
}

/// Which settings a name may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    /// `REGISTRY_*`: the keys that the CNCF registry knows.
    Cncf,
}

/// Returns the canonical path of what was set: `health.file[0].file`.
pub(crate) fn place(root: &mut Node, parts: &[&str], value: Node, reach: Reach) -> Result<String, Refused> {
    if parts.len() > PARTS_MAX || parts.iter().any(|part| part.is_empty()) {
        return Err(Refused::Unknown);
    }
    let mut path = String::new();
    descend(root, Some(Shape::root()), parts, value, reach, &mut path)?;
    Ok(path)
}

fn descend(
    node: &mut Node,
    shape: Option<&Shape>,
    parts: &[&str],
    value: Node,
    reach: Reach,
    path: &mut String,
) -> Result<(), Refused> {
    let Some((part, rest)) = parts.split_first() else {
        *node = value;
        return Ok(());
    };
    if let Some(index) = index(node, shape, part) {
        let _ = write!(path, "[{index}]");
        let below = shape.and_then(|shape| shape.item.as_deref());
        if shape.is_some_and(|shape| shape.item.is_none() && !shape.is_free()) && !rest.is_empty() {
            return Err(Refused::Unknown); // a list of plain values
        }
        return descend(item(node, index, &value)?, below, rest, value, reach, path);
    }
    let (key, below) = step(node, shape, part)?;
    if reach == Reach::Cncf && below.is_some_and(Shape::is_ours) {
        return Err(Refused::Unknown);
    }
    let shorthand = path.is_empty() && SHORTHAND.contains(&key.as_str());
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&key);
    let child = entry(node, key, &value);
    if shorthand && !rest.is_empty() {
        child.expand_shorthand();
    }
    descend(child, below, rest, value, reach, path)
}

/// The part as an index, where a list stands or may stand.
fn index(node: &Node, shape: Option<&Shape>, part: &str) -> Option<usize> {
    let listed = match shape {
        Some(shape) if !shape.is_free() => shape.takes_items(),
        _ => matches!(node.value, Value::List(_)) || (node.is_blank() && part == "0"),
    };
    let digits = part.bytes().all(|b| b.is_ascii_digit());
    (listed && digits).then(|| part.parse().ok()).flatten()
}

fn item<'a>(node: &'a mut Node, index: usize, value: &Node) -> Result<&'a mut Node, Refused> {
    let items = node.make_list(&value.origin);
    let length = items.len();
    if index == length {
        items.push(Node::new(Value::Null, value.origin.clone()));
    }
    items.get_mut(index).ok_or(Refused::Gap { index, length })
}

fn step<'s>(
    node: &Node,
    shape: Option<&'s Shape>,
    part: &str,
) -> Result<(String, Option<&'s Shape>), Refused> {
    match shape {
        Some(shape) if !shape.is_free() => match shape.key_named(part) {
            Some((key, below)) => Ok((key.to_owned(), Some(below))),
            None => Err(Refused::Unknown),
        },
        _ => {
            let known = node
                .entries()
                .iter()
                .find(|entry| entry.key.eq_ignore_ascii_case(part));
            Ok((
                known.map_or_else(|| part.to_ascii_lowercase(), |entry| entry.key.clone()),
                None,
            ))
        }
    }
}

fn entry<'a>(node: &'a mut Node, key: String, value: &Node) -> &'a mut Node {
    let entries = node.make_map(&value.origin);
    let at = entries
        .iter()
        .position(|entry| entry.key == key)
        .unwrap_or_else(|| {
            let origin = value.origin.clone();
            entries.push(Entry {
                key,
                key_origin: origin.clone(),
                node: Node::new(Value::Null, origin),
            });
            entries.len() - 1
        });
    &mut entries[at].node
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    fn set(root: &mut Node, name: &str, text: &str) -> Result<String, Refused> {
        let parts: Vec<&str> = name.split('_').collect();
        place(root, &parts, Node::scalar(text, Origin::Default), Reach::Cncf)
    }

    #[test]
    fn levels_are_made_and_words_match_in_any_case() {
        let mut root = Node::empty_map(Origin::Default);
        assert_eq!(
            set(&mut root, "HTTP_HEADERS_X-Frame-Options_0", "DENY").unwrap(),
            "http.headers.x-frame-options[0]"
        );
        assert_eq!(
            set(&mut root, "HTTP_HEADERS_X-FRAME-OPTIONS_1", "B").unwrap(),
            "http.headers.x-frame-options[1]"
        );
        assert_eq!(root.at("http.headers.x-frame-options").unwrap().items().len(), 2);
    }

    #[test]
    fn both_spellings_lead_to_one_key() {
        let mut root = Node::empty_map(Origin::Default);
        assert_eq!(
            set(&mut root, "HEALTH_FILECHECKERS_0_FILE", "/a").unwrap(),
            "health.file[0].file"
        );
        assert_eq!(
            set(&mut root, "HEALTH_FILE_1_FILE", "/b").unwrap(),
            "health.file[1].file"
        );
        assert_eq!(
            set(&mut root, "HEALTH_FILE_3_FILE", "/c"),
            Err(Refused::Gap { index: 3, length: 2 })
        );
    }

    #[test]
    fn a_word_becomes_a_section_when_something_is_set_below_it() {
        let mut root = Node::empty_map(Origin::Default);
        set(&mut root, "AUTH", "htpasswd").unwrap();
        set(&mut root, "AUTH_HTPASSWD_REALM", "r").unwrap();
        assert_eq!(root.at("auth.htpasswd.realm").unwrap().text(), Some("r"));
        assert_eq!(root.at("auth").unwrap().entries().len(), 1);
    }

    #[test]
    fn names_that_mean_nothing_are_unknown() {
        let mut root = Node::empty_map(Origin::Default);
        for name in [
            "HTTP_ADDR_FOO",
            "NONSENSE",
            "HTTP__ADDR",
            "GC_LEASE",
            "HEALTH_FILE_X",
            "VALIDATION_MANIFESTS_URLS_ALLOW_0_X",
            "",
        ] {
            assert_eq!(set(&mut root, name, "x"), Err(Refused::Unknown), "{name}");
        }
        let deep = vec!["A"; 100_000].join("_");
        assert_eq!(
            set(&mut root, &format!("REDIS_{deep}"), "x"),
            Err(Refused::Unknown)
        );
    }
}
