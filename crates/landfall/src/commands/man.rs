//! `landfall man`: manual pages, made from the one definition of the commands.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use serde::Serialize;

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
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Manual<'a> {
    schema: &'static str,
    folder: &'a Path,
    /// The pages that are in the folder now, by name.
    pages: Vec<String>,
}

/// Writes one page for each command.
pub(crate) fn run(arguments: &ManArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .and_then(|()| pages(folder));
    let pages = written.map_err(|error| {
        let text = format!("the pages cannot be written to {}: {error}", folder.display());
        Failure::failed("LF-CLI-002", text)
    })?;
    if arguments.json {
        output::json(&Manual {
            schema: "landfall.man/1",
            folder,
            pages,
        });
    } else {
        output::line(format_args!("wrote the manual to {}", folder.display()));
    }
    Ok(())
}

/// Our pages in a folder that may be everybody's.
fn pages(folder: &Path) -> io::Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_page = Path::new(&name).extension().is_some_and(|end| end == "1");
        if is_page && name.starts_with("landfall") {
            pages.push(name);
        }
    }
    pages.sort();
    Ok(pages)
}
