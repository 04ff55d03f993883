//! The whole tree against the table: unknown keys, values of the wrong kind, keys that are not honoured.

use std::collections::HashSet;

use crate::finding::{Code, Finding, Report};
use crate::kind::Kind;
use crate::node::{Entry, Node, Value};
use crate::origin::Origin;
use crate::shape::Shape;
use crate::suggest;
use crate::table::{self, Row, Treatment, When};
use crate::value::Misfit;

pub(crate) fn check(root: &Node, report: &mut Report) {
    Check {
        report,
        said: HashSet::new(),
    }
    .walk(root, Shape::root(), "", &root.origin);
}

struct Check<'a> {
    report: &'a mut Report,
    /// Sentences already said: one per section is enough.
    said: HashSet<&'static str>,
}

impl Check<'_> {
    fn walk(&mut self, node: &Node, shape: &Shape, path: &str, key: &Origin) {
        if let Some(row) = shape.row {
            self.setting(node, row, path, key);
        } else if let Some(item) = &shape.item {
            match &node.value {
                Value::List(items) => {
                    for (index, node) in items.iter().enumerate() {
                        self.walk(node, item, &format!("{path}[{index}]"), &node.origin);
                    }
                }
                _ if node.is_blank() => {}
                _ => self.misshapen(node, path, "a list"),
            }
        } else {
            match &node.value {
                Value::Map(entries) => entries.iter().for_each(|entry| self.entry(entry, shape, path)),
                _ if node.is_blank() => {}
                _ => self.misshapen(node, path, "a section"),
            }
        }
    }

    fn entry(&mut self, entry: &Entry, shape: &Shape, path: &str) {
        match shape.keys.get(entry.key.as_str()) {
            Some(below) => self.walk(&entry.node, below, &join(path, &entry.key), &entry.key_origin),
            None => self.report.push(unknown(entry, shape, path)),
        }
    }

    fn misshapen(&mut self, node: &Node, path: &str, expected: &str) {
        let what = if path.is_empty() {
            "the configuration".into()
        } else {
            format!("`{path}`")
        };
        self.report.push(
            Finding::error(Code::BadValue, &node.origin, format!("{what} must be {expected}"))
                .label(format!("this is {}", node.noun())),
        );
    }

    fn setting(&mut self, node: &Node, row: &'static Row, path: &str, key: &Origin) {
        match row.treatment {
            Treatment::Honour => {}
            Treatment::Warn(when, why) => {
                if matters(when, node) && self.said.insert(why) {
                    let title = format!("`{path}` has no effect");
                    self.report
                        .push(Finding::warning(Code::NoEffect, key, title).label(why));
                }
                return;
            }
            Treatment::Refuse(when, instead) => {
                if matters(when, node) && self.said.insert(instead) {
                    let title = format!("`{path}` is not supported");
                    self.report
                        .push(Finding::error(Code::NotSupported, key, title).label(instead));
                }
                return;
            }
        }
        if let Err(misfit) = row.kind.check(node) {
            self.report.push(bad_value(row, path, misfit));
        }
    }
}

fn matters(when: When, node: &Node) -> bool {
    let is = |node: &Node, words: &[&str]| {
        node.text()
            .is_some_and(|text| words.iter().any(|word| word.eq_ignore_ascii_case(text)))
    };
    match when {
        When::Written => true,
        When::Filled => !node.is_blank(),
        When::On => !node.is_blank() && !is(node, &["false", "no", "off", "n"]),
        When::Off => is(node, &["false", "no", "off", "n"]),
        When::Active => match &node.value {
            Value::List(items) => {
                let disabled = |item: &Node| {
                    item.get("disabled")
                        .is_some_and(|node| is(node, &["true", "yes", "on", "y"]))
                };
                items.iter().any(|item| !item.is_blank() && !disabled(item))
            }
            _ => !node.is_blank(),
        },
    }
}

fn bad_value(row: &Row, path: &str, misfit: Misfit) -> Finding {
    const SHOWN_CHARS_MAX: usize = 60;
    let code = if row.kind == Kind::Version {
        Code::VersionUnknown
    } else {
        Code::BadValue
    };
    let title = match misfit.found {
        Some(found) if !row.is_secret() => {
            let shown: String = found
                .chars()
                .filter(|c| !c.is_control())
                .take(SHOWN_CHARS_MAX)
                .collect();
            format!("`{path}` cannot be `{shown}`")
        }
        _ => format!("`{path}` has a value that it cannot have"),
    };
    Finding::error(code, &misfit.origin, title)
        .label(misfit.expected)
        .advise(format!(
            "{}; see `landfall config explain {}`",
            row.help, row.path
        ))
}

fn unknown(entry: &Entry, shape: &Shape, path: &str) -> Finding {
    const SHOWN_CHARS_MAX: usize = 60;
    let shown: String = entry
        .key
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect();
    if let Origin::Environment(name) = &entry.key_origin
        && name.starts_with("REGISTRY_")
    {
        let title = format!("`{}` in {name} names no setting", join(path, &shown));
        return Finding::warning(Code::RegistryVariableUnknown, &entry.key_origin, title)
            .label("ignored, as the CNCF registry does");
    }
    let finding = Finding::error(
        Code::UnknownKey,
        &entry.key_origin,
        format!("unknown key `{shown}`"),
    );
    if let Some(near) = suggest::nearest(&entry.key, shape.keys.keys().copied()) {
        let near_path = join(path, near);
        return finding
            .label(format!("did you mean `{near}`?"))
            .advise(explained(&near_path));
    }
    // The right word at the wrong level.
    let elsewhere = sections().find(|known| known.rsplit('.').next() == Some(entry.key.as_str()));
    if let Some(known) = elsewhere {
        return finding
            .label(format!("did you mean `{known}`?"))
            .advise(explained(&known));
    }
    let place = if path.is_empty() {
        "at this level".into()
    } else {
        format!("in `{path}`")
    };
    let known: Vec<String> = shape.keys.keys().map(|key| format!("`{key}`")).collect();
    finding
        .label(format!("no such key {place}"))
        .advise(format!("known here: {}", known.join(", ")))
}

/// Every path of the table and every section above one.
fn sections() -> impl Iterator<Item = String> {
    table::rows().flat_map(|row| {
        let path = row.path.replace("[]", "");
        let ends: Vec<usize> = path
            .match_indices('.')
            .map(|(at, _)| at)
            .chain([path.len()])
            .collect();
        ends.into_iter()
            .map(move |end| path[..end].to_owned())
            .collect::<Vec<_>>()
    })
}

fn explained(path: &str) -> String {
    match table::rows().find(|row| row.path == path) {
        Some(row) => format!("{}; see `landfall config explain {path}`", row.help),
        None => format!("see `landfall config explain {path}`"),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
