//! `landfall version`.

use clap::Args;
use serde::Serialize;

use crate::output;

/// Arguments of `version`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall version
  landfall version --json")]
pub(crate) struct VersionArguments {
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Version {
    schema: &'static str,
    #[serde(rename = "version")]
    number: &'static str,
    os: &'static str,
    architecture: &'static str,
}

/// Prints it.
pub(crate) fn run(arguments: &VersionArguments) {
    let version = env!("CARGO_PKG_VERSION");
    if arguments.json {
        output::json(&Version {
            schema: "landfall.version/1",
            number: version,
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
        });
    } else {
        output::line(format_args!("landfall {version}"));
    }
}
