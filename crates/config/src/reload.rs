//! What a running server takes over from a changed configuration, and what needs a start.
//!
//! Shape: two sets of values in, the keys that differ out, each with whether a reload is enough.

use crate::load::Values;
use crate::node::{Node, Value};
use crate::reader::default_node;
use crate::table::{self, Row};

/// Settings and sections that a reload replaces. The rest is bound at the start: folders, sockets, keys, timers.
const RELOADED: [&str; 24] = [
    "log",
    "storage.delete",
    "storage.maintenance.readonly",
    "auth",
    "admin.users",
    "http.prefix",
    "http.host",
    "http.relativeurls",
    "http.draintimeout",
    "http.headers",
    "http.trusted_proxies",
    "http.h2c",
    "validation.disabled",
    "validation.enabled",
    "validation.manifests",
    "limits",
    "catalog.maxentries",
    "tags.maxtags",
    "trash",
    "gc",
    "scrub",
    "retention",
    "quotas[]",
    "immutable_tags[]",
];

/// A setting that has another value than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `http.addr`
    pub key: &'static str,
    /// Whether a reload brings it into force.
    pub reloads: bool,
}

/// Whether SIGHUP is enough after this setting has changed.
#[must_use]
pub fn is_reloaded(key: &str) -> bool {
    RELOADED.iter().any(|section| {
        key.strip_prefix(section)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The settings that differ, in the order of the settings reference.
#[must_use]
pub fn differences(old: &Values, new: &Values) -> Vec<Difference> {
    table::rows()
        .filter(|row| !same(&in_force(row, old), &in_force(row, new)))
        .map(|row| Difference {
            key: row.path,
            reloads: is_reloaded(row.path),
        })
        .collect()
}

/// What is written, else the default; for a key inside a list, the whole list.
fn in_force(row: &Row, values: &Values) -> Node {
    let path = row.path.split("[]").next().unwrap_or(row.path);
    values
        .root
        .at(path)
        .or_else(|| values.root.at(row.old_path?))
        .filter(|node| matches!(row.kind, crate::kind::Kind::Any) || !node.is_blank())
        .cloned()
        .unwrap_or_else(|| default_node(row, row.default_in(values.image)))
}

/// Equal but for where it was written.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.key == b.key && same(&a.node, &b.node))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_list_names_settings() {
        for section in RELOADED {
            assert!(
                table::rows().any(|row| is_reloaded(row.path) && row.path.starts_with(section)),
                "{section}"
            );
        }
        assert!(is_reloaded("log.level") && is_reloaded("auth.htpasswd.path"));
        assert!(!is_reloaded("http.addr") && !is_reloaded("storage.filesystem.rootdirectory"));
    }
}
