//! `config explain`: what a setting is, what it is set to, and who set it.
//!
//! Works with and without loaded values, so that a broken configuration can be explained too. Secrets are shown as `***`.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::kind::Kind;
use crate::load::Values;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::reader::default_node;
use crate::reload::is_reloaded;
use crate::suggest;
use crate::table::{self, Row, Treatment};
use crate::value::Read as _;

/// One setting, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// `http.addr`; with an index inside a list.
    pub key: String,
    /// The value in force; `null` if there is none.
    pub value: Json,
    /// Who set it.
    pub origin: Origin,
    /// What holds if nobody sets it; empty for nothing.
    pub default: String,
    /// What it may be.
    pub r#type: String,
    /// What it does.
    pub help: &'static str,
    /// Environment variables that set it, strongest first.
    pub variables: Vec<String>,
    /// The flag that sets it.
    pub flag: Option<&'static str>,
    /// Whether SIGHUP is enough after a change; else the server must be started again.
    pub reloads: bool,
    /// Why it has no effect, if it has none.
    pub note: Option<&'static str>,
}

/// A key that no setting has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error[LF-CFG-012]: unknown key `{key}`{}", suggestion.as_ref().map_or("\n  = `landfall config explain` lists every setting".into(), |near| format!("\n  = did you mean `{near}`?")))]
pub struct UnknownKey {
    /// As asked.
    pub key: String,
    /// The nearest known one.
    pub suggestion: Option<String>,
}

/// One setting, a section (`http`), or with `None` every one. Without `values`, the defaults are shown.
pub fn explain(values: Option<&Values>, key: Option<&str>) -> Result<Vec<Explained>, UnknownKey> {
    let wanted = |row: &&Row| key.is_none_or(|key| row.old_path == Some(key) || is_within(row.path, key));
    let explained: Vec<_> = table::rows()
        .filter(wanted)
        .flat_map(|row| instances(row, values))
        .collect();
    match key {
        Some(key) if explained.is_empty() => {
            let near = suggest::nearest(key, table::rows().map(|row| row.path));
            Err(UnknownKey {
                key: key.to_owned(),
                suggestion: near.map(Into::into),
            })
        }
        _ => Ok(explained),
    }
}

fn is_within(path: &str, key: &str) -> bool {
    let key = key.trim_end_matches('.');
    let below = |path: &str| {
        path.strip_prefix(key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    below(path) || below(&path.replace("[]", ""))
}

/// A row inside a list is explained once for each item that is written.
fn instances(row: &'static Row, values: Option<&Values>) -> Vec<Explained> {
    let Some(values) = values else {
        return vec![explained(row, row.path.to_owned(), None, false)];
    };
    let Some((list, field)) = row.path.split_once("[].") else {
        let written = |path| values.root.at(path).filter(|node| !node.is_blank());
        let node = written(row.path)
            .or_else(|| written(row.old_path?))
            .or_else(|| values.root.at(row.path));
        return vec![explained(row, row.path.to_owned(), node, values.image)];
    };
    let items = values.root.at(list).map_or(&[][..], Node::items);
    if items.is_empty() {
        return vec![explained(row, row.path.to_owned(), None, values.image)];
    }
    let each = |(index, item): (usize, &Node)| {
        explained(
            row,
            format!("{list}[{index}].{field}"),
            item.get(field),
            values.image,
        )
    };
    items.iter().enumerate().map(each).collect()
}

fn explained(row: &'static Row, key: String, node: Option<&Node>, image: bool) -> Explained {
    let default = row.default_in(image);
    let shown = match node {
        Some(node) if row.is_secret() && !node.is_blank() => json!("***"),
        Some(node) => typed(row.kind, to_json(node)),
        None if default.is_empty() => Json::Null,
        None => typed(row.kind, to_json(&default_node(row, default))),
    };
    Explained {
        key,
        value: shown,
        origin: node.map_or(Origin::Default, |node| node.origin.clone()),
        default: default.to_owned(),
        r#type: row.kind.name(),
        help: row.help,
        variables: variables(row),
        flag: row.flag,
        reloads: is_reloaded(row.path),
        note: match row.treatment {
            Treatment::Honour => None,
            Treatment::Warn(_, why) | Treatment::Refuse(_, why) => Some(why),
        },
    }
}

/// Truth values and numbers as JSON knows them; the rest as people write it.
fn typed(kind: Kind, value: Json) -> Json {
    let Json::String(text) = &value else { return value };
    let node = Node::scalar(&**text, Origin::Default);
    match kind {
        Kind::Bool => bool::read(&node).ok().flatten().map_or(value, Json::from),
        Kind::Integer(_) => i64::read(&node).ok().flatten().map_or(value, Json::from),
        _ => value,
    }
}

/// The tree as written, with secrets masked wherever they stand.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(text) => json!(text),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let pair = |entry: &crate::node::Entry| {
                let masked = table::is_secret_word(&entry.key) && !entry.node.is_blank();
                (
                    entry.key.clone(),
                    if masked {
                        json!("***")
                    } else {
                        to_json(&entry.node)
                    },
                )
            };
            Json::Object(entries.iter().map(pair).collect())
        }
    }
}

/// `LANDFALL_HTTP__ADDR`, `REGISTRY_HTTP_ADDR`; `N` stands for an index.
pub(crate) fn variables(row: &Row) -> Vec<String> {
    let spell = |path: &str, joint: &str| path.replace("[]", ".N").replace('.', joint).to_uppercase();
    let mut names = vec![format!("LANDFALL_{}", spell(row.path, "__"))];
    if row.is_secret() {
        names.push(format!("LANDFALL_{}_FILE", spell(row.path, "__")));
    }
    if !row.ours {
        names.push(format!("REGISTRY_{}", spell(row.path, "_")));
        names.extend(row.go_path.map(|path| format!("REGISTRY_{}", spell(path, "_"))));
        names.extend(row.old_path.map(|path| format!("REGISTRY_{}", spell(path, "_"))));
    }
    names
}

/// Text for people: one setting in full, several as a table of values and origins.
#[must_use]
pub fn render_explained(settings: &[Explained]) -> String {
    match settings {
        [one] => in_full(one),
        many => as_table(many),
    }
}

fn in_full(one: &Explained) -> String {
    let mut text = format!("{} = {}\n", one.key, value_text(&one.value));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<9} {value}");
        }
    };
    line("from", &one.origin.to_string());
    line("meaning", one.help);
    line("note", one.note.unwrap_or_default());
    line("type", &one.r#type);
    line(
        "default",
        if one.default.is_empty() {
            "none"
        } else {
            &one.default
        },
    );
    line("flag", one.flag.unwrap_or_default());
    if one.note.is_none() {
        let after = if one.reloads {
            "with SIGHUP"
        } else {
            "with a restart"
        };
        line("changes", after);
    }
    line("variable", &one.variables.join("\n            "));
    text
}

fn as_table(settings: &[Explained]) -> String {
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let keys = width(&mut settings.iter().map(|one| one.key.chars().count()));
    let values = width(&mut settings.iter().map(|one| value_text(&one.value).chars().count())).min(40);
    let mut text = String::new();
    for one in settings {
        let _ = writeln!(
            text,
            "{:<keys$}  {:<values$}  ← {}",
            one.key,
            value_text(&one.value),
            one.origin
        );
    }
    text
}

fn value_text(value: &Json) -> String {
    match value {
        Json::Null => "–".into(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
