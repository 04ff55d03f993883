//! `landfall garbage-collect`: what scripts of the CNCF registry call at night. It is taken, does nothing, and says why.
//!
//! Exit codes: 0; 3 where the configuration that it names is invalid, as everywhere.
//! Source: `registry garbage-collect` of the CNCF registry, versions 2 and 3.

use std::path::PathBuf;

use clap::Args;
use config::format_duration;
use serde::Serialize;

use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::output;

/// Arguments of `garbage-collect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall garbage-collect /etc/docker/registry/config.yml      as a script of the older registry calls it
  landfall garbage-collect --dry-run --delete-untagged --json   the same answer, for a program")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of the other registry's command"
)]
pub(crate) struct GarbageCollectArguments {
    /// The server's configuration file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Taken, and without effect
    #[arg(long, short = 'd')]
    dry_run: bool,
    /// Taken, and without effect: untagged manifests stay until somebody deletes them
    #[arg(long, short = 'm')]
    delete_untagged: bool,
    /// Say nothing
    #[arg(long, short)]
    quiet: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    /// Always: nothing was removed.
    needed: bool,
    undo_window: String,
    reason: &'static str,
}

const REASON: &str =
    "nothing was removed: Landfall needs no garbage collection by command, and no stop for one";

/// Says why there is nothing to do.
pub(crate) fn run(arguments: &GarbageCollectArguments) -> Result<(), Failure> {
    let serve = ServeArguments {
        config: arguments.file.clone(),
        ..ServeArguments::default()
    };
    let settings = super::config::settings(&serve)?.settings;
    let undo_window = format_duration(settings.undo_window);
    if arguments.json {
        output::json(&Answer {
            schema: "landfall.garbage-collect/1",
            needed: false,
            undo_window,
            reason: REASON,
        });
    } else if !arguments.quiet {
        output::line(REASON);
        output::line(format!(
            "  what is deleted or overwritten can be restored for {undo_window} (trash.undo_window); the server looks after the rest while it runs"
        ));
        if arguments.delete_untagged {
            output::line(
                "  --delete-untagged had no effect: untagged manifests stay until somebody deletes them",
            );
        }
    }
    Ok(())
}
