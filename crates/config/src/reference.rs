//! The settings reference, written from the table.

use std::fmt::Write as _;

use crate::explain::variables;
use crate::table::{self, Row, Treatment};

/// Markdown for the documentation page: one table per section of the file.
#[must_use]
pub fn settings_reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut sections: Vec<&str> = Vec::new();
    for row in table::rows() {
        let section = section(row);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    for section_name in sections {
        let _ = write!(
            page,
            "\n## `{section_name}`\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        );
        for row in table::rows().filter(|row| section(row) == section_name) {
            write_row(&mut page, row);
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Settings

<!-- Written from the table in crates/config/src/table; change it there. -->

Nothing needs to be set. A value is taken from, strongest first: a flag, a `LANDFALL_*` variable, a `REGISTRY_*` variable,
the configuration file, the default. `landfall config explain` shows every value and who set it; `landfall config check`
says all that is wrong with a configuration at once.

The file is the one that `--config FILE` or `serve FILE` names, else `LANDFALL_CONFIG`, else `REGISTRY_CONFIGURATION_PATH`, else the
first of `/etc/landfall/landfall.yaml`, `/etc/distribution/config.yml` and `/etc/docker/registry/config.yml` that exists.
A configuration of the CNCF registry works as it is; what Landfall does not have is refused at start with a sentence that says what to do.

Durations are written `30s`, `1h30m`, `7d`; sizes `16KiB`, `4MiB`, `20GB`. `N` in the name of a variable is an index from 0.
`REGISTRY_*` values are read as YAML. `LANDFALL_*` values stand as they are; only lists and sections are YAML.
A key marked ✓ is honoured, – is accepted without effect, ✗ stops the start.
";

fn section(row: &Row) -> &'static str {
    row.path
        .split('.')
        .next()
        .unwrap_or(row.path)
        .trim_end_matches("[]")
}

fn write_row(page: &mut String, row: &Row) {
    let mark = match row.treatment {
        Treatment::Honour => "✓",
        Treatment::Warn(..) => "–",
        Treatment::Refuse(..) => "✗",
    };
    let default = match (row.default, row.image_default) {
        ("", _) => "–".to_owned(),
        (default, None) => format!("`{default}`"),
        (default, Some(image)) => format!("`{default}`; in the container image `{image}`"),
    };
    let mut meaning = row.help.to_owned();
    if let Treatment::Warn(_, why) | Treatment::Refuse(_, why) = row.treatment {
        let _ = write!(meaning, ". *{why}*");
    }
    if let Some(old) = row.old_path {
        let _ = write!(meaning, ". Older name: `{old}`");
    }
    let names = row.flag.map(str::to_owned).into_iter().chain(variables(row));
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let _ = writeln!(
        page,
        "| {mark} `{}` | {} | {default} | {}<br>{} |",
        row.path,
        row.kind.name(),
        meaning.replace('|', "\\|"),
        names.join(" ")
    );
}
