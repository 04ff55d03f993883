//! `config print`: what is in force, as a configuration file, with a comment beside each value that somebody wrote.
//!
//! Shape: YAML in the order of the settings reference; settings without a value are left away, and those without
//! effect unless somebody wrote them. Secrets are `***`.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::explain::{Explained, explain};
use crate::load::Values;

/// One line of the tree: a section or a value.
#[derive(Default)]
struct Branch {
    keys: Vec<(String, Branch)>,
    value: Option<(Json, Option<String>)>,
}

/// The configuration in force; `changed` leaves only what somebody wrote.
#[must_use]
pub fn effective(values: &Values, changed: bool) -> String {
    let mut root = Branch::default();
    let in_memory = values.root.at("storage.inmemory").is_some();
    let all = explain(Some(values), None).unwrap_or_default();
    for one in all.iter().filter(|one| is_shown(one, changed, in_memory)) {
        let comment = one.origin.is_written().then(|| one.origin.to_string());
        root.put(&one.key, one.value.clone(), comment);
    }
    let mut text = String::from("version: \"0.1\"\n");
    root.write(&mut text, 0, false);
    text
}

fn is_shown(one: &Explained, changed: bool, in_memory: bool) -> bool {
    let written = one.origin.is_written();
    // A second storage driver would not be accepted, not even with its defaults.
    let other_driver = in_memory && one.key.starts_with("storage.filesystem.");
    let has_value = !one.value.is_null() && one.value != Json::String(String::new());
    let choice = written && matches!(&*one.key, "auth.none" | "storage.inmemory");
    // With `[]`: what an item would have, if there were one.
    one.key != "version"
        && !one.key.contains("[]")
        && !other_driver
        && (has_value || choice)
        && (written || !changed && one.note.is_none())
}

impl Branch {
    /// `health.file[0].file`: an index is a key of its own, `[0]`.
    fn put(&mut self, path: &str, value: Json, comment: Option<String>) {
        let path = path.replace('[', ".[");
        let end = path.split('.').fold(self, |branch, key| branch.child(key));
        end.value = Some((value, comment));
    }

    fn child(&mut self, key: &str) -> &mut Self {
        let at = self.keys.iter().position(|(known, _)| known == key);
        let at = at.unwrap_or_else(|| {
            self.keys.push((key.to_owned(), Self::default()));
            self.keys.len() - 1
        });
        &mut self.keys[at].1
    }

    /// `inline`: the first key stands behind the dash of a list.
    fn write(&self, text: &mut String, depth: usize, inline: bool) {
        for (number, (key, branch)) in self.keys.iter().enumerate() {
            if !(inline && number == 0) {
                text.push_str(&"  ".repeat(depth));
            }
            let item = key.starts_with('[');
            let name = if item { "-".to_owned() } else { format!("{key}:") };
            match &branch.value {
                Some((value, comment)) => {
                    let comment = comment
                        .as_ref()
                        .map_or_else(String::new, |from| format!("  # {from}"));
                    let _ = writeln!(text, "{name} {}{comment}", flow(value));
                }
                None if item => {
                    text.push_str("- ");
                    branch.write(text, depth + 1, true);
                }
                None => {
                    let _ = writeln!(text, "{name}");
                    branch.write(text, depth + 1, false);
                }
            }
        }
    }
}

/// A value on one line: JSON, which is YAML, but for words that need no quotes.
fn flow(value: &Json) -> String {
    match value {
        Json::Null => "{}".to_owned(),
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(pairs) => flow_map(pairs),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

fn flow_map(pairs: &Map<String, Json>) -> String {
    let pair = |(key, value): (&String, &Json)| format!("{}: {}", scalar(key), flow(value));
    format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
}

fn scalar(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/';
    let within = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let word = matches!(
        &*text.to_ascii_lowercase(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null"
    );
    if text.starts_with(begins) && text.chars().all(within) && !word {
        text.to_owned()
    } else {
        Json::from(text).to_string()
    }
}
