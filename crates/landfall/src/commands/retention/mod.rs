//! `landfall retention`: the rules that let tags go, what they would do, and what they did.
//!
//! Exit codes: 2 a rule that means nothing, 5 no such rule or repository, 6 a rule of the file, or it runs already.

mod arguments;

use std::fmt::Write as _;

use oci::{RepositoryName, counted};
use serde::Serialize;
use server::api::{
    GcWaiting, List, Policy, PolicyOrder, PolicyRule, PolicySet, RetentionDecision, RetentionReport,
    RetentionRun, RetentionRunRequest, RetentionSpec, RetentionStatus, RetentionTotals, Untagged,
};

pub(crate) use arguments::RetentionCommand;
use arguments::{NameArguments, RunArguments, SetArguments};

use super::policies::{origin, remove, rules, span};
use super::progress::size;
use super::tag::{print_list, whole};
use crate::admin::{Api, Table, Target, encode, now, print_json, until};
use crate::failure::Failure;
use crate::output;

/// Runs one of them.
pub(crate) fn run(command: &RetentionCommand) -> Result<(), Failure> {
    match command {
        RetentionCommand::List(arguments) => list(&arguments.target),
        RetentionCommand::Show(arguments) => show(arguments),
        RetentionCommand::Set(arguments) => set(arguments),
        RetentionCommand::Rm(arguments) => remove(&arguments.target, "retention", &arguments.name),
        RetentionCommand::DryRun(arguments) => dry_run(&arguments.target, arguments.repository.as_ref()),
        RetentionCommand::Run(arguments) => apply(arguments),
        RetentionCommand::History(arguments) => history(&arguments.target),
    }
}

#[derive(Serialize)]
struct Rules {
    schema: &'static str,
    status: RetentionStatus,
    items: Vec<Policy>,
}

#[derive(Serialize)]
struct Rule {
    schema: &'static str,
    policy: Policy,
}

#[derive(Serialize)]
struct DryRun {
    #[serde(flatten)]
    plan: List<RetentionDecision>,
    totals: RetentionTotals,
}

fn list(target: &Target) -> Result<(), Failure> {
    let api = target.open()?;
    let status: RetentionStatus = api.get("/api/v1/retention")?;
    let all = rules(&api, "retention")?;
    if target.json {
        output::json(&Rules {
            schema: "landfall.retention.list/1",
            status,
            items: all,
        });
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "MATCH", "TAGS", "KEEPS", "FROM"]);
    for one in &all {
        let PolicyRule::Retention(spec) = &one.rule else {
            continue;
        };
        let tags = if spec.tags.is_empty() {
            "all".to_owned()
        } else {
            spec.tags.join(" ")
        };
        table.row([
            one.name.clone(),
            spec.repositories.clone(),
            tags,
            keeps(spec),
            origin(one),
        ]);
    }
    table.print();
    let schedule = status.schedule.unwrap_or_else(|| "none".to_owned());
    output::line(format!(
        "schedule {schedule} (UTC), next run {}{}",
        until(status.next_at, now()),
        status.waiting.as_ref().map(waits).unwrap_or_default()
    ));
    if let Some(run) = &status.last_run {
        output::line(format!("last run {}", sentence(run)));
    }
    Ok(())
}

/// What stands in the way of the schedule.
fn waits(waiting: &GcWaiting) -> String {
    match waiting {
        GcWaiting::ReadOnly => ": the registry is read-only".to_owned(),
        GcWaiting::Started { .. } => ": the schedule waits, for the server has just started".to_owned(),
        GcWaiting::Paused { by, .. } => {
            format!(": collection is paused by {by}; `landfall gc resume` ends that")
        }
        GcWaiting::Clock { by, .. } => {
            format!(": {by}; if the clock is right now, `landfall gc resume` ends that")
        }
    }
}

fn keeps(spec: &RetentionSpec) -> String {
    let mut all = Vec::new();
    all.extend(spec.keep_last.map(|last| format!("last {last}")));
    all.extend(
        spec.keep_newer_seconds
            .map(|time| format!("newer than {}", span(time))),
    );
    all.extend(
        (!spec.keep_matching.is_empty()).then(|| format!("matching {}", spec.keep_matching.join(" "))),
    );
    all.extend(
        spec.keep_pulled_seconds
            .map(|time| format!("pulled within {}", span(time))),
    );
    all.extend(spec.untagged.map(|untagged| match untagged {
        Untagged::Keep => "untagged".to_owned(),
        Untagged::OlderSeconds(time) => format!("untagged for {}", span(time)),
    }));
    all.join(", ")
}

fn show(arguments: &NameArguments) -> Result<(), Failure> {
    let all = rules(&arguments.target.open()?, "retention")?;
    let Some(one) = all.into_iter().find(|one| one.name == arguments.name) else {
        return Err(Failure::missing(
            "LF-CLI-020",
            format!("there is no rule {:?}", arguments.name),
        ));
    };
    if arguments.target.json {
        output::json(&Rule {
            schema: "landfall.policy/1",
            policy: one,
        });
        return Ok(());
    }
    let Policy {
        rule: PolicyRule::Retention(spec),
        ..
    } = &one
    else {
        return Ok(());
    };
    output::line(format!("{}, from {}", one.name, origin(&one)));
    output::line(format!("  repositories  {}", spec.repositories));
    let tags = if spec.tags.is_empty() {
        "all".to_owned()
    } else {
        spec.tags.join(" ")
    };
    output::line(format!("  tags          {tags}"));
    output::line(format!("  keeps         {}", keeps(spec)));
    if let Some(why) = &one.ignored {
        output::line(format!("  ignored       {why}"));
    }
    Ok(())
}

/// `team/**` becomes `team`, `**` becomes `all`.
fn name_of(glob: &str) -> String {
    let words: String = glob
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let mut name = words.trim_matches(['-', '.']).to_owned();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    if name.is_empty() { "all".to_owned() } else { name }
}

/// A name that nobody gave must not be that of a rule about something else, which would be lost.
fn free_name(api: &Api, arguments: &SetArguments) -> Result<String, Failure> {
    if let Some(name) = &arguments.name {
        return Ok(name.clone());
    }
    let name = name_of(&arguments.repositories);
    let taken = rules(api, "retention")?
        .into_iter()
        .find_map(|one| match one.rule {
            PolicyRule::Retention(spec) if one.name == name => Some(spec.repositories),
            _ => None,
        });
    match taken.filter(|taken| *taken != arguments.repositories) {
        Some(taken) => Err(Failure::held(
            "LF-CLI-021",
            format!(
                "the rule {name:?} is about {taken:?}: give this one a name of its own, with --name NAME"
            ),
        )),
        None => Ok(name),
    }
}

fn set(arguments: &SetArguments) -> Result<(), Failure> {
    let api = arguments.target.open()?;
    let spec = RetentionSpec {
        name: free_name(&api, arguments)?,
        repositories: arguments.repositories.clone(),
        tags: arguments.tags.clone(),
        keep_last: arguments.keep_last,
        keep_newer_seconds: arguments.keep_newer,
        keep_matching: arguments.keep_matching.clone(),
        keep_pulled_seconds: arguments.keep_pulled,
        untagged: arguments.untagged,
    };
    let order = PolicyOrder {
        retention: Some(spec),
        ..PolicyOrder::default()
    };
    let done: PolicySet = api.post("/api/v1/policies", &order)?;
    if arguments.target.json {
        print_json(done);
        return Ok(());
    }
    output::line(format!(
        "rule {} is {}; see what it would do: landfall retention dry-run",
        done.name,
        if done.created { "made" } else { "changed" }
    ));
    Ok(())
}

fn of_repository(path: &str, repository: Option<&RepositoryName>) -> String {
    match repository {
        Some(name) => format!("{path}?repository={}", encode(name)),
        None => path.to_owned(),
    }
}

fn totals(api: &Api, repository: Option<&RepositoryName>) -> Result<RetentionTotals, Failure> {
    api.get(&of_repository("/api/v1/retention/dry-run/totals", repository))
}

fn dry_run(target: &Target, repository: Option<&RepositoryName>) -> Result<(), Failure> {
    let api = target.open()?;
    let totals = totals(&api, repository)?;
    let path = of_repository("/api/v1/retention/dry-run", repository);
    let all = api.list::<RetentionDecision>(&path);
    if target.json {
        let items: Vec<RetentionDecision> = all.collect::<Result<_, _>>()?;
        output::json(&DryRun {
            plan: whole(items),
            totals,
        });
        return Ok(());
    }
    let mut table = Table::new(&["", "IMAGE", "WHY"]);
    for one in all {
        let one = one?;
        table.row([
            if one.goes { "goes" } else { "stays" }.to_owned(),
            image(&one),
            one.reason,
        ]);
    }
    table.print();
    output::line(described(&totals));
    Ok(())
}

fn image(one: &RetentionDecision) -> String {
    match &one.tag {
        Some(tag) => format!("{}:{tag}", one.repository),
        None => format!("{}@{}", one.repository, one.digest),
    }
}

fn described(totals: &RetentionTotals) -> String {
    format!(
        "{} of {} and {} would go; {} in the end, {} free once they are purged",
        totals.tags_removed,
        counted(totals.tags_examined, "tag"),
        counted(totals.untagged_removed, "untagged manifest"),
        counted(totals.manifests_removed, "manifest"),
        size(totals.bytes_freed)
    )
}

fn apply(arguments: &RunArguments) -> Result<(), Failure> {
    let (target, repository) = (&arguments.target, arguments.repository.as_ref());
    if arguments.consent.dry_run {
        return dry_run(target, repository);
    }
    let api = target.open()?;
    let totals = totals(&api, repository)?;
    let mut plan = String::new();
    if totals.tags_removed + totals.untagged_removed > 0 {
        for one in api.list::<RetentionDecision>(&of_repository("/api/v1/retention/dry-run", repository)) {
            let one = one?;
            if one.goes {
                let _ = writeln!(plan, "goes  {}  ({})", image(&one), one.reason);
            }
        }
        plan.push_str(&described(&totals));
        plan.push('\n');
        if !arguments.consent.asked(
            &plan,
            "Let them go? They can be restored while their undo window lasts.",
        )? {
            return Ok(());
        }
    }
    let wanted = RetentionRunRequest {
        repository: repository.map(ToString::to_string),
    };
    let report: RetentionReport = api.post("/api/v1/retention/run", &wanted)?;
    if target.json {
        print_json(report);
        return Ok(());
    }
    output::line(format!(
        "run {}: {} went; {} in the end, {} of them at once and {} when their lease ends; they can be \
         restored while their undo window lasts",
        report.id,
        counted(report.tags, "tag"),
        counted(report.manifests, "manifest"),
        report.manifests - report.manifests_following,
        report.manifests_following
    ));
    Ok(())
}

fn history(target: &Target) -> Result<(), Failure> {
    let api = target.open()?;
    let most = if target.json { usize::MAX } else { 100 };
    let all: Vec<RetentionRun> = api
        .list("/api/v1/retention/history")
        .take(most)
        .collect::<Result<_, _>>()?;
    if target.json {
        print_list(all);
        return Ok(());
    }
    for run in &all {
        output::line(format!("run {}  {}", run.id, sentence(run)));
    }
    if all.is_empty() {
        output::line("retention has not run yet");
    }
    Ok(())
}

fn sentence(run: &RetentionRun) -> String {
    let by = run.actor.as_deref().unwrap_or("the schedule");
    let end = match (&run.error, run.finished_at) {
        (Some(error), _) => format!("; it ended early: {error}"),
        (None, None) => "; under way, or its server died".to_owned(),
        (None, Some(_)) => String::new(),
    };
    format!(
        "{} by {by}: {} and {} of {}{end}",
        run.at,
        counted(run.tags, "tag"),
        counted(run.manifests, "manifest"),
        counted(run.repositories, "repository")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_a_name_is_called_as_what_it_matches() {
        for (glob, name) in [
            ("team/app", "team-app"),
            ("team/**", "team"),
            ("**", "all"),
            ("a/*/b", "a-b"),
        ] {
            assert_eq!(name_of(glob), name);
        }
    }
}
