//! `landfall du`: where the bytes are, what of them is shared, and what deleting would free.
//!
//! Exit codes: 5 no such repository.

use clap::{Args, ValueEnum};
use oci::{RepositoryName, counted};
use serde::Serialize;
use server::api::{RepositoryUsage, TagUsage, Usage};

use super::progress::size;
use crate::admin::{Api, Table, Target, encode, now, until};
use crate::arguments::whole;
use crate::failure::Failure;
use crate::output;

/// Arguments of `du`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall du                               the repositories that take most
  landfall du team/app --top 5              its images, by what deleting each would free")]
pub(crate) struct DuArguments {
    /// One repository
    #[arg(value_name = "REPO")]
    repository: Option<RepositoryName>,
    /// Lines for repositories, or for the tags of one; of REPO the tags, if absent
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,
    /// So many lines, those that take most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole::<u16>(1..=1000))]
    top: u16,
    #[command(flatten)]
    target: Target,
}

/// What lines are for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// Repositories
    Repo,
    /// Tags of one repository
    Tag,
}

#[derive(Serialize)]
struct OfEverything {
    schema: &'static str,
    usage: Usage,
    repositories: Vec<RepositoryUsage>,
}

#[derive(Serialize)]
struct OfRepository {
    schema: &'static str,
    repository: RepositoryUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<TagUsage>>,
}

/// Shows it.
pub(crate) fn run(arguments: &DuArguments) -> Result<(), Failure> {
    match (&arguments.repository, arguments.by) {
        (None, Some(By::Tag)) => Err(Failure::usage(
            "tags belong to a repository\n  fix   landfall du REPO --by tag",
        )),
        (None, None | Some(By::Repo)) => of_everything(arguments),
        (Some(name), by) => of_repository(arguments, name, by != Some(By::Repo)),
    }
}

fn of_everything(arguments: &DuArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let usage: Usage = api.get("/api/v1/usage")?;
    let path = format!("/api/v1/usage/repositories?top={}", arguments.top);
    let repositories: Vec<RepositoryUsage> = api.list(&path).collect::<Result<_, _>>()?;
    if arguments.target.json {
        output::json(&OfEverything {
            schema: "landfall.du/1",
            usage,
            repositories,
        });
        return Ok(());
    }
    table_of(&repositories).print();
    let now = now();
    let pending = &usage.pending;
    for (name, kind) in [
        ("trash", &pending.trash),
        ("deleted repositories", &pending.repositories),
        ("leased", &pending.leased),
        ("files", &pending.files),
    ] {
        if kind.bytes > 0 {
            output::line(format!(
                "{name}  {}, gone {}",
                size(kind.bytes),
                until(kind.gone_by, now)
            ));
        }
    }
    output::line(format!(
        "{} in {}; disk: {} free of {}",
        size(usage.bytes),
        counted(usage.blobs, "blob"),
        size(usage.disk_free),
        size(usage.disk_total)
    ));
    Ok(())
}

fn of_repository(arguments: &DuArguments, name: &RepositoryName, by_tag: bool) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let path = format!("/api/v1/usage/repositories/{}", encode(name));
    let repository: RepositoryUsage = api.get(&path)?;
    let tags = by_tag
        .then(|| largest_tags(&api, &path, arguments.top))
        .transpose()?;
    if arguments.target.json {
        output::json(&OfRepository {
            schema: "landfall.du/1",
            repository,
            tags,
        });
        return Ok(());
    }
    if let Some(tags) = tags {
        let mut table = Table::new(&["TAG", ">SIZE", ">UNIQUE", ">SHARED", ">WOULD FREE", ">MANIFESTS"]);
        for one in tags {
            table.row([
                one.tag,
                size(one.bytes),
                size(one.unique),
                size(one.shared),
                size(one.would_free),
                one.manifests.to_string(),
            ]);
        }
        table.print();
    }
    table_of(std::slice::from_ref(&repository)).print();
    let now = now();
    if repository.trash > 0 {
        let gone = until(repository.trash_gone_by, now);
        output::line(format!("trash  {}, gone {gone}", size(repository.trash)));
    }
    if repository.pending > 0 {
        let gone = until(repository.pending_gone_by, now);
        output::line(format!(
            "named by no manifest  {}, gone {gone}",
            size(repository.pending)
        ));
    }
    Ok(())
}

/// Those whose deletion frees most; then those that take most.
fn largest_tags(api: &Api, path: &str, top: u16) -> Result<Vec<TagUsage>, Failure> {
    let mut tags: Vec<TagUsage> = Vec::new();
    for one in api.list(&format!("{path}/tags?limit=1000")) {
        tags.push(one?);
        if tags.len() > 10_000 {
            keep_largest(&mut tags, top);
        }
    }
    keep_largest(&mut tags, top);
    Ok(tags)
}

fn keep_largest(tags: &mut Vec<TagUsage>, top: u16) {
    tags.sort_by(|one, other| {
        let weight = |tag: &TagUsage| (tag.would_free, tag.unique, tag.bytes);
        weight(other)
            .cmp(&weight(one))
            .then_with(|| one.tag.cmp(&other.tag))
    });
    tags.truncate(top.into());
}

fn table_of(repositories: &[RepositoryUsage]) -> Table {
    let mut table = Table::new(&[
        "REPOSITORY",
        ">UNIQUE",
        ">SHARED",
        ">WOULD FREE",
        ">TRASH",
        ">PENDING",
        ">TAGS",
        ">MANIFESTS",
    ]);
    for one in repositories {
        table.row([
            one.name.clone(),
            size(one.unique),
            size(one.shared),
            size(one.would_free),
            size(one.trash),
            size(one.pending),
            one.tags.to_string(),
            one.manifests.to_string(),
        ]);
    }
    table
}
