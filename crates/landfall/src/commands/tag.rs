//! `landfall tag`: tags of a repository, their history, and moving them back.

use clap::{Args, Subcommand};
use oci::{counted, either};
use serde::Serialize;
use server::api::{Item, List, Tag, TagDeleted, TagMove, TagMoved, TagStep, TagStepKind, Time};

use super::progress::size;
use super::reference::{Named, short};
use crate::admin::{Api, Consent, Table, Target, encode, now, print_json};
use crate::failure::Failure;
use crate::output;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum TagCommand {
    /// Tags, what they lead to, who set them, and who pulls them
    #[command(after_help = "\
Examples:
  landfall tag list team/app
  landfall tag list team/app --json")]
    List(RepositoryArguments),
    /// Every step in the life of a tag, newest first
    #[command(after_help = "\
Examples:
  landfall tag history team/app:latest
  landfall tag history team/app:latest --json")]
    History(TagArguments),
    /// Set a tag back to what it was, also one that was deleted
    #[command(after_help = "\
Examples:
  landfall tag rollback team/app:latest              to what it was before its last move
  landfall tag rollback team/app:latest --to 17      to what it was after that step of its history")]
    Rollback(RollbackArguments),
    /// Set a tag to what another tag or a digest leads to
    #[command(after_help = "\
Examples:
  landfall tag set team/app:prod 1.4.2
  landfall tag set team/app:prod sha256:…            a manifest of the same repository")]
    Set(SetArguments),
    /// Delete a tag; its image and its other tags stay
    #[command(after_help = "\
Examples:
  landfall tag delete team/app:1.2
  landfall tag delete team/app:1.2 --yes")]
    Delete(DeleteArguments),
}

/// A repository.
#[derive(Args, Debug)]
pub(crate) struct RepositoryArguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: oci::RepositoryName,
    #[command(flatten)]
    target: Target,
}

/// A tag.
#[derive(Args, Debug)]
pub(crate) struct TagArguments {
    /// The tag, with its repository
    #[arg(value_name = "REPO:TAG")]
    tag: Named,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `tag rollback`.
#[derive(Args, Debug)]
pub(crate) struct RollbackArguments {
    /// The tag, with its repository
    #[arg(value_name = "REPO:TAG")]
    tag: Named,
    /// A step of its history, or a digest of it
    #[arg(long, value_name = "SEQ|DIGEST")]
    to: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `tag set`.
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    /// The tag, with its repository
    #[arg(value_name = "REPO:TAG")]
    tag: Named,
    /// A tag or digest of the same repository
    #[arg(value_name = "TAG|DIGEST")]
    to: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `tag delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArguments {
    /// The tag, with its repository
    #[arg(value_name = "REPO:TAG")]
    tag: Named,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub(crate) fn run(command: &TagCommand) -> Result<(), Failure> {
    match command {
        TagCommand::List(arguments) => list(arguments),
        TagCommand::History(arguments) => history(arguments),
        TagCommand::Rollback(arguments) => {
            let order = Order {
                what: "rollback",
                tag: &arguments.tag,
                to: arguments.to.clone(),
            };
            order.run(arguments.consent, &arguments.target)
        }
        TagCommand::Set(arguments) => {
            let order = Order {
                what: "set",
                tag: &arguments.tag,
                to: Some(arguments.to.clone()),
            };
            order.run(arguments.consent, &arguments.target)
        }
        TagCommand::Delete(arguments) => delete(arguments),
    }
}

fn list(arguments: &RepositoryArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let path = format!("/api/v1/repositories/{}/tags", encode(&arguments.repository));
    let tags = api.list::<Tag>(&path).collect::<Result<Vec<_>, _>>()?;
    if arguments.target.json {
        print_list(tags);
        return Ok(());
    }
    let mut table = Table::new(&[
        "TAG",
        "DIGEST",
        "PLATFORMS",
        ">SIZE",
        "PUSHED",
        "BY",
        "LAST PULL",
        ">PULLS",
    ]);
    for tag in tags {
        table.row([
            tag.tag,
            short(&tag.digest),
            tag.platforms.join(" "),
            size(tag.bytes),
            tag.pushed_at.to_string(),
            tag.pushed_by.unwrap_or_else(|| "–".to_owned()),
            tag.last_pull_at.map_or("never".to_owned(), |at| at.to_string()),
            tag.pulls.to_string(),
        ]);
    }
    table.print();
    Ok(())
}

fn history(arguments: &TagArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let path = format!("{}/history", path_of(&arguments.tag)?);
    let steps = api.list::<TagStep>(&path).collect::<Result<Vec<_>, _>>()?;
    if arguments.target.json {
        print_list(steps);
        return Ok(());
    }
    let mut table = Table::new(&[">SEQ", "WHEN", "WHAT", "WAS", "IS", "BY", "FROM"]);
    let none = || "–".to_owned();
    for step in steps {
        let what = match (step.kind, &step.reason) {
            (TagStepKind::Set, Some(reason)) => reason, // from a backup
            (TagStepKind::Set, None) => "set",
            (TagStepKind::Deleted, _) => "deleted",
            (TagStepKind::Trashed, _) => "image deleted",
            (TagStepKind::Restored, _) => "restored",
            (TagStepKind::RolledBack, _) => "rolled back",
        };
        // What a rule took came from no address.
        let (by, from) = match step.rule {
            Some(rule) => (
                step.by.or(Some("retention".to_owned())),
                Some(format!("rule {rule}")),
            ),
            None => (step.by, step.from),
        };
        table.row([
            step.seq.to_string(),
            step.at.to_string(),
            what.to_owned(),
            step.old.as_deref().map_or_else(none, short),
            step.new.as_deref().map_or_else(none, short),
            by.unwrap_or_else(none),
            from.unwrap_or_else(none),
        ]);
    }
    table.print();
    Ok(())
}

/// A move of a tag.
struct Order<'a> {
    what: &'static str,
    tag: &'a Named,
    to: Option<String>,
}

impl Order<'_> {
    fn run(self, consent: Consent, target: &Target) -> Result<(), Failure> {
        let api = target.open()?;
        let plan = self.ask(&api, true)?;
        if consent.dry_run && target.json {
            print_json(plan);
            return Ok(());
        }
        let text = format!("would move {}\n", self.words(&plan));
        if !consent.asked(&text, "Move it?")? {
            return Ok(());
        }
        let done = self.ask(&api, false)?;
        if target.json {
            print_json(done);
        } else {
            output::line(self.words(&done));
        }
        Ok(())
    }

    fn ask(&self, api: &Api, dry_run: bool) -> Result<TagMoved, Failure> {
        let wanted = TagMove {
            to: self.to.clone(),
            dry_run,
        };
        api.post(&format!("{}/{}", path_of(self.tag)?, self.what), &wanted)
    }

    fn words(&self, moved: &TagMoved) -> String {
        let from = moved.from.as_deref().map_or("nothing".to_owned(), short);
        let restored = match moved.restored.len() {
            0 => String::new(),
            count => format!(
                "; {} {} back from the trash",
                counted(count, "manifest"),
                either(count, "comes", "come")
            ),
        };
        format!("{}: {from} -> {}{restored}", self.tag, short(&moved.to))
    }
}

fn delete(arguments: &DeleteArguments) -> Result<(), Failure> {
    let tag = &arguments.tag;
    let plan = format!("{tag} would be deleted; its image and its other tags would stay\n");
    let path = path_of(tag)?;
    let api = arguments.target.open()?;
    must_be_there(&api, tag, &path)?;
    if !arguments.consent.asked(&plan, "Delete it?")? {
        return Ok(());
    }
    let deleted: TagDeleted = api.delete(&path)?;
    if arguments.target.json {
        print_json(deleted);
        return Ok(());
    }
    output::line(format!(
        "{tag} is deleted{}",
        way_back(&format!("landfall trash restore {tag}"), deleted.until)
    ));
    Ok(())
}

/// How what was deleted comes back. Without an undo window it does not.
pub(super) fn way_back(command: &str, until: Time) -> String {
    if until <= now() {
        "; without an undo window the trash does not bring it back".to_owned()
    } else {
        format!("; `{command}` brings it back until {until}")
    }
}

/// A plan for a tag that is not there would be none. Its newest step says whether it is.
fn must_be_there(api: &Api, tag: &Named, path: &str) -> Result<(), Failure> {
    let newest = api.list::<TagStep>(&format!("{path}/history?limit=1")).next();
    match newest.transpose()? {
        Some(step) if step.new.is_some() => Ok(()),
        _ => Err(Failure::missing(
            "LF-API-011",
            format!("{tag} is deleted already: `landfall tag history {tag}` says by whom"),
        )),
    }
}

fn path_of(named: &Named) -> Result<String, Failure> {
    let Some(tag) = named.tag() else {
        return Err(Failure::usage(format!(
            "{named} has no tag: write it as team/app:1.2"
        )));
    };
    Ok(format!(
        "/api/v1/repositories/{}/tags/{}",
        encode(named.repository()),
        encode(tag)
    ))
}

/// A list as JSON, all pages in one.
pub(super) fn print_list<T: Item + Serialize>(items: Vec<T>) {
    output::json(&whole(items));
}

/// All pages of a list as one.
pub(super) fn whole<T: Item>(items: Vec<T>) -> List<T> {
    List {
        schema: T::LIST.to_owned(),
        items,
        next: None,
    }
}
