//! `landfall man`: manual pages, made from the one definition of the commands.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall man ./man                       landfall.1, landfall-serve.1, … into ./man
  landfall man /usr/local/share/man/man1   for `man landfall`")]
pub(crate) struct ManArguments {
    /// Folder for the pages; made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes one page for each command.
pub(crate) fn run(arguments: &ManArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| {
        let text = format!("the pages cannot be written to {}: {error}", folder.display());
        Failure::failed("LF-CLI-002", text)
    })?;
    output::line(format_args!("wrote the manual to {}", folder.display()));
    Ok(())
}
