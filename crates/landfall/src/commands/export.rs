//! `landfall export`: writes what is served as folders that other registries and tools read.
//!
//! Works on the data folder itself, so no server may run on it (exit 6). Exit codes: 5 no such repository, 7 content is
//! missing here, 9 no room, 130 interrupted.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use oci::RepositoryName;
use registry::export::{Expected, Exported, Layout};
use serde::Serialize;

use super::offline::{self, Offline, failure};
use super::progress::{Meter, Reached, size};
use crate::cli::Configured;
use crate::failure::Failure;
use crate::output;

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// The folder to write; what is there already is left alone
    #[arg(value_name = "DEST")]
    target: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    layout: Kind,
    /// Repositories; all, if none is named
    #[arg(value_name = "REPO")]
    repositories: Vec<RepositoryName>,
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What to write.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The root directory of a CNCF registry (registry:2, registry:3)
    Distribution,
    /// An OCI image layout for each repository, in a folder of its name
    Oci,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    target: &'a Path,
    layout: Kind,
    #[serde(flatten)]
    exported: &'a Exported,
}

/// Exports.
pub(crate) fn run(arguments: &ExportArguments) -> Result<(), Failure> {
    let settings = super::config::settings(&arguments.configured.serve())?.settings;
    let exported = offline::run(async |stop| {
        let registry = Offline::open(&settings).await?;
        let mut meter = Meter::new("export", arguments.json);
        let layout = match arguments.layout {
            Kind::Distribution => Layout::Distribution,
            Kind::Oci => Layout::Oci,
        };
        let each = |all: &Expected, now: &Exported| {
            meter.show(Reached {
                repositories: (now.repositories, all.repositories),
                blobs: now.blobs,
                bytes: (now.bytes, Some(all.bytes)),
            });
        };
        let outcome = registry
            .export(&arguments.target, layout, &arguments.repositories, each, &stop)
            .await;
        registry.close().await;
        meter.clear();
        outcome.map_err(|error| match error {
            registry::Error::Closing => Failure::interrupted(format!(
                "interrupted: {}, and every file that was written is whole; the rest was not written\n  fix   run the same command again: it goes on from here",
                meter.so_far()
            )),
            error => failure("LF-EXP-001", &error),
        })
    })?;
    if arguments.json {
        output::json(&Answer {
            schema: "landfall.export/1",
            target: &arguments.target,
            layout: arguments.layout,
            exported: &exported,
        });
    } else {
        print(&arguments.target, &exported);
    }
    if exported.missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::problems(format!(
            "error[LF-EXP-002]: {} blobs have no bytes here and were left out: {}",
            exported.missing.len(),
            exported.missing.join(", ")
        )))
    }
}

fn print(target: &Path, exported: &Exported) {
    output::line(format!(
        "exported {} repositories, {} tags, {} manifests, {} blobs, {} to {}",
        exported.repositories,
        exported.tags,
        exported.manifests,
        exported.blobs,
        size(exported.bytes),
        target.display()
    ));
    output::line(format!(
        "{} blobs are further names of our files, {} clones, {} copies ({}), {} were there",
        exported.linked,
        exported.cloned,
        exported.copied,
        size(exported.bytes_copied),
        exported.present
    ));
}
