//! `landfall why`: why something is as it is.
//!
//! Exit codes: 2 that is no digest and no beginning of one, 5 nothing here has that digest, 6 several digests begin so.

use clap::{Args, Subcommand};
use server::api::{Holder, KeptBlob, KeptManifest, Time, WhyKept};

use super::progress::size;
use crate::admin::{Target, encode, now, print_json, until};
use crate::failure::Failure;
use crate::output;

/// Why what.
#[derive(Subcommand, Debug)]
pub(crate) enum WhyCommand {
    /// Why a digest is still there: all that holds it, in every repository
    #[command(after_help = "\
Examples:
  landfall why kept sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
  landfall why kept 4bcff6 --json           a beginning, if only one digest has it")]
    Kept(KeptArguments),
}

/// Arguments of `why kept`.
#[derive(Args, Debug)]
pub(crate) struct KeptArguments {
    /// The digest of a manifest or blob, or its beginning
    #[arg(value_name = "DIGEST")]
    digest: String,
    #[command(flatten)]
    target: Target,
}

/// Runs it.
pub(crate) fn run(command: &WhyCommand) -> Result<(), Failure> {
    let WhyCommand::Kept(arguments) = command;
    // It would be asked for at another address, where nothing is.
    if arguments.digest.is_empty() {
        return Err(Failure::usage(oci::BadPrefix));
    }
    let path = format!("/api/v1/why/kept/{}", encode(&arguments.digest));
    let why: WhyKept = arguments.target.open()?.get(&path)?;
    if arguments.target.json {
        print_json(why);
        return Ok(());
    }
    let now = now();
    output::line(&why.digest);
    for one in &why.manifests {
        output::line(format!(
            "  manifest in {}: {}",
            one.repository,
            of_manifest(one, now)
        ));
    }
    if let Some(blob) = &why.blob {
        of_blob(blob, now);
    }
    for file in &why.files {
        let gone = until(Some(file.until), now);
        output::line(format!(
            "  file {}: nothing names it any more, removed {gone}",
            file.location
        ));
    }
    Ok(())
}

fn of_manifest(one: &KeptManifest, now: Time) -> String {
    let mut reasons = Vec::new();
    if let Some(purge_at) = one.purge_at {
        let op = one
            .trash_op
            .map(|op| format!(" (operation {op})"))
            .unwrap_or_default();
        reasons.push(format!(
            "in the trash{op}, gone for good {}",
            until(Some(purge_at), now)
        ));
    }
    if one.held {
        reasons.push("held there, however long it has been in the trash".to_owned());
    }
    if !one.tags.is_empty() {
        reasons.push(format!("tagged {}", one.tags.join(", ")));
    }
    if !one.listed_by.is_empty() {
        reasons.push(format!("listed by {}", holders(&one.listed_by, now)));
    }
    if let Some(subject) = &one.subject {
        reasons.push(format!("refers to {subject}"));
    }
    if let Some(leased) = one.leased_until {
        reasons.push(format!(
            "clients may count on it, ends {}",
            until(Some(leased), now)
        ));
    }
    if reasons.is_empty() {
        reasons.push("nobody deleted it: an untagged manifest stays".to_owned());
    }
    reasons.join("; ")
}

fn of_blob(blob: &KeptBlob, now: Time) {
    output::line(format!("  blob of {}", size(blob.bytes)));
    for link in &blob.repositories {
        let mut reasons = Vec::new();
        if !link.named_by.is_empty() {
            reasons.push(format!("named by {}", holders(&link.named_by, now)));
        }
        if link.deleted {
            reasons.push("deleted there".to_owned());
        }
        if let Some(leased) = link.leased_until {
            reasons.push(format!(
                "clients may count on it, ends {}",
                until(Some(leased), now)
            ));
        }
        if reasons.is_empty() {
            reasons.push("nothing names it: it is about to go".to_owned());
        }
        output::line(format!("    in {}: {}", link.repository, reasons.join("; ")));
    }
}

fn holders(list: &[Holder], now: Time) -> String {
    let named: Vec<String> = list
        .iter()
        .map(|one| match one.purge_at {
            Some(purge_at) => format!(
                "{} (in the trash, gone for good {})",
                one.digest,
                until(Some(purge_at), now)
            ),
            None => one.digest.clone(),
        })
        .collect();
    named.join(", ")
}
