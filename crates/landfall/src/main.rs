//! `landfall`: a private container-image registry in one binary.
//!
//! Command line in, exit code out; each command is one file in `commands/`. Exit codes: 0 done, 1 failed, 2 wrong
//! usage, 3 configuration invalid, 4 a login is refused, 5 not found, 6 held by another server or not as things are,
//! 7 a check found problems, 8 temporary, 9 no room, 130 interrupted.

mod access_lines;
mod admin;
mod arguments;
mod checks;
mod cli;
mod client;
mod commands;
mod failure;
mod first_user;
mod https;
mod listening;
mod log_thread;
mod logging;
mod output;
mod preflight;
mod reload;
mod remote;
mod socket;
mod systemd;
mod url_login;
mod wiring;

use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigCommand};

fn main() -> ExitCode {
    url_login::keep_out_of_sight();
    let typed = cli::with_default_command(std::env::args_os());
    let cli: Cli = arguments::parse(typed).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Config(ConfigCommand::Check(arguments)) => commands::config::check(&arguments),
        Command::Config(ConfigCommand::Explain(arguments)) => commands::config::explain(&arguments),
        Command::Config(ConfigCommand::Print(arguments)) => commands::config::print(&arguments),
        Command::Config(ConfigCommand::Init(arguments)) => commands::config::init(&arguments),
        Command::Config(ConfigCommand::Reference) => {
            commands::config::reference();
            Ok(())
        }
        Command::User(command) => commands::user::run(&command),
        Command::Tls(command) => commands::tls::run(&command),
        Command::Adopt(arguments) => commands::adopt::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Backup(arguments) => commands::backup::run(&arguments),
        Command::Restore(arguments) => commands::restore::run(&arguments),
        Command::Repo(command) => commands::repo::run(&command),
        Command::Tag(command) => commands::tag::run(&command),
        Command::Trash(command) => commands::trash::run(&command),
        Command::Du(arguments) => commands::du::run(&arguments),
        Command::Why(command) => commands::why::run(&command),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Scrub(command) => commands::scrub::run(&command),
        Command::Gc(command) => commands::gc::run(&command),
        Command::Retention(command) => commands::retention::run(&command),
        Command::Quota(command) => commands::policies::run_quota(&command),
        Command::Immutable(command) => commands::policies::run_immutable(&command),
        Command::Mode(arguments) => commands::mode::run(&arguments),
        Command::GarbageCollect(arguments) => commands::garbage_collect::run(&arguments),
        Command::Doctor(arguments) => commands::doctor::run(&arguments),
        Command::Healthcheck(arguments) => commands::healthcheck::run(&arguments),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(())
        }
        Command::Man(arguments) => commands::man::run(&arguments),
        Command::Version(arguments) => {
            commands::version::run(&arguments);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
