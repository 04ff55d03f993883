//! Every setting, once: what parsing, `config explain`, the settings reference and "did you mean" read.
//!
//! A path names maps with dots and the items of a list with `[]`: `health.file[].interval`.
//! To add a setting: add its row to the file of its section, read it in `assemble`. A test holds that every
//! row which is honoured is read, and that every default is a value of its kind.

mod admin;
mod backup;
mod http;
mod log;
mod other;
mod rules;
mod storage;
mod tls;

use crate::kind::Kind;
use crate::suggest;

/// One setting.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    /// As one would write it; empty for none.
    pub(crate) default: &'static str,
    /// The default inside the container image, where it differs.
    pub(crate) image_default: Option<&'static str>,
    pub(crate) treatment: Treatment,
    /// What it does, as a phrase; more than one sentence if needed.
    pub(crate) help: &'static str,
    pub(crate) flag: Option<&'static str>,
    /// The path by the names of the CNCF registry's Go fields, where its `REGISTRY_*` variable follows those.
    pub(crate) go_path: Option<&'static str>,
    /// An older path that still works.
    pub(crate) old_path: Option<&'static str>,
    /// A key that the CNCF registry does not have; `REGISTRY_*` does not reach it.
    pub(crate) ours: bool,
}

/// What Landfall does with a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Treatment {
    Honour,
    /// Accepted without effect; the sentence says why that is no loss, or what to do.
    Warn(When, &'static str),
    /// The start is refused; the sentence says what to do instead.
    Refuse(When, &'static str),
}

/// Which values of a key that is not honoured matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// The key itself, whatever it holds.
    Written,
    /// Anything but empty values.
    Filled,
    /// `true`.
    On,
    /// `false`, written out.
    Off,
    /// A list with an entry that is not `disabled: true`.
    Active,
}

const fn row(path: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Row {
    Row {
        path,
        kind,
        default,
        image_default: None,
        treatment: Treatment::Honour,
        help,
        flag: None,
        go_path: None,
        old_path: None,
        ours: false,
    }
}

impl Row {
    const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    const fn flag(self, flag: &'static str) -> Self {
        Self {
            flag: Some(flag),
            ..self
        }
    }

    const fn in_image(self, default: &'static str) -> Self {
        Self {
            image_default: Some(default),
            ..self
        }
    }

    const fn go(self, path: &'static str) -> Self {
        Self {
            go_path: Some(path),
            ..self
        }
    }

    const fn old(self, path: &'static str) -> Self {
        Self {
            old_path: Some(path),
            ..self
        }
    }

    const fn warn(self, when: When, why: &'static str) -> Self {
        Self {
            treatment: Treatment::Warn(when, why),
            ..self
        }
    }

    const fn refuse(self, when: When, instead: &'static str) -> Self {
        Self {
            treatment: Treatment::Refuse(when, instead),
            ..self
        }
    }

    /// What holds if nobody writes the key.
    pub(crate) fn default_in(&self, image: bool) -> &'static str {
        self.image_default.filter(|_| image).unwrap_or(self.default)
    }

    /// The part of the path after the last dot, without `[]`.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .rsplit('.')
            .next()
            .unwrap_or(self.path)
            .trim_end_matches("[]")
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }
}

/// In the order of the settings reference.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        log::ROWS,
        storage::ROWS,
        rules::ROWS,
        http::ROWS,
        tls::ROWS,
        admin::ROWS,
        backup::ROWS,
        other::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The row of a path that the program itself names.
pub(crate) fn declared(path: &str) -> &'static Row {
    match rows().find(|row| row.path == path) {
        Some(row) => row,
        None => unreachable!("`{path}` is read but has no row in the table"),
    }
}

/// The row that declares a flag of the command line.
pub(crate) fn by_flag(flag: &str) -> Option<&'static Row> {
    rows().find(|row| row.flag == Some(flag))
}

const SECRET_WORDS: [&str; 5] = ["secret", "password", "accesskey", "accountkey", "authorization"];

/// Whether a key of this name holds something that must not be shown, also in sections that are not looked into.
pub(crate) fn is_secret_word(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("token") && key != "token" || SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// The same for a key that may be mistyped.
pub(crate) fn may_be_secret(key: &str) -> bool {
    is_secret_word(key) || suggest::nearest(key, SECRET_WORDS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use crate::origin::Origin;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for row in rows() {
            for text in [Some(row.default), row.image_default]
                .into_iter()
                .flatten()
                .filter(|text| !text.is_empty())
            {
                let node = crate::reader::default_node(row, text);
                row.kind
                    .check(&node)
                    .unwrap_or_else(|misfit| panic!("{}: {misfit:?}", row.path));
            }
        }
        assert!(
            Kind::Bool
                .check(&Node::scalar("perhaps", Origin::Default))
                .is_err()
        );
    }

    #[test]
    fn every_key_stands_once_and_explains_itself() {
        let mut seen = BTreeSet::new();
        for row in rows() {
            assert!(seen.insert(row.path), "{} stands twice", row.path);
            assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.path);
            assert!(
                is_secret_word(row.name()) || !row.is_secret(),
                "{} would be shown in excerpts",
                row.path
            );
        }
    }
}
