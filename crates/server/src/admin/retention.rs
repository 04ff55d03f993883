//! Retention: when it runs, what it would do, the order to do it now, and what it did.

use http::Method;
use oci::RepositoryName;
use registry::{Decision, RetentionCursor, Verdict};
use utoipa::openapi::schema::Type;

use super::gc::waiting;
use super::{Answer, Api, Call, Doc, Given, Listing, Page, Params, Refusal};
use crate::api::{
    RetentionDecision, RetentionReport, RetentionRun, RetentionRunRequest, RetentionStatus, RetentionTotals,
};

pub(super) fn routes(api: Api) -> Api {
    const WHERE: &str = "only this repository";
    api.at(
        &Method::GET,
        "/api/v1/retention",
        status,
        Doc::new("When retention runs, and how the last run went").answers::<RetentionStatus>(),
    )
    .at(
        &Method::GET,
        "/api/v1/retention/dry-run",
        plan,
        Doc::new("What a run would do with each tag that a rule may be about, and why; nothing is changed")
            .query("repository", Type::String, WHERE)
            .paged()
            .lists::<RetentionDecision>(),
    )
    .at(
        &Method::GET,
        "/api/v1/retention/dry-run/totals",
        totals,
        Doc::new("What a run would do, in numbers; nothing is changed")
            .query("repository", Type::String, WHERE)
            .answers::<RetentionTotals>(),
    )
    .at(
        &Method::POST,
        "/api/v1/retention/run",
        run,
        Doc::new("Removes now what the rules let go; each can be restored until the undo window ends")
            .takes::<RetentionRunRequest>()
            .answers::<RetentionReport>(),
    )
    .at(
        &Method::GET,
        "/api/v1/retention/history",
        history,
        Doc::new("Runs, newest first").paged().lists::<RetentionRun>(),
    )
}

async fn status(call: Call) -> Result<Answer<RetentionStatus>, Refusal> {
    let registry = call.registry();
    let last = registry.retention_history(None, 1).await?;
    let schedule = registry.rules().written.schedule.clone();
    let counted = registry
        .retention_rules()
        .into_iter()
        .filter(|rule| rule.ignored.is_none());
    let next = registry.retention_next().await?;
    Ok(Answer(RetentionStatus {
        schedule: schedule.map(|schedule| schedule.text().to_owned()),
        next_at: next.at.map(Into::into),
        waiting: next.waits.map(waiting),
        rules: counted.count() as u64,
        last_run: last.into_iter().next().map(of_run),
    }))
}

fn repository(params: &Params) -> Result<Option<RepositoryName>, Refusal> {
    params.get("repository")
}

async fn plan(call: Call, params: Params, page: Page) -> Result<Listing<RetentionDecision>, Refusal> {
    let only = repository(&params)?;
    let from: Option<RetentionCursor> = page.after()?;
    let plan = call
        .registry()
        .retention_plan(only.as_ref(), from, page.limit)
        .await?;
    let items = plan.decisions.into_iter().map(of_decision).collect();
    Ok(Listing::new(items, plan.next.as_ref()))
}

async fn totals(call: Call, params: Params) -> Result<Answer<RetentionTotals>, Refusal> {
    let only = repository(&params)?;
    let totals = call.registry().retention_totals(only.as_ref()).await?;
    Ok(Answer(RetentionTotals {
        repositories: totals.repositories,
        tags_examined: totals.tags_examined,
        tags_removed: totals.tags_removed,
        untagged_removed: totals.untagged_removed,
        manifests_removed: totals.freed.manifests,
        bytes_freed: totals.freed.bytes,
    }))
}

async fn run(
    call: Call,
    Given(wanted): Given<RetentionRunRequest>,
) -> Result<Answer<RetentionReport>, Refusal> {
    let only: Option<RepositoryName> = wanted.repository.map(|name| name.parse()).transpose()?;
    let report = call.registry().retention_run(only.as_ref(), call.actor()).await?;
    Ok(Answer(RetentionReport {
        id: report.id,
        repositories: report.repositories,
        tags: report.tags,
        manifests: report.manifests,
        manifests_following: report.following,
        changed: report.changed,
    }))
}

async fn history(call: Call, page: Page) -> Result<Listing<RetentionRun>, Refusal> {
    let mut runs = call
        .registry()
        .retention_history(page.after()?, page.limit + 1)
        .await?;
    let more = runs.len() > page.limit;
    runs.truncate(page.limit);
    let next = runs.last().filter(|_| more).map(|run| run.id);
    Ok(Listing::new(
        runs.into_iter().map(of_run).collect(),
        next.as_ref(),
    ))
}

fn of_run(run: registry::RetentionRun) -> RetentionRun {
    RetentionRun {
        id: run.id,
        at: run.at.into(),
        finished_at: run.finished_at.map(Into::into),
        actor: run.actor,
        repositories: run.outcome.repositories,
        tags: run.outcome.tags,
        manifests: run.outcome.manifests,
        error: run.outcome.error,
    }
}

fn of_decision(one: Decision) -> RetentionDecision {
    let (goes, reason) = match &one.verdict {
        Verdict::NoRule => (false, "no rule is about it".to_owned()),
        Verdict::Stays(reason) => (false, reason.to_string()),
        Verdict::Goes(rules) => (true, rules.join(", ")),
    };
    RetentionDecision {
        repository: one.repository.to_string(),
        tag: one.tag.map(|tag| tag.to_string()),
        digest: one.digest.to_string(),
        since: one.since.into(),
        pulled_at: one.pulled_at.map(Into::into),
        goes,
        reason,
    }
}
