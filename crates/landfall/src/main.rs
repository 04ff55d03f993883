//! `landfall`: a private container-image registry in one binary.
//!
//! Command line in, exit code out; each command is one file in `commands/`. Exit codes: 0 done, 1 failed, 2 wrong
//! usage, 3 configuration invalid, 5 not found, 6 held by another server, 9 no room.

mod cli;
mod commands;
mod failure;
mod log_thread;
mod logging;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, ConfigCommand};

fn main() -> ExitCode {
    let cli = Cli::parse_from(cli::with_default_command(std::env::args_os()));
    let outcome = match cli.command {
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Config(ConfigCommand::Check(arguments)) => commands::config::check(&arguments),
        Command::Config(ConfigCommand::Explain(arguments)) => commands::config::explain(&arguments),
        Command::Config(ConfigCommand::Reference) => {
            commands::config::reference();
            Ok(())
        }
        Command::Version => {
            println!("landfall {}", env!("CARGO_PKG_VERSION"));
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
