//! `landfall import`: brings a bundle that `landfall export --layout bundle` wrote, into a running server or a data folder.
//!
//! Exit codes: 5 no such file, 6 it continues or needs what is not here, 7 it is damaged, 9 no room, 130 interrupted.

use std::path::PathBuf;

use clap::Args;
use server::api::{BackupOutcome, ImportRequest};

use super::backup::told;
use super::backup::work::Work;
use super::export::refuse_remote;
use super::offline::failure;
use crate::admin::Target;
use crate::failure::Failure;

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// The bundle, a file of this machine: it is brought over the server's socket, never with --server
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

const CODE: &str = "LF-BDL-002";

/// Imports.
pub(crate) fn run(arguments: &ImportArguments) -> Result<(), Failure> {
    refuse_remote(&arguments.target)?;
    let request = ImportRequest {
        file: told(&arguments.file)?,
    };
    // Before a data folder that is not there yet becomes a registry.
    if let Err(error) = std::fs::metadata(&arguments.file)
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Err(Failure::missing(
            CODE,
            format!(
                "{}: there is no such file\n  fix   give the file of a bundle, as `landfall export --layout bundle` wrote it",
                arguments.file.display()
            ),
        ));
    }
    let work = Work {
        name: "import",
        code: CODE,
        target: &arguments.target,
        may_be_new: true,
    };
    work.run(
        "/api/v1/bundles/import",
        &request,
        async |registry, each, stop| {
            let actor = Some("landfall import".to_owned());
            let imported = registry.import_bundle(&arguments.file, actor, each, &stop).await;
            imported
                .map(BackupOutcome::from)
                .map_err(|error| failure(CODE, &error))
        },
    )
}
