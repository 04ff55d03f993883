//! `landfall doctor`: looks at everything that a server here needs, and says what is wrong and what to do about it.
//!
//! Shape: checks, each `✓`, `–` (nothing to say against it) or `✗` with its fix. Nothing is changed, but for the push
//! test, which is asked for. Exit code 7 where something is wrong.

mod certificate;
mod local;
mod outside;
mod push_test;

use clap::Args;
use serde::Serialize;

use crate::cli::Configured;
use crate::client::Server;
use crate::failure::Failure;
use crate::{output, wiring};

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall doctor registry.example.com      this machine, the data folder, the name
  landfall doctor --push-test --username busy --password-stdin < secret")]
pub(crate) struct DoctorArguments {
    /// Name under which clients reach this server
    #[arg(value_name = "DOMAIN")]
    domain: Option<String>,
    /// Where the server is, as clients see it, if not at the configured address
    #[arg(long, value_name = "URL")]
    url: Option<Server>,
    /// Push a small image into a repository of its own, pull it, delete it
    #[arg(long)]
    push_test: bool,
    /// User for the push test
    #[arg(
        long,
        value_name = "NAME",
        requires = "push_test",
        requires = "password_stdin"
    )]
    username: Option<String>,
    /// Read that user's password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Neither good nor bad: nothing to look at, or not to be told from here.
    Note,
    Problem,
}

/// What one look found.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Good,
            found: found.into(),
            fix: None,
        }
    }

    fn note(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            state: State::Note,
            ..Self::good(name, found)
        }
    }

    fn problem(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: State::Problem,
            fix: Some(fix.into()),
            ..Self::good(name, found)
        }
    }

    /// A text in our error style, whose `fix` stands on a line of its own.
    fn refused(name: &'static str, text: &str) -> Self {
        let mut lines = text.lines();
        let found = lines.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = lines.map(str::trim).collect();
        let fix = rest.iter().position(|line| line.starts_with("fix ")).map(|at| {
            let lines = rest[at..]
                .iter()
                .map(|line| line.strip_prefix("fix ").unwrap_or(line).trim());
            lines.collect::<Vec<_>>().join(" ")
        });
        Self {
            state: State::Problem,
            fix,
            ..Self::good(name, found)
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    ok: bool,
    checks: &'a [Check],
}

/// Looks at everything.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<(), Failure> {
    let password = if arguments.password_stdin {
        Some(super::password::password_from_stdin()?)
    } else {
        None
    };
    let login = arguments.username.as_deref().zip(password.as_deref());
    let mut checks = vec![local::clock()];
    match wiring::load(&arguments.configured.serve()) {
        Err(problems) => {
            checks.extend(problems.errors.iter().map(|error| {
                Check::problem(
                    "configuration",
                    error.one_line(),
                    "landfall config check shows the place",
                )
            }));
            if let Some(url) = &arguments.url {
                checks.extend(outside::view(url));
            }
        }
        Ok(loaded) => {
            let file = loaded.values.file.as_ref();
            let file = file.map_or_else(
                || "defaults and environment".to_owned(),
                |file| file.display().to_string(),
            );
            checks.push(Check::good("configuration", file));
            checks.extend(
                loaded
                    .warnings
                    .iter()
                    .map(|warning| Check::note("configuration", warning.one_line())),
            );
            let held = local::data(&loaded.settings.storage, &mut checks);
            checks.extend(local::logins(&loaded.settings));
            checks.extend(certificate::look(&loaded.settings));
            let mut server = arguments
                .url
                .clone()
                .unwrap_or_else(|| Server::of(&loaded.settings));
            let mut seen = outside::view(&server);
            if let (Err(_), None, Ok(named)) = (&seen, &arguments.url, outside::view(&Server::with_a_name()))
            {
                server = Server::with_a_name();
                seen = Ok(named);
            }
            checks.push(outside::address(&loaded.settings.http.listen, held, seen.is_ok()));
            match seen {
                Ok(seen) => {
                    checks.push(seen);
                    if arguments.push_test {
                        checks.push(push_test::run(&server, login));
                    }
                }
                Err(unseen) => {
                    let asked = held || arguments.push_test || arguments.url.is_some();
                    checks.push(if asked {
                        unseen
                    } else {
                        Check::note("client's view", "no server runs here")
                    });
                }
            }
        }
    }
    if let Some(domain) = &arguments.domain {
        checks.push(outside::name(domain));
    }
    let problems = checks
        .iter()
        .filter(|check| check.state == State::Problem)
        .count();
    if arguments.json {
        output::json(&Report {
            schema: "landfall.doctor/1",
            ok: problems == 0,
            checks: &checks,
        });
    } else {
        show(&checks);
    }
    match problems {
        0 => Ok(()),
        1 => Err(Failure::problems("1 problem")),
        more => Err(Failure::problems(format!("{more} problems"))),
    }
}

fn show(checks: &[Check]) {
    let colour = output::is_coloured();
    for check in checks {
        let (mark, code) = match check.state {
            State::Good => ("✓", 32),
            State::Note => ("–", 90),
            State::Problem => ("✗", 31),
        };
        let mark = if colour {
            format!("\x1b[{code}m{mark}\x1b[0m")
        } else {
            mark.to_owned()
        };
        output::line(format_args!("  {mark} {:<15} {}", check.name, check.found));
        if let Some(fix) = &check.fix {
            output::line(format_args!("    {:<15} fix   {fix}", ""));
        }
    }
}
