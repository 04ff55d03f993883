//! `landfall doctor`: looks at everything that a server here needs, and says what is wrong and what to do about it.
//!
//! Shape: checks, each `✓`, `–` (nothing to say against it) or `✗` with its fix. Nothing is changed, but for the push
//! test, which is asked for. Exit code 7 where something is wrong.

mod outside;
mod push_test;

use clap::Args;
use config::{Loaded, Settings};
use serde::Serialize;
use server::api::{Mode, ScrubStatus};

use crate::admin::Api;
use crate::checks::{Check, State, certificate, clock, local, names};
use crate::cli::Configured;
use crate::client::Server;
use crate::failure::Failure;
use crate::{https, output, wiring};

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
    let mut checks = Vec::new();
    match wiring::load(&arguments.configured.serve()) {
        Err(problems) => {
            checks.push(clock::clock(https::now(), None));
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
        Ok(loaded) => server(arguments, loaded, login, &mut checks),
    }
    if let Some(domain) = &arguments.domain {
        let asked = domain.parse().map_err(|error| https::refuse(&error))?;
        checks.push(names::name(&asked));
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

/// All that a configuration that can be read leads to.
fn server(
    arguments: &DoctorArguments,
    mut loaded: Loaded,
    login: Option<(&str, &str)>,
    checks: &mut Vec<Check>,
) {
    let mut server = arguments
        .url
        .clone()
        .unwrap_or_else(|| Server::of(&loaded.settings));
    let mut seen = outside::view(&server);
    if seen.is_err() && arguments.url.is_none() && loaded.settings.tls.is_none() {
        // The names of `serve NAME…` stand on its command line, and in what it left in the data folder.
        if let Ok(named) = https::with_names_in_use(arguments.configured.serve(), wiring::load) {
            loaded = named;
        }
        if let Ok(named) = outside::view(&Server::with_a_name()) {
            server = Server::with_a_name();
            seen = Ok(named);
        }
    }
    let settings = &loaded.settings;
    checks.push(clock_of(settings));
    let file = loaded.values.file.as_ref();
    let file = file.map_or_else(
        || "defaults and environment".to_owned(),
        |file| file.display().to_string(),
    );
    checks.push(Check::good("configuration", file));
    let warnings = loaded.warnings.iter();
    checks.extend(warnings.map(|warning| Check::note("configuration", warning.one_line())));
    let held = local::data(&settings.storage, checks);
    checks.extend(mode(settings, held));
    if held {
        checks.extend(stored(settings));
    }
    checks.extend(local::logins(settings));
    if let Some(data) = https::data_folder(settings) {
        checks.extend(certificate::look(settings, &data));
    }
    let is_ours = held || seen.is_ok();
    checks.push(outside::address(&settings.http.listen, is_ours));
    if let Some(tls) = &settings.tls {
        if let Some(plain) = &tls.plain_addr {
            checks.push(outside::port("plain HTTP", plain, is_ours, "http.plain_addr"));
        }
        let own = tls
            .names
            .iter()
            .filter(|name| arguments.domain.as_ref() != Some(name));
        checks.extend(
            own.filter_map(|name| name.parse().ok())
                .map(|name| names::name(&name)),
        );
    }
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

/// Whether writes are refused, and how that ends. The order of a command is known where a server can be asked.
fn mode(settings: &Settings, held: bool) -> Vec<Check> {
    const NAME: &str = "mode";
    let asked = || Api::at_socket(settings.admin_socket()?).get("/api/v1/mode").ok();
    let mode = held.then(asked).flatten().unwrap_or(Mode {
        read_only: settings.storage.read_only,
        by_setting: settings.storage.read_only,
        by_command: false,
        reason: None,
        set_by: None,
        set_at: None,
    });
    let causes = super::mode::causes(&mode).into_iter();
    let check = |(cause, fix): (String, &str)| {
        let found = format!("read-only, {cause}: pushes and deletes are refused, pulls work");
        Check {
            fix: Some(fix.to_owned()),
            ..Check::note(NAME, found)
        }
    };
    causes.map(check).collect()
}

/// What the server that runs here knows of damage; nothing where it cannot be asked.
fn stored(settings: &Settings) -> Option<Check> {
    const NAME: &str = "stored bytes";
    let status: ScrubStatus = Api::at_socket(settings.admin_socket()?)
        .get("/api/v1/scrub")
        .ok()?;
    Some(if status.damaged == 0 {
        Check::good(NAME, "nothing is known to be damaged")
    } else {
        Check::problem(
            NAME,
            match status.damaged {
                1 => "a blob or manifest is damaged".to_owned(),
                more => format!("{more} blobs or manifests are damaged"),
            },
            "landfall scrub status names them, and who needs them",
        )
    })
}

/// Beside the clock of the authority, where one is asked for certificates.
fn clock_of(settings: &Settings) -> Check {
    let authority = https::authority_of(settings);
    let theirs = authority.as_deref().and_then(|url| {
        let time = clock::of_server(url, outside::LIMIT)?;
        Some((time, clock::host_of(url)))
    });
    clock::clock(https::now(), theirs)
}

fn show(checks: &[Check]) {
    let colour = output::is_coloured();
    for check in checks {
        let code = match check.state {
            State::Good => 32,
            State::Note => 90,
            State::Problem => 31,
        };
        let mark = check.state.mark();
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
