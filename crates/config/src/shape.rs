//! The table as a tree: what may stand under which key.
//!
//! Built once from the rows. Two sets of names lead through it: the keys of the file, and (for `REGISTRY_*`) also the
//! names of the CNCF registry's Go fields where those differ.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::table::{self, Row};

#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Set where a setting stands; nothing below it is known by name.
    pub(crate) row: Option<&'static Row>,
    pub(crate) keys: BTreeMap<&'static str, Shape>,
    /// Go field name -> key, where they differ.
    go_names: BTreeMap<&'static str, &'static str>,
    /// For a list of sections: what each item is.
    pub(crate) item: Option<Box<Shape>>,
}

static ROOT: LazyLock<Shape> = LazyLock::new(|| {
    let mut root = Shape::default();
    for row in table::rows() {
        root.declare(row.path, row.go_path.unwrap_or(row.path), row);
        if let Some(old) = row.old_path {
            root.declare(old, old, row);
        }
    }
    root
});

impl Shape {
    pub(crate) fn root() -> &'static Self {
        &ROOT
    }

    fn declare(&mut self, path: &'static str, go_path: &'static str, row: &'static Row) {
        let mut here = self;
        for (key, go_name) in path.split('.').zip(go_path.split('.')) {
            let (key, go_name) = (Listed::of(key), Listed::of(go_name));
            if key.name != go_name.name {
                here.go_names.insert(go_name.name, key.name);
            }
            here = here.keys.entry(key.name).or_default();
            if key.listed {
                here = here.item.get_or_insert_default();
            }
        }
        here.row = Some(row);
    }

    /// The key that a part of a variable's name means, in any case.
    pub(crate) fn key_named(&self, word: &str) -> Option<(&'static str, &Shape)> {
        let word = word.to_ascii_lowercase();
        let key = self.go_names.get(word.as_str()).copied().unwrap_or(word.as_str());
        self.keys.get_key_value(key).map(|(key, shape)| (*key, shape))
    }

    /// True if every setting from here down is Landfall's own.
    pub(crate) fn is_ours(&self) -> bool {
        self.row.is_none_or(|row| row.ours)
            && self.keys.values().all(Self::is_ours)
            && self.item.as_ref().is_none_or(|item| item.is_ours())
    }

    /// True where the keys below are the user's own words.
    pub(crate) fn is_free(&self) -> bool {
        self.row.is_some_and(|row| row.kind.is_free())
    }

    pub(crate) fn takes_items(&self) -> bool {
        self.item.is_some() || self.row.is_some_and(|row| row.kind.is_list())
    }
}

struct Listed {
    name: &'static str,
    listed: bool,
}

impl Listed {
    fn of(part: &'static str) -> Self {
        match part.strip_suffix("[]") {
            Some(name) => Self { name, listed: true },
            None => Self {
                name: part,
                listed: false,
            },
        }
    }
}

/// Sections that may be written as one word: `auth: none`, `storage: filesystem`.
pub(crate) const SHORTHAND: [&str; 2] = ["auth", "storage"];
