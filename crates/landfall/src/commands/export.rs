//! `landfall export`: writes what is served as folders that other registries and tools read, or as a bundle for a registry that
//! no network leads to.
//!
//! Folders are made of the data folder itself, so no server may run on it (exit 6); a bundle is made by a running server too,
//! over its socket.
//! Exit codes: 5 no such repository, 7 content is missing here, 9 no room, 130 interrupted.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use oci::{RepositoryName, counted, either};
use registry::bundle::Since;
use registry::export::{Expected, Exported, Layout};
use serde::Serialize;
use server::api::{BackupOutcome, ExportRequest};

use super::backup::told;
use super::backup::work::Work;
use super::offline::{self, Offline, failure};
use super::progress::{Meter, Reached, size};
use crate::admin::Target;
use crate::failure::Failure;
use crate::output;

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// The folder to write; what is there already is left alone. Of a bundle: the file, which must not be there
    #[arg(value_name = "DEST")]
    dest: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    layout: Kind,
    /// Repositories; all, if none is named
    #[arg(value_name = "REPO")]
    repositories: Vec<RepositoryName>,
    /// Of a bundle: only what came since a bundle (its file), since a change (its number), or since the last bundle (last)
    #[arg(long, value_name = "BUNDLE|SEQ|last", value_parser = since)]
    since: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Changes count from 0. A file whose name begins with a hyphen is `./-name`.
fn since(text: &str) -> Result<String, &'static str> {
    if text.starts_with('-') {
        Err("expected the number of a change, the file of a bundle, or `last`")
    } else {
        Ok(text.to_owned())
    }
}

/// What to write.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The root directory of a CNCF registry (registry:2, registry:3)
    Distribution,
    /// An OCI image layout for each repository, in a folder of its name
    Oci,
    /// One file for `landfall import`, which holds an OCI image layout for each repository; made on the server's machine only
    Bundle,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    target: &'a Path,
    layout: Kind,
    #[serde(flatten)]
    exported: &'a Exported,
}

/// A bundle is a file of the machine that the server runs on.
pub(super) fn refuse_remote(target: &Target) -> Result<(), Failure> {
    if target.is_remote() {
        return Err(Failure::usage(
            "a bundle is a file of the server's machine, so it is written and brought over the socket there, never over HTTP\n  fix   run the command on that machine, without --server and LANDFALL_SERVER; --data or --config says which server",
        ));
    }
    Ok(())
}

/// Exports.
pub(crate) fn run(arguments: &ExportArguments) -> Result<(), Failure> {
    let layout = match arguments.layout {
        Kind::Bundle => return bundle(arguments),
        Kind::Distribution => Layout::Distribution,
        Kind::Oci => Layout::Oci,
    };
    if arguments.since.is_some() {
        return Err(Failure::usage(
            "--since is for a bundle\n  fix   --layout bundle; the other layouts leave alone what is there already",
        ));
    }
    if arguments.target.is_remote() {
        return Err(Failure::usage(
            "folders are written on the server's machine, of its data folder\n  fix   run the command there, without --server",
        ));
    }
    folders(arguments, layout)
}

const BUNDLE: &str = "LF-BDL-001";

fn bundle(arguments: &ExportArguments) -> Result<(), Failure> {
    refuse_remote(&arguments.target)?;
    let work = Work {
        name: "export",
        code: BUNDLE,
        target: &arguments.target,
        may_be_new: false,
    };
    let since = match arguments.since.as_deref() {
        None => None,
        Some("last") => Some(Since::Last),
        Some(text) => Some(match text.parse() {
            Ok(seq) => Since::Change(seq),
            Err(_) if !Path::new(text).exists() => {
                return Err(Failure::usage(format!(
                    "--since {text}: there is no such file\n  fix   give the file of a bundle, the number of a change that a bundle told, or last"
                )));
            }
            Err(_) => Since::Bundle(told(text.as_ref())?.into()),
        }),
    };
    let request = ExportRequest {
        file: told(&arguments.dest)?,
        repositories: arguments.repositories.iter().map(ToString::to_string).collect(),
        since: since.as_ref().map(|since| match since {
            Since::Last => "last".to_owned(),
            Since::Change(seq) => seq.to_string(),
            Since::Bundle(path) => path.display().to_string(),
        }),
    };
    work.run(
        "/api/v1/bundles/export",
        &request,
        async |registry, each, stop| {
            let written = registry.write_bundle(&arguments.dest, &arguments.repositories, since, each, &stop);
            written
                .await
                .map(BackupOutcome::from)
                .map_err(|error| failure(BUNDLE, &error))
        },
    )
}

fn folders(arguments: &ExportArguments, layout: Layout) -> Result<(), Failure> {
    let settings = super::config::settings(&arguments.target.configured().serve())?.settings;
    let exported = offline::run(async |stop| {
        let registry = Offline::open(&settings).await?;
        let mut meter = Meter::new("export", arguments.target.json);
        let each = |all: &Expected, now: &Exported| {
            meter.show(Reached {
                repositories: (now.repositories, all.repositories),
                blobs: now.blobs,
                bytes: (now.bytes, Some(all.bytes)),
            });
        };
        let outcome = registry
            .export(&arguments.dest, layout, &arguments.repositories, each, &stop)
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
    if arguments.target.json {
        output::json(&Answer {
            schema: "landfall.export/1",
            target: &arguments.dest,
            layout: arguments.layout,
            exported: &exported,
        });
    } else {
        print(&arguments.dest, &exported);
    }
    if exported.missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::problems(format!(
            "error[LF-EXP-002]: {} {} no bytes here and {} left out: {}",
            counted(exported.missing.len(), "blob"),
            either(exported.missing.len(), "has", "have"),
            either(exported.missing.len(), "was", "were"),
            exported.missing.join(", ")
        )))
    }
}

fn print(target: &Path, exported: &Exported) {
    output::line(format!(
        "exported {}, {}, {}, {}, {} to {}",
        counted(exported.repositories, "repository"),
        counted(exported.tags, "tag"),
        counted(exported.manifests, "manifest"),
        counted(exported.blobs, "blob"),
        size(exported.bytes),
        target.display()
    ));
    output::line(format!(
        "{} {}, {}, {} ({}), {} {} there",
        exported.linked,
        either(
            exported.linked,
            "blob is a further name of our file",
            "blobs are further names of our files"
        ),
        counted(exported.cloned, "clone"),
        counted(exported.copied, "copy"),
        size(exported.bytes_copied),
        exported.present,
        either(exported.present, "was", "were")
    ));
}
