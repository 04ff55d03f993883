//! `landfall quota` and `landfall immutable`: how much repositories may have, and which tags stay as they are.
//!
//! Exit codes: 2 a rule that means nothing, 5 no such rule, 6 a rule of the configuration file.

use std::time::Duration;

use clap::{Args, Subcommand};
use oci::counted;
use server::api::{
    ImmutableSpec, Policy, PolicyOrder, PolicyRemoved, PolicyRule, PolicySet, QuotaSpec, QuotaUsed,
};

use super::progress::size;
use super::tag::print_list;
use crate::admin::{Api, Table, Target, encode, print_json};
use crate::arguments::whole;
use crate::failure::Failure;
use crate::output;

/// What to do with quotas.
#[derive(Subcommand, Debug)]
pub(crate) enum QuotaCommand {
    /// All quotas
    #[command(after_help = "\
Examples:
  landfall quota list
  landfall quota list --json")]
    List(ListArguments),
    /// Limit each repository that matches, or a whole namespace; a limit that is not given stays
    #[command(after_help = "\
Examples:
  landfall quota set team/ --bytes 50GB     all of team/ together
  landfall quota set '**' --tags 1000       each repository")]
    Set(QuotaArguments),
    /// Remove a quota that was made by command or API
    #[command(after_help = "\
Examples:
  landfall quota rm team/
  landfall quota rm '**' --json")]
    Rm(MatchArguments),
}

/// What to do with rules about immutable tags.
#[derive(Subcommand, Debug)]
pub(crate) enum ImmutableCommand {
    /// All rules
    #[command(after_help = "\
Examples:
  landfall immutable list
  landfall immutable list --json")]
    List(ListArguments),
    /// Let tags be set once, and then neither moved nor deleted; replaces the rule of that MATCH whole
    #[command(after_help = "\
Examples:
  landfall immutable set '**' --tags 'v*'
  landfall immutable set 'team/**' --except latest 'pr-*'")]
    Set(ImmutableArguments),
    /// Remove a rule that was made by command or API
    #[command(after_help = "\
Examples:
  landfall immutable rm 'team/**'
  landfall immutable rm '**' --json")]
    Rm(MatchArguments),
}

/// Arguments of the lists.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    target: Target,
}

/// Arguments of both `rm`.
#[derive(Args, Debug)]
pub(crate) struct MatchArguments {
    /// What the rule matches
    #[arg(value_name = "MATCH")]
    name: String,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `quota set`.
#[derive(Args, Debug)]
pub(crate) struct QuotaArguments {
    /// A glob over repositories, or a namespace with a / at its end
    #[arg(value_name = "MATCH")]
    repositories: String,
    /// Most bytes, such as 20GB or 512MiB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    bytes: Option<u64>,
    /// Most tags
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    tags: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `immutable set`.
#[derive(Args, Debug)]
pub(crate) struct ImmutableArguments {
    /// The repositories that the rule is about: a name or a glob
    #[arg(value_name = "MATCH")]
    repositories: String,
    /// The tags that it is about: globs; all tags, if absent
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    tags: Vec<String>,
    /// But not these: globs
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    except: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub(crate) fn run_quota(command: &QuotaCommand) -> Result<(), Failure> {
    match command {
        QuotaCommand::List(arguments) => list(
            &arguments.target,
            "quota",
            &["MATCH", ">BYTES", "USED", ">TAGS", "USED", "FROM"],
        ),
        QuotaCommand::Set(arguments) => set_quota(arguments),
        QuotaCommand::Rm(arguments) => remove(&arguments.target, "quota", &arguments.name),
    }
}

/// Runs one of them.
pub(crate) fn run_immutable(command: &ImmutableCommand) -> Result<(), Failure> {
    match command {
        ImmutableCommand::List(arguments) => list(
            &arguments.target,
            "immutable_tags",
            &["MATCH", "TAGS", "EXCEPT", "FROM"],
        ),
        ImmutableCommand::Set(arguments) => set_immutable(
            &arguments.target,
            &PolicyOrder {
                immutable_tags: Some(ImmutableSpec {
                    repositories: arguments.repositories.clone(),
                    tags: arguments.tags.clone(),
                    except: arguments.except.clone(),
                }),
                ..PolicyOrder::default()
            },
        ),
        ImmutableCommand::Rm(arguments) => remove(&arguments.target, "immutable_tags", &arguments.name),
    }
}

fn list(target: &Target, kind: &str, titles: &[&'static str]) -> Result<(), Failure> {
    let all = rules(&target.open()?, kind)?;
    if target.json {
        print_list(all);
        return Ok(());
    }
    let mut table = Table::new(titles);
    let or = |list: &[String], none: &str| {
        if list.is_empty() {
            none.to_owned()
        } else {
            list.join(" ")
        }
    };
    for one in &all {
        let name = one.name.clone();
        match &one.rule {
            PolicyRule::Quota(spec) => {
                let [bytes, of_bytes, tags, of_tags] = limits(spec, one.used.as_ref());
                table.row([name, bytes, of_bytes, tags, of_tags, origin(one)]);
            }
            PolicyRule::ImmutableTags(spec) => {
                table.row([name, or(&spec.tags, "all"), or(&spec.except, "–"), origin(one)]);
            }
            PolicyRule::Retention(_) => {}
        }
    }
    table.print();
    Ok(())
}

/// Each limit of a quota, and what is used of it: of one that is for each repository, by which.
fn limits(spec: &QuotaSpec, used: Option<&QuotaUsed>) -> [String; 4] {
    let by = |amount: String, repository: &Option<String>| match repository {
        Some(name) => format!("{amount} in {name}"),
        None => amount,
    };
    let none = || "–".to_owned();
    [
        spec.bytes.map_or_else(none, size),
        used.map_or_else(none, |used| by(size(used.bytes), &used.bytes_in)),
        spec.tags.map_or_else(none, |tags| tags.to_string()),
        used.map_or_else(none, |used| by(used.tags.to_string(), &used.tags_in)),
    ]
}

/// Sets the limits that are given; the other one stays as it is.
fn set_quota(arguments: &QuotaArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let mut quota = QuotaSpec {
        repositories: arguments.repositories.clone(),
        bytes: arguments.bytes,
        tags: arguments.tags,
    };
    let old = rules(&api, "quota")?.into_iter().find_map(|one| match one.rule {
        PolicyRule::Quota(spec) if !one.of_file && spec.repositories == quota.repositories => Some(spec),
        _ => None,
    });
    // Without any limit it is a mistake, and refused.
    if let Some(old) = old.filter(|_| quota.bytes.is_some() || quota.tags.is_some()) {
        quota.bytes = quota.bytes.or(old.bytes);
        quota.tags = quota.tags.or(old.tags);
    }
    let mut limits = Vec::new();
    limits.extend(quota.bytes.map(size));
    limits.extend(quota.tags.map(|tags| counted(tags, "tag")));
    let order = PolicyOrder {
        quota: Some(quota),
        ..PolicyOrder::default()
    };
    let done: PolicySet = api.post("/api/v1/policies", &order)?;
    if arguments.target.json {
        print_json(done);
        return Ok(());
    }
    output::line(format!(
        "the quota of {} is {}: {}",
        done.name,
        if done.created { "made" } else { "changed" },
        limits.join(", ")
    ));
    Ok(())
}

fn set_immutable(target: &Target, order: &PolicyOrder) -> Result<(), Failure> {
    let done: PolicySet = target.open()?.post("/api/v1/policies", order)?;
    if target.json {
        print_json(done);
        return Ok(());
    }
    output::line(format!(
        "the rule for {} is {}",
        done.name,
        if done.created { "made" } else { "changed" }
    ));
    Ok(())
}

/// Removes a rule.
pub(crate) fn remove(target: &Target, kind: &str, name: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/policies/{kind}/{}", encode(name));
    let done: PolicyRemoved = target.open()?.delete(&path)?;
    if target.json {
        print_json(done);
    } else {
        output::line(format!("the rule {} is removed", done.name));
    }
    Ok(())
}

/// All rules of one kind.
pub(crate) fn rules(api: &Api, kind: &str) -> Result<Vec<Policy>, Failure> {
    api.list(&format!("/api/v1/policies?kind={kind}")).collect()
}

/// Where a rule was made, and whether it counts.
pub(crate) fn origin(one: &Policy) -> String {
    let from = match &one.set_by {
        None => "the file".to_owned(),
        Some(by) => by.clone(),
    };
    match &one.ignored {
        None => from,
        Some(why) => format!("{from}; ignored: {why}"),
    }
}

/// A duration as people write it.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let duration = config::parse_duration(text)
        .map(|duration| duration.as_secs())
        .filter(|&seconds| seconds > 0);
    duration.ok_or_else(|| "expected a time, such as `12h` or `30d`".to_owned())
}

/// The same, the other way round.
pub(crate) fn span(seconds: u64) -> String {
    config::format_duration(Duration::from_secs(seconds))
}

fn bytes(text: &str) -> Result<u64, String> {
    config::parse_size(text).ok_or_else(|| "expected a size, such as `20GB` or `512MiB`".to_owned())
}
