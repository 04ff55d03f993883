//! `landfall trash`: what was deleted and can come back.

use std::time::Duration;

use clap::{Args, Subcommand};
use oci::{counted, either};
use server::api::{GcStatus, TrashEmptied, TrashEmpty, TrashItem, TrashKind, TrashRestore, TrashRestored};

use super::gc::sentence;
use super::progress::size;
use super::reference::{Named, short};
use super::tag::print_list;
use crate::admin::{Api, Consent, Table, Target, encode, now, print_json, until};
use crate::failure::Failure;
use crate::output;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum TrashCommand {
    /// What was deleted, by whom, until when it can come back, and what it would free
    #[command(after_help = "\
Examples:
  landfall trash list
  landfall trash list team/app --json")]
    List(ListArguments),
    /// Bring back what was deleted, with all that went with it
    #[command(after_help = "\
Examples:
  landfall trash restore team/app:1.2
  landfall trash restore 17 --as 1.2-old    the operation 17, its tag under another name")]
    Restore(RestoreArguments),
    /// End the undo window of what was deleted, for good
    #[command(after_help = "\
Examples:
  landfall trash empty --dry-run
  landfall trash empty --repo team/app --older-than 1d --yes")]
    Empty(EmptyArguments),
}

/// Arguments of `trash list`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only of repositories that have or had this name
    #[arg(value_name = "REPO")]
    repository: Option<oci::RepositoryName>,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `trash restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The operation's number, or what was deleted: REPO:TAG, REPO@DIGEST (or its beginning) or REPO
    #[arg(value_name = "WHAT")]
    what: String,
    /// Set tags back that somebody set since
    #[arg(long)]
    force: bool,
    /// Another name for a tag that somebody set since, or for a repository
    #[arg(long = "as", value_name = "NAME", conflicts_with = "force")]
    new_name: Option<String>,
    /// Show what would come back, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `trash empty`.
#[derive(Args, Debug)]
pub(crate) struct EmptyArguments {
    /// Of this repository only
    #[arg(long, value_name = "REPO")]
    repo: Option<oci::RepositoryName>,
    /// What was deleted so long ago, or longer, such as 1d
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<Duration>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// A span of time, such as `36h` or `7d`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "write it as 90m, 36h or 7d".to_owned())
}

/// Runs one of them.
pub(crate) fn run(command: &TrashCommand) -> Result<(), Failure> {
    match command {
        TrashCommand::List(arguments) => list(arguments),
        TrashCommand::Restore(arguments) => restore(arguments),
        TrashCommand::Empty(arguments) => empty(arguments),
    }
}

fn items(api: &Api, repository: Option<&oci::RepositoryName>) -> Result<Vec<TrashItem>, Failure> {
    let path = match repository {
        Some(name) => format!("/api/v1/trash?repository={}", encode(name)),
        None => "/api/v1/trash".to_owned(),
    };
    api.list(&path).collect()
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let items = items(&api, arguments.repository.as_ref())?;
    if arguments.target.json {
        print_list(items);
        return Ok(());
    }
    let now = now();
    let mut table = Table::new(&[">OP", "WHAT", "DELETED", "BY", "GOES", ">FREES"]);
    let is_due = items.iter().any(|item| item.until <= now);
    for item in items {
        table.row([
            item.op.to_string(),
            what(&item),
            item.at.to_string(),
            by(&item),
            until(Some(item.until), now),
            item.frees.map_or_else(|| "–".to_owned(), size),
        ]);
    }
    table.print();
    // "now" is no truth while nothing is collected.
    let status: Option<GcStatus> = is_due.then(|| api.get("/api/v1/gc")).transpose()?;
    if let Some(waiting) = status.and_then(|status| status.waiting) {
        output::line(format!(
            "what is due stays until collection goes on: {}",
            sentence(&waiting)
        ));
    }
    Ok(())
}

/// Who, and the rule by which a run of retention took it.
fn by(item: &TrashItem) -> String {
    match (&item.by, &item.rule) {
        (by, Some(rule)) => format!("{}, rule {rule}", by.as_deref().unwrap_or("retention")),
        (Some(by), None) => by.clone(),
        (None, None) => "–".to_owned(),
    }
}

fn what(item: &TrashItem) -> String {
    let name = &item.repository;
    match item.kind {
        TrashKind::Repository => name.clone(),
        TrashKind::Tag => format!("{name}:{}", item.target),
        TrashKind::Blob => format!("blob {name}@{}", short(&item.target)),
        TrashKind::Manifest => {
            let tags = match &item.tags[..] {
                [] => String::new(),
                tags => format!(" ({})", tags.join(", ")),
            };
            format!("{name}@{}{tags}", short(&item.target))
        }
    }
}

fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let wanted = TrashRestore {
        force: arguments.force,
        new_name: arguments.new_name.clone(),
        dry_run: arguments.dry_run,
    };
    if arguments.what.parse::<i64>().is_err() {
        arguments.what.parse::<Named>().map_err(Failure::usage)?;
    }
    let path = format!("/api/v1/trash/{}/restore", encode(&arguments.what));
    let restored: TrashRestored = arguments.target.open()?.post(&path, &wanted)?;
    if arguments.target.json {
        print_json(restored);
        return Ok(());
    }
    let name = &restored.repository;
    let would = if arguments.dry_run { "would be" } else { "is" };
    output::line(format!("{} {would} back in {name}", arguments.what));
    for tag in &restored.tags {
        output::line(format!("  {name}:{tag}"));
    }
    for digest in &restored.manifests {
        output::line(format!("  {name}@{digest}"));
    }
    for taken in &restored.taken {
        eprintln!(
            "{name}:{} stays at {}, where {} set it since; the old one: landfall tag set {name}:{} {}",
            taken.tag,
            short(&taken.now),
            taken.by.as_deref().unwrap_or("somebody"),
            taken.tag,
            taken.wanted
        );
    }
    for digest in &restored.gone {
        eprintln!("{name}@{digest} is gone for good: its undo window has ended");
    }
    Ok(())
}

fn empty(arguments: &EmptyArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    let api = target.open()?;
    let older_than = arguments.older_than.unwrap_or_default();
    let ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let before = now().0.saturating_sub(ms);
    let ending: Vec<TrashItem> = items(&api, arguments.repo.as_ref())?
        .into_iter()
        .filter(|item| item.at.0 <= before)
        .collect();
    let mut lines: Vec<String> = ending.iter().map(|item| format!("  {}", what(item))).collect();
    let frees = ending.iter().filter_map(|item| item.frees).sum();
    lines.push(format!(
        "{} could never be taken back then; {} or more would be free a lease later",
        counted(ending.len(), "delete"),
        size(frees)
    ));
    let plan = lines.join("\n") + "\n";
    if !arguments.consent.asked(&plan, "End it for good?")? {
        return Ok(());
    }
    let wanted = TrashEmpty {
        repository: arguments.repo.as_ref().map(ToString::to_string),
        older_than_seconds: older_than.as_secs(),
    };
    let emptied: TrashEmptied = api.post("/api/v1/trash/empty", &wanted)?;
    if target.json {
        print_json(emptied);
    } else {
        output::line(format!(
            "{} {} final",
            counted(emptied.operations, "delete"),
            either(emptied.operations, "is", "are")
        ));
    }
    Ok(())
}
