//! Checks: every row has its bytes, every byte its row or its place in a queue.

use http::Method;
use registry::{Check, CheckReport, CheckRun};

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Refusal};
use crate::api::{CheckCounts, CheckOrder, CheckProblem, CheckStatus};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::POST,
        "/api/v1/check",
        begin,
        Doc::new("Begins to compare the catalog with the stored files; nothing is changed")
            .takes::<CheckOrder>()
            .answers::<CheckStatus>(),
    )
    .at(
        &Method::GET,
        "/api/v1/check",
        status,
        Doc::new("How far the last check is, or what it came to").answers::<CheckStatus>(),
    )
    .at(
        &Method::GET,
        "/api/v1/check/problems",
        problems,
        Doc::new("What the last check found, at most the first 10,000 problems")
            .paged()
            .lists::<CheckProblem>(),
    )
}

async fn begin(call: Call, Given(order): Given<CheckOrder>) -> Result<Answer<CheckStatus>, Refusal> {
    if order.rate == Some(0) {
        return Err(Refusal::bad(
            "`rate` is at least 1 byte a second; without it, the disk decides",
        ));
    }
    let how = Check {
        deep: order.deep,
        rate: order.rate,
    };
    let begun = call.registry().check_begin(how)?;
    Ok(Answer(begun.into()))
}

async fn status(call: Call) -> Result<Answer<CheckStatus>, Refusal> {
    match call.registry().check_status() {
        Some(run) => Ok(Answer(run.into())),
        None => Err(Refusal::missing(
            "nobody asked for a check since the server started: POST begins one",
        )),
    }
}

async fn problems(call: Call, page: Page) -> Result<Listing<CheckProblem>, Refusal> {
    let first: usize = page.after()?.unwrap_or(0);
    let found = call.registry().check_problems(first, page.limit);
    let next = (found.len() == page.limit).then_some(first.saturating_add(found.len()));
    let items = found.iter().map(|problem| CheckProblem {
        what: problem.to_string(),
        fix: problem.fix().to_owned(),
    });
    Ok(Listing::new(items.collect(), next.as_ref()))
}

impl From<CheckRun> for CheckStatus {
    fn from(run: CheckRun) -> Self {
        Self {
            deep: run.how.deep,
            started_at: run.started_at.into(),
            ended_at: run.ended_at.map(Into::into),
            counts: run.report.into(),
            failure: run.failure,
        }
    }
}

impl From<CheckReport> for CheckCounts {
    fn from(report: CheckReport) -> Self {
        Self {
            blobs: report.blobs,
            inline: report.inline,
            manifests: report.manifests,
            bytes: report.bytes,
            hashed_bytes: report.hashed_bytes,
            files: report.files,
            tombstones: report.tombstones,
            quarantine: report.aside,
            uploads: report.uploads,
            unknown: report.unknown,
            left_uploads: report.left_uploads,
            strangers: report.strangers,
            problems: report.problems,
        }
    }
}
