//! `landfall check`: every row has its bytes, every byte its row or its place in a queue, and the catalog's rules hold.
//!
//! A server that runs checks itself, as a job, and is asked how far it is; the data folder of one that does not is opened here.
//! Nothing is changed. Exit codes: 5 no data folder, 7 there are problems, 130 interrupted.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use config::{Medium, Settings};
use oci::counted;
use registry::{Check, CheckReport, CheckWatcher, Problem};
use serde::Serialize;
use server::api::{CheckCounts, CheckOrder, CheckProblem, CheckStatus};

use super::offline::{self, Offline, failure};
use super::progress::size;
use crate::admin::{Api, Reach, Target};
use crate::failure::Failure;
use crate::output;

/// How long to wait before a server is asked again, at first and at most.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Problems that are kept for `--json`.
const KEPT_MAX: usize = 10_000;

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall check                            rows, files and sizes, of the server that runs here or of its data folder
  landfall check --deep --rate 100MB/s      and every byte, at this speed")]
pub(crate) struct StoreCheckArguments {
    /// Read every byte back and hash it
    #[arg(long)]
    deep: bool,
    /// Read at most so many bytes a second, such as 50MB/s; without it as fast as the disk gives them
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "deep")]
    rate: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Outcome {
    schema: &'static str,
    ok: bool,
    deep: bool,
    counts: CheckCounts,
    problems: Vec<CheckProblem>,
}

/// A rate of a flag; 0 would be for ever.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    match config::parse_rate(text) {
        Some(0) | None => Err("expected bytes a second, such as `50MB/s`".to_owned()),
        Some(rate) => Ok(rate),
    }
}

/// Checks, and tells.
pub(crate) fn run(arguments: &StoreCheckArguments) -> Result<(), Failure> {
    let mut talk = Talk {
        is_json: arguments.target.json,
        problems: Vec::new(),
    };
    let counts = match arguments.target.reach()? {
        Reach::Running(api) => of_server(arguments, &api, &mut talk)?,
        Reach::AtRest(settings) => of_folder(arguments, &settings, &mut talk)?,
    };
    let found = counts.problems;
    if arguments.target.json {
        output::json(&Outcome {
            schema: "landfall.check/1",
            ok: found == 0,
            deep: arguments.deep,
            counts,
            problems: talk.problems,
        });
    } else {
        output::whole(&text(&counts));
    }
    match found {
        0 => Ok(()),
        some => Err(Failure::problems(counted(some, "problem"))),
    }
}

fn of_server(arguments: &StoreCheckArguments, api: &Api, talk: &mut Talk) -> Result<CheckCounts, Failure> {
    let order = CheckOrder {
        deep: arguments.deep,
        rate: arguments.rate,
    };
    let mut status: CheckStatus = api.post("/api/v1/check", &order)?;
    let (mut pause, most) = ASK_EVERY;
    while status.ended_at.is_none() {
        sleep(pause);
        pause = (pause * 2).min(most);
        status = api.get("/api/v1/check")?;
    }
    for problem in api.list::<CheckProblem>("/api/v1/check/problems?limit=1000") {
        talk.tell(problem?);
    }
    match status.failure {
        Some(why) => Err(Failure::failed(
            "LF-CHK-001",
            format!("the check did not come to its end: {why}"),
        )),
        None => Ok(status.counts),
    }
}

fn of_folder(
    arguments: &StoreCheckArguments,
    settings: &Settings,
    talk: &mut Talk,
) -> Result<CheckCounts, Failure> {
    must_exist(settings)?;
    let how = Check {
        deep: arguments.deep,
        rate: arguments.rate,
    };
    offline::run(async |stop| {
        let registry = Offline::open(settings).await?;
        let checked = registry.check(how, talk, &stop).await;
        registry.close().await;
        match checked {
            Ok(report) => Ok(report.into()),
            Err(registry::Error::Closing) => Err(Failure::interrupted("interrupted: not all was looked at")),
            Err(error) => Err(failure("LF-CHK-001", &error)),
        }
    })
}

/// A folder that a command only looks at is not made by it.
pub(super) fn must_exist(settings: &Settings) -> Result<(), Failure> {
    let root: &Path = match &settings.storage.medium {
        Medium::Filesystem { root, .. } => root,
        Medium::InMemory => {
            return Err(Failure::missing(
                "LF-CHK-002",
                "storage.inmemory keeps nothing, and no server runs\n  fix   ask while it runs",
            ));
        }
    };
    if root.join("landfall").is_dir() {
        return Ok(());
    }
    Err(Failure::missing(
        "LF-CHK-002",
        format!(
            "no data folder of Landfall's in {}, and no server runs on it\n  fix   name it with --data or --config, as for its `serve`",
            root.display()
        ),
    ))
}

struct Talk {
    is_json: bool,
    problems: Vec<CheckProblem>,
}

impl Talk {
    fn tell(&mut self, problem: CheckProblem) {
        if !self.is_json {
            output::line(format_args!("problem: {}; {}", problem.what, problem.fix));
        } else if self.problems.len() < KEPT_MAX {
            self.problems.push(problem);
        }
    }
}

impl CheckWatcher for Talk {
    fn problem(&mut self, problem: &Problem) {
        self.tell(CheckProblem {
            what: problem.to_string(),
            fix: problem.fix().to_owned(),
        });
    }

    fn progress(&mut self, _: &CheckReport) {}
}

fn text(counts: &CheckCounts) -> String {
    let mut lines = vec![format!(
        "blobs      {} in files, {} in the catalog; {}; {}",
        counts.blobs,
        counts.inline,
        counted(counts.manifests, "manifest"),
        size(counts.bytes)
    )];
    if counts.hashed_bytes > 0 {
        lines.push(format!("read back  {}", size(counts.hashed_bytes)));
    }
    lines.push(format!(
        "files      {} in their folders, {} of all wait to be removed, {} in quarantine",
        counts.files, counts.tombstones, counts.quarantine
    ));
    lines.push(format!("uploads    {} not finished", counts.uploads));
    let notes = [
        (
            counts.unknown,
            "stored file",
            " that no row knows, as a crash leaves: put aside by the server itself",
        ),
        (
            counts.left_uploads,
            "file",
            " of uploads that no row knows: removed by the next start",
        ),
        (
            counts.strangers,
            "thing",
            " in these folders that Landfall did not put there: left alone",
        ),
    ];
    let notes = notes.into_iter().filter(|(count, ..)| *count > 0);
    lines.extend(notes.map(|(count, noun, rest)| format!("note       {}{rest}", counted(count, noun))));
    if counts.problems == 0 {
        lines.push("all is well".to_owned());
    }
    lines.join("\n") + "\n"
}
