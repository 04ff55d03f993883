//! `landfall config check` and `landfall config explain`.

use config::{Explained, Finding, Loaded, Settings};
use serde::Serialize;

use crate::cli::{CheckArguments, ExplainArguments, ServeArguments};
use crate::failure::Failure;
use crate::wiring::load;

#[derive(Serialize)]
struct Checked<'a> {
    schema: &'static str,
    ok: bool,
    errors: &'a [Finding],
    warnings: &'a [Finding],
}

#[derive(Serialize)]
struct Explanation<'a> {
    schema: &'static str,
    settings: &'a [Explained],
}

/// Says everything that is wrong, without starting. Exit 3 where the start would be refused.
pub(crate) fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let outcome = load(&arguments.serve);
    let (errors, warnings): (&[Finding], &[Finding]) = match &outcome {
        Ok(loaded) => (&[], &loaded.warnings),
        Err(problems) => (&problems.errors, &problems.warnings),
    };
    if arguments.json {
        print_json(&Checked {
            schema: "landfall.config.check/1",
            ok: errors.is_empty(),
            errors,
            warnings,
        });
    } else {
        for warning in warnings {
            println!("{warning}");
        }
    }
    match &outcome {
        Err(problems) if arguments.json => Err(Failure::configuration(format!(
            "{} errors",
            problems.errors.len()
        ))),
        Err(problems) => Err(Failure::configuration(
            problems
                .errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n\n"),
        )),
        Ok(_) if arguments.json => Ok(()),
        Ok(loaded) => {
            let file = loaded
                .values
                .file
                .as_ref()
                .map_or("no file".to_owned(), |file| file.display().to_string());
            println!(
                "ok: the configuration can be used ({file}, environment, flags; {} warnings)",
                warnings.len()
            );
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
        eprintln!("{}", problems.render());
        eprintln!("the configuration cannot be used, so defaults are shown instead of values");
    }
    let values = loaded.as_ref().ok().map(|Loaded { values, .. }| values);
    let explained = config::explain(values, arguments.key.as_deref()).map_err(Failure::not_found)?;
    if arguments.json {
        print_json(&Explanation {
            schema: "landfall.config.explain/1",
            settings: &explained,
        });
    } else {
        print!("{}", config::render_explained(&explained));
    }
    if loaded.is_ok() {
        Ok(())
    } else {
        Err(Failure::configuration("the configuration cannot be used".into()))
    }
}

/// The page of all settings, made from the one table that also parses them.
pub(crate) fn reference() {
    print!("{}", config::settings_reference());
}

fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: {error}"),
    }
}

/// The settings, or all that is wrong with them as one text.
pub(crate) fn settings(arguments: &ServeArguments) -> Result<(Settings, Vec<Finding>), Failure> {
    match load(arguments) {
        Ok(loaded) => Ok((loaded.settings, loaded.warnings)),
        Err(problems) => Err(Failure::configuration(problems.render())),
    }
}
