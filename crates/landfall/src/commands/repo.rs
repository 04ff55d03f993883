//! `landfall repo`: repositories as a whole.

use std::time::Duration;

use clap::{Args, Subcommand};
use oci::{RepositoryName, counted};
use server::api::{
    Repository, RepositoryDeleted, RepositoryRename, RepositorySet, TrashRestore, TrashRestored,
};

use super::progress::size;
use super::tag::{print_list, way_back};
use super::trash::time;
use crate::admin::{Consent, Table, Target, encode, print_json};
use crate::failure::Failure;
use crate::output;

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum RepoCommand {
    /// Repositories and what they hold
    #[command(after_help = "\
Examples:
  landfall repo list
  landfall repo list --json")]
    List(ListArguments),
    /// What one repository holds, and its settings
    #[command(after_help = "\
Examples:
  landfall repo show team/app
  landfall repo show team/app --json")]
    Show(ShowArguments),
    /// Give a repository an undo window of its own
    #[command(after_help = "\
Examples:
  landfall repo set team/app --undo-window 30d
  landfall repo set team/app --undo-window default    as long as the registry says")]
    Set(SetArguments),
    /// Rename a repository; everything in it stays
    #[command(after_help = "\
Examples:
  landfall repo rename team/app prod/app
  landfall repo rename team/app prod/app --yes")]
    Rename(RenameArguments),
    /// Delete a repository; it can come back until its undo window ends
    #[command(after_help = "\
Examples:
  landfall repo delete team/app
  landfall repo delete team/app --yes")]
    Delete(DeleteArguments),
    /// Bring a deleted repository back
    #[command(after_help = "\
Examples:
  landfall repo restore team/app
  landfall repo restore team/app --as team/app-old    if the name is another one's by now")]
    Restore(RestoreArguments),
}

/// Arguments of `repo list`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    target: Target,
}

/// Arguments of `repo show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `repo set`.
#[derive(Args, Debug)]
pub(crate) struct SetArguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    /// How long what is deleted there can come back, such as 30d; or `default`
    #[arg(long, value_name = "TIME", value_parser = window)]
    undo_window: Window,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `repo rename`.
#[derive(Args, Debug)]
pub(crate) struct RenameArguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    /// Its new name
    #[arg(value_name = "NEW")]
    new: RepositoryName,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `repo delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `repo restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The repository, by the name that it had
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    /// Another name for it
    #[arg(long = "as", value_name = "NEW")]
    new: Option<RepositoryName>,
    #[command(flatten)]
    target: Target,
}

/// An undo window; none is the registry's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(Option<Duration>);

fn window(text: &str) -> Result<Window, String> {
    if text == "default" {
        return Ok(Window(None));
    }
    time(text).map(|window| Window(Some(window)))
}

/// Runs one of them.
pub(crate) fn run(command: &RepoCommand) -> Result<(), Failure> {
    match command {
        RepoCommand::List(arguments) => list(&arguments.target),
        RepoCommand::Show(arguments) => {
            let shown: Repository = arguments.target.open()?.get(&path(&arguments.repository))?;
            print(&arguments.target, shown);
            Ok(())
        }
        RepoCommand::Set(arguments) => {
            let wanted = RepositorySet {
                undo_window_seconds: arguments.undo_window.0.map(|window| window.as_secs()),
            };
            let path = format!("{}/settings", path(&arguments.repository));
            print(&arguments.target, arguments.target.open()?.put(&path, &wanted)?);
            Ok(())
        }
        RepoCommand::Rename(arguments) => rename(arguments),
        RepoCommand::Delete(arguments) => delete(arguments),
        RepoCommand::Restore(arguments) => restore(arguments),
    }
}

fn path(name: &RepositoryName) -> String {
    format!("/api/v1/repositories/{}", encode(name))
}

fn list(target: &Target) -> Result<(), Failure> {
    let api = target.open()?;
    let all = api
        .list::<Repository>("/api/v1/repositories")
        .collect::<Result<Vec<_>, _>>()?;
    if target.json {
        print_list(all);
        return Ok(());
    }
    let mut table = Table::new(&[
        "REPOSITORY",
        ">TAGS",
        ">IMAGES",
        ">SIZE",
        "LAST PUSH",
        "LAST PULL",
        ">PULLS",
    ]);
    for one in all {
        let at = |at: Option<server::api::Time>| at.map_or("never".to_owned(), |at| at.to_string());
        table.row([
            one.name,
            one.tags.to_string(),
            one.manifests.to_string(),
            size(one.bytes),
            at(one.last_push_at),
            at(one.last_pull_at),
            one.pulls.to_string(),
        ]);
    }
    table.print();
    Ok(())
}

fn print(target: &Target, one: Repository) {
    if target.json {
        print_json(one);
        return;
    }
    let at = |at: Option<server::api::Time>| at.map_or("never".to_owned(), |at| at.to_string());
    let window = match one.undo_window_seconds {
        None => "as the registry says (trash.undo_window)".to_owned(),
        Some(0) => "0: what is deleted cannot be brought back".to_owned(),
        Some(seconds) => config::format_duration(Duration::from_secs(seconds)),
    };
    output::whole(&format!(
        "{}\ncreated      {}\ntags         {}\nmanifests    {} ({} in the trash)\nblobs        {}\n\
         last push    {}\nlast pull    {} ({})\nundo window  {window}\n",
        one.name,
        one.created_at,
        one.tags,
        one.manifests,
        one.trashed,
        size(one.bytes),
        at(one.last_push_at),
        at(one.last_pull_at),
        counted(one.pulls, "pull")
    ));
}

fn rename(arguments: &RenameArguments) -> Result<(), Failure> {
    let (old, new) = (&arguments.repository, &arguments.new);
    let api = arguments.target.open()?;
    // Refuses what the rename would be refused for, before anybody is asked.
    let _: Repository = api.get(&format!("{}/removable?as={}", path(old), encode(new)))?;
    let plan = format!("{old} would become {new}; who asks for {old} then would be told the new name\n");
    if !arguments.consent.asked(&plan, "Rename it?")? {
        return Ok(());
    }
    let wanted = RepositoryRename {
        name: new.to_string(),
    };
    let renamed: Repository = api.post(&format!("{}/rename", path(old)), &wanted)?;
    if arguments.target.json {
        print_json(renamed);
    } else {
        output::line(format!("{old} is {new} now"));
    }
    Ok(())
}

fn delete(arguments: &DeleteArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let name = &arguments.repository;
    let shown: Repository = api.get(&format!("{}/removable", path(name)))?;
    let plan = format!(
        "{name} would be deleted with {} and {}, and {}\n",
        counted(shown.tags, "tag"),
        counted(shown.manifests, "manifest"),
        match shown.undo_window_seconds {
            Some(0) => "could not come back: its undo window is 0",
            Some(_) | None => "could come back for as long as its undo window lasts",
        }
    );
    if !arguments.consent.asked(&plan, "Delete it?")? {
        return Ok(());
    }
    let deleted: RepositoryDeleted = api.delete(&path(name))?;
    if arguments.target.json {
        print_json(deleted);
        return Ok(());
    }
    output::line(format!(
        "{name} is deleted{}",
        way_back(&format!("landfall repo restore {name}"), deleted.until)
    ));
    Ok(())
}

fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let wanted = TrashRestore {
        new_name: arguments.new.as_ref().map(ToString::to_string),
        ..TrashRestore::default()
    };
    let path = format!("/api/v1/trash/{}/restore", encode(&arguments.repository));
    let restored: TrashRestored = arguments.target.open()?.post(&path, &wanted)?;
    if arguments.target.json {
        print_json(restored);
    } else {
        output::line(format!("{} is back", restored.repository));
    }
    Ok(())
}
