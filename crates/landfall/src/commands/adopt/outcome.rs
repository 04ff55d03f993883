//! What `landfall adopt` prints at its end: counts, and for a dry run the room that is needed beside the room that is free.
//!
//! Units: bytes. Shape: a few lines, or one JSON document of the schema `landfall.adopt/1`.

use std::path::Path;

use oci::{counted, either};
use registry::adopt::Report;
use serde::Serialize;

use super::{AdoptArguments, Checks};
use crate::commands::progress::size;
use crate::output;
use crate::url_login::is_address;

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
        "{verb} {}, {}, {}, {}, {} from {}",
        counted(report.repositories, "repository"),
        counted(report.tags, "tag"),
        counted(report.manifests, "manifest"),
        counted(report.blobs, "blob"),
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
        (true, true) => format!(
            "would fetch and hash {}, {copied}",
            counted(report.copied, "blob")
        ),
        (false, true) => format!("fetched and hashed {}, {copied}", counted(report.copied, "blob")),
        (true, false) => format!(
            "{} {}, {} ({copied} at most)",
            report.linked,
            either(
                report.linked,
                "blob would be a further name of the same file",
                "blobs would be further names of the same files"
            ),
            either(
                report.copied,
                "1 clone or copy",
                &format!("{} clones or copies", report.copied)
            )
        ),
        (false, false) => format!(
            "{} {}, {}, {} ({copied}); the source is as it was",
            report.linked,
            either(
                report.linked,
                "blob is a further name of the same file",
                "blobs are further names of the same files"
            ),
            counted(report.cloned, "clone"),
            counted(report.copied, "copy")
        ),
    }
}

/// What is not as everybody expects it, where there is some.
fn tell_rest(report: &Report) {
    let rest = [
        (
            report.damage_count,
            "damage",
            match report.damage_count {
                1 => ", named above".to_owned(),
                _ => ", each named above".to_owned(),
            },
        ),
        (
            report.tags_kept,
            "tag",
            " changed here later: as here, not as there".to_owned(),
        ),
        (
            report.manifests_deleted,
            "manifest",
            " deleted here: not brought back".to_owned(),
        ),
        (
            report.schema1,
            "manifest",
            " of Docker schema 1, served but of no use to a client of today".to_owned(),
        ),
        (
            report.unlinked,
            "file",
            format!(
                " ({}) that no repository links, left in place",
                size(report.bytes_unlinked)
            ),
        ),
        (report.uploads, "half-done upload", ", left in place".to_owned()),
    ];
    for (count, noun, rest) in rest.into_iter().filter(|(count, ..)| *count > 0) {
        output::line(format!("{}{rest}", counted(count, noun)));
    }
    if report.bytes_untagged > 0 {
        output::line(format!("{} that no tag leads to", size(report.bytes_untagged)));
    }
}
