//! Typed access to the merged tree: what is written, else what the row says.
//!
//! A value that is not of its kind was reported by `check`, and no settings come out; here it reads as the default.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::node::{Entry, Node};
use crate::origin::Origin;
use crate::table::{self, Row};
use crate::value::Read;
use crate::yaml::{self, Text};

#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    node: &'a Node,
    /// The path that `node` stands for, with the dot: `health.file[].`.
    within: &'a str,
    image: bool,
    /// Rows that were asked for.
    used: &'a RefCell<BTreeSet<&'static str>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(root: &'a Node, image: bool, used: &'a RefCell<BTreeSet<&'static str>>) -> Self {
        Self {
            node: root,
            within: "",
            image,
            used,
        }
    }

    /// The value, if one is written.
    pub(crate) fn written<T: Read>(&self, path: &'static str) -> Option<T> {
        let entry = self.entry(path)?;
        T::read(&entry.node).ok().flatten()
    }

    /// The value, or its default if it has one.
    pub(crate) fn optional<T: Read>(&self, path: &'static str) -> Option<T> {
        self.written(path).or_else(|| {
            let row = table::declared(path);
            T::read(&default_node(row, row.default_in(self.image)))
                .ok()
                .flatten()
        })
    }

    /// The value, or its default, or the type's own.
    pub(crate) fn read<T: Read + Default>(&self, path: &'static str) -> T {
        self.optional(path).unwrap_or_default()
    }

    /// The word, in lower case.
    pub(crate) fn word(&self, path: &'static str) -> String {
        self.read::<String>(path).to_ascii_lowercase()
    }

    /// The entry of a row, under its path or its old one.
    pub(crate) fn entry(&self, path: &'static str) -> Option<&'a Entry> {
        let row = table::declared(path);
        self.used.borrow_mut().insert(row.path);
        let local = path.strip_prefix(self.within)?;
        self.node
            .entry_at(local)
            .filter(|entry| !entry.node.is_blank())
            .or_else(|| self.node.entry_at(row.old_path?))
            .or_else(|| self.node.entry_at(local))
    }

    /// Where the value of a row was written, or `Default`.
    pub(crate) fn origin(&self, path: &'static str) -> Origin {
        self.entry(path)
            .map_or(Origin::Default, |entry| entry.node.origin.clone())
    }

    /// The items of a list of sections; `within` is their path: `health.file[].`.
    pub(crate) fn items(&self, within: &'a str) -> impl Iterator<Item = Reader<'a>> {
        let list = self.node.at(within.trim_end_matches("[]."));
        let (image, used) = (self.image, self.used);
        list.map_or(&[][..], Node::items).iter().map(move |node| Reader {
            node,
            within,
            image,
            used,
        })
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }
}

/// A default of the table as a node.
pub(crate) fn default_node(row: &Row, text: &str) -> Node {
    if row.kind.is_scalar() {
        return Node::scalar(text, Origin::Default);
    }
    let parsed = yaml::parse(text, &Text::Environment("default".into()));
    parsed.map_or_else(
        |_| Node::scalar(text, Origin::Default),
        |parsed| Node {
            origin: Origin::Default,
            ..parsed.root
        },
    )
}
