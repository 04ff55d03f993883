//! `REGISTRY_*` and `LANDFALL_*` variables -> values laid over the tree.
//!
//! `REGISTRY_` follows the CNCF registry: path joined by `_`, value read as YAML, variables in byte order of their names
//! (list indices in numeric order), unknown ones ignored with a warning. `LANDFALL_` joins levels by `__`, takes single values
//! as they stand, knows `_FILE` for secrets, and refuses what it does not know.
//! What Kubernetes injects for services named `registry` or `landfall` is passed over.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use crate::finding::{Code, Finding, Report};
use crate::load::ReadFile;
use crate::node::Node;
use crate::origin::Origin;
use crate::overlay::{Reach, Refused, place};
use crate::shape::Shape;
use crate::suggest;
use crate::table;
use crate::yaml::{self, Text};

/// The variables that concern the registry, as text.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    registry: Vec<Variable>,
    landfall: Vec<Variable>,
    /// A variable for OpenTelemetry that asks for something.
    telemetry: Option<String>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    value: String,
}

/// Not settings: read by the program before there are any.
const LANDFALL_OTHER: [&str; 5] = ["CONFIG", "SERVER", "LANG", "IMAGE", "PASSWORD_FILE"];

impl Environment {
    pub(crate) fn sort(variables: &[(OsString, OsString)], report: &mut Report) -> Self {
        let mut found = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let list = match name.split_once('_').map(|(first, _)| first) {
                Some("REGISTRY") => &mut found.registry,
                Some("LANDFALL") => &mut found.landfall,
                Some("OTEL") => {
                    if value != "none" && !value.is_empty() && name != "OTEL_SDK_DISABLED" {
                        found.telemetry.get_or_insert_with(|| name.to_owned());
                    }
                    continue;
                }
                _ => continue,
            };
            match value.to_str() {
                Some(value) => list.push(Variable {
                    name: name.to_owned(),
                    value: value.to_owned(),
                }),
                None => report.push(
                    Finding::error(
                        Code::VariableUnreadable,
                        &origin(name),
                        format!("{name} is not UTF-8 text"),
                    )
                    .label("every setting is text; write it again"),
                ),
            }
        }
        found
            .registry
            .sort_by_cached_key(|variable| order(&variable.name));
        found
            .landfall
            .sort_by_cached_key(|variable| order(&variable.name));
        found
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let known = self
            .landfall
            .iter()
            .chain(&self.registry)
            .find(|variable| variable.name == name);
        known
            .map(|variable| variable.value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn apply_registry(&self, root: &mut Node, report: &mut Report) {
        let mut setters = Setters::default();
        for Variable { name, value } in &self.registry {
            let path = &name["REGISTRY_".len()..];
            if path == "CONFIGURATION_PATH" || path.starts_with("PORT") || path.starts_with("SERVICE_") {
                continue;
            }
            let parts: Vec<&str> = path.split('_').collect();
            let node = read_yaml(name, value);
            // An unknown name is passed over, whatever it holds; a known one must be readable.
            let (node, unreadable) =
                node.map_or_else(|finding| (null(name), Some(finding)), |node| (node, None));
            match (place(root, &parts, node, Reach::Cncf), unreadable) {
                (Err(Refused::Unknown), _) => report.push(
                    Finding::warning(
                        Code::RegistryVariableUnknown,
                        &origin(name),
                        format!("{name} names no setting"),
                    )
                    .label("ignored, as the CNCF registry does"),
                ),
                (_, Some(finding)) => report.push(*finding),
                (Ok(path), None) => setters.note(path, name, value, report),
                (Err(Refused::Gap { index, length }), None) => report.push(gap(name, index, length)),
            }
        }
        if let Some(name) = &self.telemetry {
            report.push(
                Finding::warning(Code::NoEffect, &origin(name), "`OTEL_*` has no effect")
                    .label("Landfall sends no traces yet"),
            );
        }
    }

    pub(crate) fn apply_landfall(&self, root: &mut Node, read_file: &ReadFile<'_>, report: &mut Report) {
        let mut setters = Setters::default();
        for Variable { name, value } in &self.landfall {
            let path = &name["LANDFALL_".len()..];
            if LANDFALL_OTHER.contains(&path) || path.starts_with("PORT") || path.starts_with("SERVICE_") {
                continue;
            }
            let node = secret_file(path).map_or_else(
                || Ok((path, read_value(path, name, value))),
                |path| read_secret(name, value, read_file).map(|secret| (path, Ok(secret))),
            );
            let (path, node) = match node {
                Ok((path, Ok(node))) => (path, node),
                Ok((_, Err(finding))) | Err(finding) => {
                    report.push(*finding);
                    continue;
                }
            };
            let parts: Vec<&str> = path.split("__").collect();
            match place(root, &parts, node, Reach::All) {
                Ok(path) => setters.note(path, name, value, report),
                Err(Refused::Unknown) => report.push(unknown_landfall(name, path)),
                Err(Refused::Gap { index, length }) => report.push(gap(name, index, length)),
            }
        }
    }
}

/// Byte order, but `_2_` before `_10_`.
fn order(name: &str) -> String {
    let numbered = |part: &str| {
        let index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if index {
            format!("{part:0>20}")
        } else {
            part.to_owned()
        }
    };
    name.split('_').map(numbered).collect::<Vec<_>>().join("_")
}

fn origin(name: &str) -> Origin {
    Origin::Environment(name.into())
}

fn null(name: &str) -> Node {
    Node::new(crate::node::Value::Null, origin(name))
}

fn read_yaml(name: &str, value: &str) -> Result<Node, Box<Finding>> {
    let unreadable = |reason: &str| {
        Box::new(
            Finding::error(Code::VariableUnreadable, &origin(name), format!("the value of {name} is not valid YAML"))
                .label(reason)
                .advise("values are read as YAML: put quotes around text with special characters, such as '\"[::]:5000\"'"),
        )
    };
    let parsed =
        yaml::parse(value, &Text::Environment(name.into())).map_err(|fault| unreadable(&fault.label))?;
    match parsed.faults.first() {
        Some(fault) => Err(unreadable(&fault.title)),
        None => Ok(parsed.root),
    }
}

/// Single values are taken as they stand; lists and sections are YAML.
fn read_value(path: &str, name: &str, value: &str) -> Result<Node, Box<Finding>> {
    let row = shape_of(path).and_then(|shape| shape.row);
    match row {
        Some(row) if row.kind.is_scalar() => Ok(Node::scalar(value, origin(name))),
        _ => read_yaml(name, value),
    }
}

fn shape_of(path: &str) -> Option<&'static Shape> {
    path.split("__")
        .try_fold(Shape::root(), |shape, part| match &shape.item {
            Some(item) if part.bytes().all(|b| b.is_ascii_digit()) => Some(item.as_ref()),
            _ => shape.key_named(part).map(|(_, below)| below),
        })
}

/// `HTTP__SECRET_FILE` -> `HTTP__SECRET`, if that is a secret.
fn secret_file(path: &str) -> Option<&str> {
    let path = path.strip_suffix("_FILE")?;
    shape_of(path)?.row.filter(|row| row.is_secret()).map(|_| path)
}

fn read_secret(name: &str, file: &str, read_file: &ReadFile<'_>) -> Result<Node, Box<Finding>> {
    let unreadable = |reason: String| {
        let title = format!("the file that {name} names cannot be read");
        Box::new(
            Finding::error(Code::FileUnreadable, &origin(name), title).label(format!("{file}: {reason}")),
        )
    };
    let bytes = read_file(Path::new(file)).map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".into()))?;
    Ok(Node::scalar(text.trim_end_matches(['\r', '\n']), origin(name)))
}

fn gap(name: &str, index: usize, length: usize) -> Finding {
    Finding::error(
        Code::ListGap,
        &origin(name),
        format!("{name} leaves a gap in its list"),
    )
    .label(format!(
        "index {index}, but the list has {length}: the next index is {length}"
    ))
}

fn unknown_landfall(name: &str, path: &str) -> Finding {
    let finding = Finding::error(
        Code::LandfallVariableUnknown,
        &origin(name),
        format!("{name} names no setting"),
    );
    let known: Vec<String> = table::rows()
        .filter(|row| !row.path.contains("[]"))
        .map(|row| row.path.replace('.', "__"))
        .collect();
    let spelled = path.to_ascii_lowercase();
    let same_but_for_joints = known
        .iter()
        .find(|known| known.replace("__", "_") == spelled.replace("__", "_"));
    let near = same_but_for_joints
        .map(String::as_str)
        .or_else(|| suggest::nearest(&spelled, known.iter().map(String::as_str)));
    match near {
        Some(near) => finding.label(format!("did you mean LANDFALL_{}?", near.to_ascii_uppercase())),
        None => finding.label("levels are joined by `__`; `landfall config explain` lists every setting"),
    }
}

/// Who set which key, to notice two variables that disagree.
#[derive(Default)]
struct Setters<'a>(HashMap<String, (&'a str, &'a str)>);

impl<'a> Setters<'a> {
    fn note(&mut self, path: String, name: &'a str, value: &'a str, report: &mut Report) {
        match self.0.get(&path) {
            Some((first, first_value)) if *first_value != value => report.push(
                Finding::error(
                    Code::VariablesDisagree,
                    &origin(name),
                    format!("two variables set `{path}`"),
                )
                .label(format!("the other is {first}; keep one of them")),
            ),
            _ => {
                self.0.insert(path, (name, value));
            }
        }
    }
}
