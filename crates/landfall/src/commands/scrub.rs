//! `landfall scrub`: how the reading back of stored bytes stands, what is damaged and who needs it; a run at once, and healing
//! from a folder or another registry; pauses.
//!
//! A server that runs does it itself; the data folder of one that does not is opened here. Exit codes: 5 no data folder, 7
//! something is damaged, 4 the other registry refuses the login, 8 it does not answer, 130 interrupted.

use std::thread::sleep;
use std::time::Duration;

use clap::{Args, Subcommand};
use config::Settings;
use oci::{counted, either};
use registry::{ScrubWanted, SourceName};
use serde::{Deserialize, Serialize};
use server::api::{
    DamageCause, Damaged, DamagedKind, Document, ScrubOrder, ScrubPause, ScrubResumed, ScrubRun, ScrubSource,
    ScrubStatus, SourceFailure, Time,
};

use super::check::{must_exist, rate};
use super::offline::{self, Offline, failure};
use super::password::password_from_stdin;
use super::progress::size;
use crate::admin::{Api, Reach, Target, print_json};
use crate::failure::Failure;
use crate::output;
use crate::url_login::{self, is_address};

/// How long to wait before a server is asked again, at first and at most.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Damaged things of one question.
const PAGE: usize = 256;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum ScrubCommand {
    /// How it stands, what is damaged, and which repositories and tags need it
    #[command(after_help = "\
Examples:
  landfall scrub status                     of the server that runs here, or of its data folder
  landfall scrub status --json --server https://registry.example.com --user admin")]
    Status(StatusArguments),
    /// Read every file back at once, or a sample; heal what is damaged from a source
    #[command(after_help = "\
Examples:
  landfall scrub run --sample 5% --rate 50MB/s             some of it, slowly
  landfall scrub run --repair-from /mnt/backup/landfall    all of it, then what is damaged from a copy
  landfall scrub run --sample 0% --repair-from https://registry.example.com")]
    Run(RunArguments),
    /// Read nothing back by itself for a day, or until it is resumed
    #[command(after_help = "\
Examples:
  landfall scrub pause
  landfall scrub pause --json --data /var/lib/registry")]
    Pause(StatusArguments),
    /// End a pause
    #[command(after_help = "\
Examples:
  landfall scrub resume
  landfall scrub resume --json --data /var/lib/registry")]
    Resume(StatusArguments),
}

/// Arguments of `scrub status`, `pause` and `resume`.
#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    target: Target,
}

/// Arguments of `scrub run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// Read so many of the files, chosen at random; 0% reads none and only heals
    #[arg(long, value_name = "PERCENT", value_parser = sample, default_value = "100%")]
    sample: u32,
    /// Read at most so many bytes a second, such as 50MB/s; without it as fast as the disk gives them
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<u64>,
    /// Heal what is damaged from here: another registry, or a folder (a registry's root, an OCI layout, a copy of a data folder)
    #[arg(long, value_name = "URL|FOLDER")]
    repair_from: Option<String>,
    /// Who logs in at that registry
    #[arg(long, value_name = "NAME", requires_all = ["repair_from", "repair_password_stdin"])]
    repair_username: Option<String>,
    /// Read that user's password from standard input
    #[arg(long, requires = "repair_username", conflicts_with = "password_stdin")]
    repair_password_stdin: bool,
    #[command(flatten)]
    target: Target,
}

/// All that `scrub status` knows.
#[derive(Serialize, Deserialize)]
struct Report {
    #[serde(flatten)]
    status: ScrubStatus,
    items: Vec<Damaged>,
}

impl Document for Report {
    const SCHEMA: &'static str = "landfall.scrub.status/1";
}

/// `5%` -> 500 of 10,000.
fn sample(text: &str) -> Result<u32, String> {
    let refuse = || "expected a percentage, such as `5%` or `0.5%`".to_owned();
    let number = text.trim().strip_suffix('%').unwrap_or(text.trim());
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 2 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let whole: u32 = whole.parse().map_err(|_| refuse())?;
    let part: u32 = format!("{part:0<2}").parse().map_err(|_| refuse())?;
    match whole.checked_mul(100).and_then(|whole| whole.checked_add(part)) {
        Some(sample) if sample <= ScrubWanted::ALL => Ok(sample),
        _ => Err(refuse()),
    }
}

/// Runs one of them.
pub(crate) fn run(command: &ScrubCommand) -> Result<(), Failure> {
    match command {
        ScrubCommand::Status(arguments) => status(&arguments.target),
        ScrubCommand::Run(arguments) => through(arguments),
        ScrubCommand::Pause(arguments) => pause(&arguments.target),
        ScrubCommand::Resume(arguments) => resume(&arguments.target),
    }
}

fn status(target: &Target) -> Result<(), Failure> {
    let report = match target.reach()? {
        Reach::Running(api) => report_of(&api)?,
        Reach::AtRest(settings) => {
            must_exist(&settings)?;
            offline::run(async |_| {
                let registry = Offline::open(&settings).await?;
                let report = at_rest(&registry).await;
                registry.close().await;
                report
            })?
        }
    };
    tell(target, report, None)
}

fn through(arguments: &RunArguments) -> Result<(), Failure> {
    let source = source_of(arguments)?;
    let (run, report) = match arguments.target.reach()? {
        Reach::Running(api) => run_by_server(arguments, &api, source)?,
        Reach::AtRest(settings) => {
            must_exist(&settings)?;
            run_here(arguments, &settings, source)?
        }
    };
    if let Some(why) = &run.failure {
        let text = format!("the run did not come to its end: {why}");
        return Err(match run.source_failure {
            Some(SourceFailure::Unreachable) => Failure::temporary("LF-SCR-001", text),
            Some(SourceFailure::Login) => Failure::denied("LF-SCR-001", text),
            None => Failure::failed("LF-SCR-001", text),
        });
    }
    tell(&arguments.target, report, Some(&run))
}

/// Where right bytes are to be had, and who asks there; a login in an address is taken out of it.
fn source_of(arguments: &RunArguments) -> Result<Option<SourceName>, Failure> {
    let Some(shown) = &arguments.repair_from else {
        return Ok(None);
    };
    let typed = url_login::typed(shown);
    let (place, found) = url_login::without_login(&typed)
        .map_err(|problem| Failure::usage(format!("--repair-from {shown}: {problem}")))?;
    let login = match (&arguments.repair_username, found) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "one login is enough: in the address, or with --repair-username",
            ));
        }
        (Some(user), None) => Some((user.clone(), password_from_stdin()?)),
        (None, Some(login)) => {
            url_login::warn("--repair-username NAME --repair-password-stdin");
            Some(login)
        }
        (None, None) => None,
    };
    Ok(Some(SourceName {
        place: absolute(&place)?,
        login,
    }))
}

fn run_by_server(
    arguments: &RunArguments,
    api: &Api,
    source: Option<SourceName>,
) -> Result<(ScrubRun, Report), Failure> {
    let order = ScrubOrder {
        sample: Some(arguments.sample),
        rate: arguments.rate,
        repair_from: source.map(|source| {
            let (username, password) = source.login.unzip();
            ScrubSource {
                place: source.place,
                username,
                password,
            }
        }),
    };
    let mut run: ScrubRun = api.post("/api/v1/scrub/run", &order)?;
    let (mut pause, most) = ASK_EVERY;
    while run.ended_at.is_none() {
        sleep(pause);
        pause = (pause * 2).min(most);
        let status: ScrubStatus = api.get("/api/v1/scrub")?;
        // A server that started anew knows nothing of it.
        run = status.run.ok_or_else(|| {
            Failure::temporary(
                "LF-SCR-002",
                "the server was restarted: what was read stays known\n  fix   run the same command again",
            )
        })?;
    }
    Ok((run, report_of(api)?))
}

/// A folder as the server finds it, wherever that was started.
fn absolute(place: &str) -> Result<String, Failure> {
    if is_address(place) {
        return Ok(place.to_owned());
    }
    if place.contains("://") {
        return Err(Failure::usage(format!(
            "{place}: the address of a registry begins with http:// or https://"
        )));
    }
    let path = std::path::absolute(place).map_err(|error| Failure::usage(format!("{place}: {error}")))?;
    Ok(path.display().to_string())
}

fn run_here(
    arguments: &RunArguments,
    settings: &Settings,
    source: Option<SourceName>,
) -> Result<(ScrubRun, Report), Failure> {
    let wanted = ScrubWanted {
        sample: arguments.sample,
        rate: arguments.rate,
    };
    offline::run(async |stop| {
        let registry = Offline::open(settings).await?;
        let work = async {
            let source = source.map(|name| registry.source(&name)).transpose()?;
            registry.scrub_run(wanted, source.as_deref(), &stop).await
        };
        let run = work.await.map_err(|error| failure("LF-SCR-001", &error));
        let report = at_rest(&registry).await;
        registry.close().await;
        Ok((run?.into(), report?))
    })
}

fn report_of(api: &Api) -> Result<Report, Failure> {
    Ok(Report {
        status: api.get("/api/v1/scrub")?,
        items: api
            .list("/api/v1/scrub/damaged?limit=1000")
            .collect::<Result<_, _>>()?,
    })
}

async fn at_rest(registry: &Offline) -> Result<Report, Failure> {
    let fail = |error: registry::Error| failure("LF-SCR-001", &error);
    let status = registry.scrub_status().await.map_err(fail)?.into();
    let (mut items, mut after) = (Vec::new(), 0);
    loop {
        let page = registry.damages(after, PAGE).await.map_err(fail)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        items.extend(page.into_iter().map(Damaged::from));
    }
    Ok(Report { status, items })
}

fn tell(target: &Target, report: Report, run: Option<&ScrubRun>) -> Result<(), Failure> {
    let damaged = report.items.len();
    if target.json {
        print_json(report);
    } else {
        if let Some(run) = run {
            output::line(sentence(run));
        }
        output::whole(&text(&report));
    }
    match damaged {
        0 => Ok(()),
        some => Err(Failure::problems(format!(
            "{} {} damaged",
            counted(some, "thing"),
            either(some, "is", "are")
        ))),
    }
}

fn sentence(run: &ScrubRun) -> String {
    let read = format!(
        "read {} ({}), found {} damaged",
        counted(run.files, "file"),
        size(run.bytes),
        run.found
    );
    if run.healed + run.not_healed == 0 {
        return read;
    }
    format!(
        "{read}; healed {}, {} not to be had there",
        run.healed, run.not_healed
    )
}

fn text(report: &Report) -> String {
    let status = &report.status;
    let mut lines = vec![match (status.rate, &status.pause, status.read_only) {
        (0, ..) => "off: scrub.rate is 0".to_owned(),
        (_, Some(pause), _) => format!(
            "paused by {} until {}; `landfall scrub resume` ends that",
            pause.by, pause.until
        ),
        (_, None, true) => "rests: the registry is read-only (`landfall mode` says by whom)".to_owned(),
        (rate, None, false) => format!("reads back {} a second while the server runs", size(rate)),
    }];
    match status.oldest_verified_at {
        Some(Time(0)) => lines.push("some files were never read back".to_owned()),
        Some(oldest) if report.items.is_empty() => {
            lines.push(format!("every file was good on {oldest} or later"));
        }
        Some(oldest) => lines.push(format!(
            "every file but those below was good on {oldest} or later"
        )),
        None => {}
    }
    if status.suspects > 0 {
        lines.push(format!(
            "{} could not be read for a client, and {} read back next",
            counted(status.suspects, "blob"),
            either(status.suspects, "is", "are")
        ));
    }
    if report.items.is_empty() {
        lines.push("nothing is known to be damaged".to_owned());
    } else {
        lines.extend(report.items.iter().flat_map(of_damaged));
        lines.push(
            "fix   push an image that has it again, or: landfall scrub run --sample 0% --repair-from URL|FOLDER"
                .to_owned(),
        );
    }
    lines.join("\n") + "\n"
}

fn of_damaged(damaged: &Damaged) -> Vec<String> {
    let kind = match damaged.kind {
        DamagedKind::Blob => "blob",
        DamagedKind::Manifest => "manifest",
    };
    let cause = match damaged.cause {
        DamageCause::Missing => "its file is missing",
        DamageCause::WrongSize => "it has another size",
        DamageCause::Changed => "its bytes have changed",
        DamageCause::Unreadable => "the disk cannot read it",
    };
    let mut lines = vec![format!(
        "damaged {kind} {} ({}): {cause}, found {}",
        damaged.digest,
        size(damaged.size),
        damaged.found_at
    )];
    for needs in &damaged.needed_by {
        let name = |tag: &String| format!("{}:{tag}", needs.repository);
        let tags: Vec<String> = needs.tags.iter().map(name).collect();
        lines.push(if tags.is_empty() {
            format!("  needed by {}@{}", needs.repository, needs.manifest)
        } else {
            format!("  needed by {}", tags.join(", "))
        });
    }
    lines
}

fn pause(target: &Target) -> Result<(), Failure> {
    let pause: ScrubPause = target.open()?.post("/api/v1/scrub/pause", &Nothing {})?;
    if target.json {
        print_json(pause);
    } else {
        output::line(format!(
            "nothing is read back until {}, unless `landfall scrub resume` ends that before",
            pause.until
        ));
    }
    Ok(())
}

fn resume(target: &Target) -> Result<(), Failure> {
    let resumed: ScrubResumed = target.open()?.post("/api/v1/scrub/resume", &Nothing {})?;
    if target.json {
        print_json(resumed);
    } else if resumed.was_paused {
        output::line("scrubbing goes on");
    } else {
        output::line("there was no pause");
    }
    Ok(())
}

/// A request that says nothing more.
#[derive(Serialize)]
struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_percentage() {
        for (text, wanted) in [
            ("100%", 10_000),
            ("5%", 500),
            ("0.5%", 50),
            ("0.05", 5),
            ("0%", 0),
            ("7", 700),
        ] {
            assert_eq!(sample(text), Ok(wanted), "{text}");
        }
        for bad in [
            "",
            "%",
            "101%",
            "-1%",
            "5.123%",
            "half",
            "5%%",
            ".5.%",
            "99999999999",
        ] {
            assert!(sample(bad).is_err(), "{bad}");
        }
    }
}
