//! `Settings::load`: finds the file, lays environment and flags over it, checks everything, and says all that is wrong.
//!
//! Precedence: flag, `LANDFALL_*`, `REGISTRY_*`, file, default. Pure but for the file access that is handed in.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::assemble::assemble;
use crate::check::check;
use crate::environment::Environment;
use crate::finding::{Code, Finding, Problems, Report};
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::overlay::{Reach, place};
use crate::reader::Reader;
use crate::settings::Settings;
use crate::shape::SHORTHAND;
use crate::table;
use crate::text::SourceText;
use crate::yaml::{self, Text};

/// Reads a whole file.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;

/// Where values may come from.
pub struct Sources<'a> {
    /// `--config FILE` or `serve FILE`.
    pub file: Option<PathBuf>,
    /// The process environment, all of it.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line that stand for a setting.
    pub flags: Vec<Flag>,
    /// File access.
    pub read_file: &'a ReadFile<'a>,
}

/// One flag as given; a flag that was given twice stands twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// With its dashes: `--listen`.
    pub name: &'static str,
    /// As written.
    pub value: String,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was set.
    pub settings: Settings,
    /// What its author should know; log each.
    pub warnings: Vec<Finding>,
    /// Where each value came from.
    pub values: Values,
}

/// Every value with its origin, for `explain`. `Debug` leaves the values out: some are secrets.
#[derive(Clone)]
pub struct Values {
    pub(crate) root: Node,
    pub(crate) image: bool,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Whether somebody named that file; else it was found in one of the usual places.
    pub file_named: bool,
}

impl Values {
    /// Who set a key: `http.addr`. `Default` also for keys inside lists.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.root
            .at(key)
            .map_or(Origin::Default, |node| node.origin.clone())
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Used if they exist, in this order, when nobody names a file.
const FILES: [&str; 3] = [
    "/etc/landfall/landfall.yaml",
    "/etc/distribution/config.yml",
    "/etc/docker/registry/config.yml",
];

impl Settings {
    /// Builds the settings, or says everything that is wrong with them.
    pub fn load(sources: &Sources<'_>) -> Result<Loaded, Problems> {
        let mut report = Report::default();
        let environment = Environment::sort(&sources.environment, &mut report);
        let (mut root, file) = read_configuration(sources, &environment, &mut report);
        let file_named = named(sources, &environment).is_some();
        environment.apply_registry(&mut root, &mut report);
        environment.apply_landfall(&mut root, sources.read_file, &mut report);
        apply_flags(&sources.flags, &mut root, &mut report);
        expand_shorthands(&mut root);
        check(&root, &mut report);
        let image = environment
            .get("LANDFALL_IMAGE")
            .is_some_and(|value| matches!(value, "1" | "true"));
        let used = RefCell::new(BTreeSet::new());
        let settings = assemble(Reader::new(&root, image, &used), sources.read_file, &mut report);
        let (errors, warnings) = report.finish();
        if errors.is_empty() {
            Ok(Loaded {
                settings,
                warnings,
                values: Values {
                    root,
                    image,
                    file,
                    file_named,
                },
            })
        } else {
            Err(Problems { errors, warnings })
        }
    }
}

fn read_configuration(
    sources: &Sources<'_>,
    environment: &Environment,
    report: &mut Report,
) -> (Node, Option<PathBuf>) {
    let empty = || Node::empty_map(Origin::Default);
    let Some((path, bytes)) = find_file(sources, environment, report) else {
        return (empty(), None);
    };
    let source = Text::File(path.as_path().into());
    let begin = Origin::File {
        path: path.as_path().into(),
        line: 1,
        column: 1,
        width: 1,
    };
    let Ok(text) = String::from_utf8(bytes) else {
        report.push(Finding::error(
            Code::Syntax,
            &begin,
            "the configuration file is not UTF-8 text",
        ));
        return (empty(), Some(path));
    };
    report.show_lines_of(SourceText::new(&text));
    let (root, faults) = match yaml::parse(&text, &source) {
        Ok(parsed) => (parsed.root, parsed.faults),
        Err(fault) => (empty(), vec![fault]),
    };
    for fault in faults {
        report.push(Finding::error(fault.code, &fault.origin, fault.title).label(fault.label));
    }
    let root = if matches!(root.value, Value::Null) {
        empty()
    } else {
        root
    };
    (root, Some(path))
}

/// A file that somebody names must be there; those of the usual places may be missing.
fn find_file(
    sources: &Sources<'_>,
    environment: &Environment,
    report: &mut Report,
) -> Option<(PathBuf, Vec<u8>)> {
    if let Some((path, origin)) = named(sources, environment) {
        return match (sources.read_file)(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(error) => {
                report.push(unreadable(&path, &origin, &error));
                None
            }
        };
    }
    for path in FILES.map(PathBuf::from) {
        match (sources.read_file)(&path) {
            Ok(bytes) => return Some((path, bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => {
                report.push(unreadable(&path, &Origin::Default, &error));
                return None;
            }
        }
    }
    None
}

/// The file that somebody names, and where.
fn named(sources: &Sources<'_>, environment: &Environment) -> Option<(PathBuf, Origin)> {
    let variable = |name: &'static str| {
        environment
            .get(name)
            .map(|path| (PathBuf::from(path), Origin::Environment(name.into())))
    };
    let flag = || {
        sources
            .file
            .clone()
            .map(|path| (path, Origin::Flag("--config".into())))
    };
    flag()
        .or_else(|| variable("LANDFALL_CONFIG"))
        .or_else(|| variable("REGISTRY_CONFIGURATION_PATH"))
}

fn unreadable(path: &Path, origin: &Origin, error: &io::Error) -> Finding {
    let finding = Finding::error(
        Code::FileUnreadable,
        origin,
        format!("cannot read the configuration file {}", path.display()),
    );
    match error.kind() {
        io::ErrorKind::IsADirectory => finding
            .label("it is a directory")
            .advise("compose makes one when a bind-mounted file does not exist on the host: remove it, and make the file"),
        io::ErrorKind::NotFound => finding.label("it does not exist").advise("name one that exists, or none: the defaults then hold"),
        io::ErrorKind::PermissionDenied => finding.label("the server's user may not read it"),
        _ => finding.label(error.to_string()),
    }
}

fn apply_flags(flags: &[Flag], root: &mut Node, report: &mut Report) {
    let mut done = BTreeSet::new();
    for flag in flags {
        let origin = Origin::Flag(flag.name.into());
        let Some(row) = table::by_flag(flag.name) else {
            report.push(Finding::error(
                Code::FlagUnknown,
                &origin,
                format!("{} stands for no setting", flag.name),
            ));
            continue;
        };
        let values = flags
            .iter()
            .filter(|other| other.name == flag.name)
            .map(|flag| Node::scalar(&*flag.value, origin.clone()));
        let value = if row.kind.is_list() {
            Node::new(Value::List(values.collect()), origin.clone())
        } else {
            Node::scalar(&*flag.value, origin.clone())
        };
        let parts: Vec<&str> = row.path.split('.').collect();
        if done.insert(flag.name) && place(root, &parts, value, Reach::All).is_err() {
            unreachable!("the path of a row leads to its row");
        }
    }
}

fn expand_shorthands(root: &mut Node) {
    if let Value::Map(entries) = &mut root.value {
        for entry in entries
            .iter_mut()
            .filter(|entry| SHORTHAND.contains(&entry.key.as_str()))
        {
            entry.node.expand_shorthand();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Treatment;

    #[test]
    fn every_row_that_is_honoured_is_read() {
        let text = "health: {file: [{file: /x}]}\nvalidation: {manifests: {indexes: {platformlist: [{os: a, architecture: b}]}}}\n\
                    retention: {rules: [{name: a}]}\nquotas: [{match: a}]\nimmutable_tags: [{match: a}]";
        let root = yaml::parse(text, &Text::Environment("test".into())).unwrap().root;
        let used = RefCell::new(BTreeSet::new());
        let no_files = |_: &Path| Err(io::ErrorKind::NotFound.into());
        assemble(
            Reader::new(&root, false, &used),
            &no_files,
            &mut Report::default(),
        );
        let honoured: BTreeSet<_> = table::rows()
            .filter(|row| row.treatment == Treatment::Honour)
            .map(|row| row.path)
            .collect();
        assert_eq!(used.into_inner(), honoured);
    }
}
