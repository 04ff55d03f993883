//! `landfall completions`: what a shell needs to complete our commands and flags.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell as Known;
use serde::Serialize;

use crate::cli::Cli;
use crate::output;

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall completions bash > /etc/bash_completion.d/landfall
  landfall completions fish > ~/.config/fish/completions/landfall.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Serialize)]
struct Completions<'a> {
    schema: &'static str,
    shell: Shell,
    script: &'a str,
}

/// Prints the script.
pub(crate) fn run(arguments: &CompletionsArguments) {
    let shell = match arguments.shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "landfall", &mut script);
    let script = String::from_utf8_lossy(&script);
    if arguments.json {
        output::json(&Completions {
            schema: "landfall.completions/1",
            shell: arguments.shell,
            script: &script,
        });
    } else {
        output::whole(&script);
    }
}
