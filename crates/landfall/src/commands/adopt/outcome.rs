//! What `landfall adopt` prints at its end: counts, and for a dry run the room that is needed beside the room that is free.
//!
//! Units: bytes. Shape: a few lines, or one JSON document of the schema `landfall.adopt/1`.

use std::path::Path;

use registry::adopt::Report;
use serde::Serialize;

use super::{AdoptArguments, Checks, is_address};
use crate::commands::progress::size;
use crate::output;

/// What came out.
pub(super) struct Outcome {
    pub(super) report: Report,
    /// Of a dry run.
    pub(super) room: Option<Room>,
}

/// What would be needed on the disk, and what there is.
#[derive(Serialize)]
pub(super) struct Room {
    /// Copies, small blobs and manifests; the catalog's own pages come on top.
    bytes_needed: u64,
    /// None where the disk does not say.
    bytes_free: Option<u64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    source: &'a str,
    dry_run: bool,
    verify: Checks,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    room: Option<&'a Room>,
    #[serde(flatten)]
    report: &'a Report,
}

impl Room {
    /// For what was found, in a folder that need not exist yet.
    pub(super) fn of(report: &Report, folder: &Path) -> Self {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let disk = store::existing(&folder).and_then(|there| rustix::fs::statvfs(there).ok());
        Self {
            bytes_needed: report.bytes_copied + report.bytes_manifests,
            bytes_free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        }
    }

    fn tell(&self) {
        let Some(free) = self.bytes_free else {
            output::line(format!("needs about {}", size(self.bytes_needed)));
            return;
        };
        let (needed, there) = (size(self.bytes_needed), size(free));
        output::line(format!("needs about {needed}; {there} are free"));
        if self.bytes_needed > free {
            output::line(
                "that is more than is free: adopting would stop when the disk is full, and go on once there is room",
            );
        }
    }
}

/// Prints it.
pub(super) fn tell(arguments: &AdoptArguments, outcome: &Outcome) {
    let Outcome { report, room } = outcome;
    if arguments.json {
        output::json(&Answer {
            schema: "landfall.adopt/1",
            source: &arguments.source,
            dry_run: arguments.dry_run,
            verify: arguments.verify,
            room: room.as_ref(),
            report,
        });
        return;
    }
    let verb = if arguments.dry_run {
        "would adopt"
    } else {
        "adopted"
    };
    if let Some(cursor) = &report.resumed_after {
        output::line(format!(
            "went on after {cursor}, where an earlier run ended; the numbers are of this run"
        ));
    }
    output::line(format!(
        "{verb} {} repositories, {} tags, {} manifests, {} blobs, {} from {}",
        report.repositories,
        report.tags,
        report.manifests,
        report.blobs,
        size(report.bytes),
        arguments.source
    ));
    output::line(ways(arguments, report));
    if let Some(room) = room {
        room.tell();
    }
    tell_rest(report);
}

/// How the blobs came, or would.
fn ways(arguments: &AdoptArguments, report: &Report) -> String {
    let copied = size(report.bytes_copied);
    match (arguments.dry_run, is_address(&arguments.source)) {
        (true, true) => format!("would fetch and hash {} blobs, {copied}", report.copied),
        (false, true) => format!("fetched and hashed {} blobs, {copied}", report.copied),
        (true, false) => format!(
            "{} blobs would be further names of the same files, {} clones or copies ({copied} at most)",
            report.linked, report.copied
        ),
        (false, false) => format!(
            "{} blobs are further names of the same files, {} clones, {} copies ({copied}); the source is as it was",
            report.linked, report.cloned, report.copied
        ),
    }
}

/// What is not as everybody expects it, where there is some.
fn tell_rest(report: &Report) {
    let rest = [
        (report.damage_count, "damages, each named above".to_owned()),
        (
            report.tags_kept,
            "tags that were changed here later and stay as they are".to_owned(),
        ),
        (
            report.manifests_deleted,
            "manifests that were deleted here and stay so".to_owned(),
        ),
        (
            report.schema1,
            "manifests of Docker schema 1, served but of no use to a client of today".to_owned(),
        ),
        (
            report.unlinked,
            format!(
                "files ({}) that no repository links, left where they are",
                size(report.bytes_unlinked)
            ),
        ),
        (
            report.uploads,
            "half-done uploads, left where they are".to_owned(),
        ),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        output::line(format!("{count} {what}"));
    }
    if report.bytes_untagged > 0 {
        output::line(format!("{} that no tag leads to", size(report.bytes_untagged)));
    }
}
