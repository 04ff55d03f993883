//! `landfall config`: check, explain, print, init, reference.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use config::{Explained, Finding, Loaded};
use oci::counted;
use serde::Serialize;

use crate::cli::{CheckArguments, ExplainArguments, InitArguments, PrintArguments, ServeArguments};
use crate::failure::Failure;
use crate::output;
use crate::url_login::hidden_in;
use crate::wiring::load;

/// What `config init` writes.
const STARTER: &str = include_str!("starter.yaml");

#[derive(Serialize)]
struct Checked<'a> {
    schema: &'static str,
    ok: bool,
    errors: &'a [Finding],
    warnings: &'a [Finding],
    /// What keeps a server from starting, though the configuration is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize)]
struct Explanation<'a> {
    schema: &'static str,
    settings: &'a [Explained],
}

#[derive(Serialize)]
struct Starter<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// Says everything that is wrong, without starting. Exit 3 where the start would be refused.
pub(crate) fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let outcome = load(&arguments.serve);
    let in_the_way = outcome.as_ref().ok().and_then(|loaded| {
        let root = super::backup::work::root_of(&loaded.settings)?;
        store::unfinished_revival(&root).err()
    });
    let (errors, warnings): (&[Finding], &[Finding]) = match &outcome {
        Ok(loaded) => (&[], &loaded.warnings),
        Err(problems) => (&problems.errors, &problems.warnings),
    };
    if arguments.json {
        output::json(&Checked {
            schema: "landfall.config.check/1",
            ok: errors.is_empty(),
            errors,
            warnings,
            refused: in_the_way.as_ref().map(ToString::to_string),
        });
    } else {
        for warning in warnings {
            output::line(warning);
        }
    }
    match &outcome {
        Err(problems) if arguments.json => {
            Err(Failure::configuration(counted(problems.errors.len(), "error")))
        }
        Err(problems) => Err(Failure::configuration(
            problems
                .errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n\n"),
        )),
        Ok(_) if in_the_way.is_some() => Err(Failure::held(
            "LF-STO-006",
            in_the_way.as_ref().map(ToString::to_string).unwrap_or_default(),
        )),
        Ok(_) if arguments.json => Ok(()),
        Ok(loaded) => {
            let file = loaded
                .values
                .file
                .as_ref()
                .map_or("no file".to_owned(), |file| file.display().to_string());
            output::line(format_args!(
                "ok: the configuration can be used ({file}, environment, flags; {})",
                counted(warnings.len(), "warning")
            ));
            Ok(())
        }
    }
}

/// Shows values, origins, defaults and meanings; works with a broken configuration too, then without values.
pub(crate) fn explain(arguments: &ExplainArguments) -> Result<(), Failure> {
    let serve = ServeArguments {
        config: arguments.config.clone(),
        ..ServeArguments::default()
    };
    let loaded = load(&serve);
    if let Err(problems) = &loaded {
        eprintln!("{}", hidden_in(&problems.render()));
        eprintln!("the configuration cannot be used, so defaults are shown instead of values");
    }
    let values = loaded.as_ref().ok().map(|Loaded { values, .. }| values);
    let explained = config::explain(values, arguments.key.as_deref()).map_err(Failure::not_found)?;
    if arguments.json {
        output::json(&Explanation {
            schema: "landfall.config.explain/1",
            settings: &explained,
        });
    } else {
        output::whole(&config::render_explained(&explained));
    }
    if loaded.is_ok() {
        Ok(())
    } else {
        Err(Failure::configuration("the configuration cannot be used".into()))
    }
}

/// The page of all settings, made from the one table that also parses them.
pub(crate) fn reference() {
    output::whole(&config::settings_reference());
}

/// The configuration in force, as a file or as facts.
pub(crate) fn print(arguments: &PrintArguments) -> Result<(), Failure> {
    let loaded = settings(&arguments.serve)?;
    if arguments.json {
        let mut explained = config::explain(Some(&loaded.values), None).map_err(Failure::not_found)?;
        explained.retain(|one| one.origin.is_written() || !arguments.changed);
        output::json(&Explanation {
            schema: "landfall.config.print/1",
            settings: &explained,
        });
    } else {
        output::whole(&config::effective(&loaded.values, arguments.changed));
    }
    Ok(())
}

/// A file to start from; one that exists is never overwritten.
pub(crate) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let Some(path) = &arguments.file else {
        if arguments.json {
            output::json(&Starter {
                schema: "landfall.config.init/1",
                file: None,
                text: Some(STARTER),
            });
        } else {
            output::whole(STARTER);
        }
        return Ok(());
    };
    let written = File::create_new(path).and_then(|mut file| file.write_all(STARTER.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::held(
            "LF-CLI-003",
            format!(
                "{} exists already\n  fix   choose another name, or remove it first",
                path.display()
            ),
        ),
        ErrorKind::StorageFull => {
            Failure::no_room("LF-STO-005", format!("{}: the disk is full", path.display()))
        }
        _ => Failure::failed(
            "LF-CLI-002",
            format!("{} cannot be written: {error}", path.display()),
        ),
    })?;
    if arguments.json {
        output::json(&Starter {
            schema: "landfall.config.init/1",
            file: Some(path),
            text: None,
        });
    } else {
        output::line(format_args!(
            "wrote {0}\n  next  landfall config check {0}",
            path.display()
        ));
    }
    Ok(())
}

/// The settings, or all that is wrong with them as one text.
pub(crate) fn settings(arguments: &ServeArguments) -> Result<Loaded, Failure> {
    load(arguments).map_err(|problems| Failure::configuration(problems.render()))
}
