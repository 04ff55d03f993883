//! Scrub: how it stands, a run through everything or a sample of it, what is damaged and who needs it, pauses.

use http::{Method, StatusCode};
use registry::{DamagedContent, Needs, ScrubWanted, SourceName};

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Refusal};
use crate::api::{
    DamageCause, Damaged, DamagedKind, NeededBy, ScrubOrder, ScrubPause, ScrubResumed, ScrubRun, ScrubStatus,
    SourceFailure,
};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/scrub",
        status,
        Doc::new("How the reading back of stored bytes stands, and how far a run is")
            .answers::<ScrubStatus>(),
    )
    .at(
        &Method::GET,
        "/api/v1/scrub/damaged",
        damaged,
        Doc::new("What is damaged, and the repositories and tags that need it")
            .paged()
            .lists::<Damaged>(),
    )
    .at(
        &Method::POST,
        "/api/v1/scrub/run",
        run,
        Doc::new("Begins to read back every file or a sample, and to heal what is damaged from a source")
            .takes::<ScrubOrder>()
            .answers::<ScrubRun>(),
    )
    .at(
        &Method::POST,
        "/api/v1/scrub/pause",
        pause,
        Doc::new("Nothing is read back by itself for a day, or until resumed").answers::<ScrubPause>(),
    )
    .at(
        &Method::POST,
        "/api/v1/scrub/resume",
        resume,
        Doc::new("Ends a pause").answers::<ScrubResumed>(),
    )
}

async fn status(call: Call) -> Result<Answer<ScrubStatus>, Refusal> {
    let status = call.registry().scrub_status().await?;
    Ok(Answer(status.into()))
}

async fn damaged(call: Call, page: Page) -> Result<Listing<Damaged>, Refusal> {
    let after: i64 = page.after()?.unwrap_or(0);
    let found = call.registry().damages(after, page.limit).await?;
    let last = found
        .last()
        .filter(|_| found.len() == page.limit)
        .map(|last| last.id);
    let items = found.into_iter().map(Damaged::from).collect();
    Ok(Listing::new(items, last.as_ref()))
}

async fn run(call: Call, Given(order): Given<ScrubOrder>) -> Result<Answer<ScrubRun>, Refusal> {
    let sample = order.sample.unwrap_or(ScrubWanted::ALL);
    if sample > ScrubWanted::ALL {
        return Err(Refusal::bad(format!(
            "`sample` is at most {}: of that many",
            ScrubWanted::ALL
        )));
    }
    if order.rate == Some(0) {
        return Err(Refusal::bad(
            "`rate` is at least 1 byte a second; without it, the disk decides",
        ));
    }
    let source = match order.repair_from {
        None => None,
        Some(_) if !call.actor().starts_with("local:") => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "LF-API-016",
                "the server goes to `repair_from` with its own rights, so only who is on its machine may say where that is: \
                 run the command there",
            ));
        }
        Some(source) => {
            let login = source.username.zip(source.password);
            let name = SourceName {
                place: source.place,
                login,
            };
            Some(call.registry().source(&name)?)
        }
    };
    let wanted = ScrubWanted {
        sample,
        rate: order.rate,
    };
    let begun = call.registry().scrub_begin(wanted, source)?;
    Ok(Answer(begun.into()))
}

async fn pause(call: Call) -> Result<Answer<ScrubPause>, Refusal> {
    let until = call.registry().scrub_pause(call.actor()).await?;
    Ok(Answer(ScrubPause {
        by: call.actor().to_owned(),
        until: until.into(),
    }))
}

async fn resume(call: Call) -> Result<Answer<ScrubResumed>, Refusal> {
    let was_paused = call.registry().scrub_resume().await?;
    Ok(Answer(ScrubResumed { was_paused }))
}

impl From<registry::ScrubStatus> for ScrubStatus {
    fn from(status: registry::ScrubStatus) -> Self {
        let pause = status.pause.map(|(by, until)| ScrubPause {
            by,
            until: until.into(),
        });
        Self {
            rate: status.rate,
            pause,
            read_only: status.read_only,
            damaged: status.damaged,
            suspects: status.suspects,
            oldest_verified_at: status.oldest_verified_at.map(Into::into),
            read_bytes: status.read_bytes,
            run: status.run.map(Into::into),
        }
    }
}

impl From<registry::ScrubRun> for ScrubRun {
    fn from(run: registry::ScrubRun) -> Self {
        Self {
            started_at: run.started_at.into(),
            ended_at: run.ended_at.map(Into::into),
            files: run.files,
            bytes: run.bytes,
            found: run.found,
            healed: run.healed,
            not_healed: run.not_healed,
            failure: run.failure,
            source_failure: run.source_failure.map(|failure| match failure {
                registry::SourceFailure::Unreachable => SourceFailure::Unreachable,
                registry::SourceFailure::Login => SourceFailure::Login,
            }),
        }
    }
}

impl From<DamagedContent> for Damaged {
    fn from(damaged: DamagedContent) -> Self {
        let needed_by = |needs: Needs| NeededBy {
            repository: needs.repository.to_string(),
            manifest: needs.manifest.to_string(),
            tags: needs.tags.iter().map(ToString::to_string).collect(),
        };
        Self {
            digest: damaged.digest.to_string(),
            size: damaged.size,
            kind: if damaged.is_manifest {
                DamagedKind::Manifest
            } else {
                DamagedKind::Blob
            },
            cause: match damaged.cause {
                registry::DamageCause::Missing => DamageCause::Missing,
                registry::DamageCause::WrongSize => DamageCause::WrongSize,
                registry::DamageCause::Changed => DamageCause::Changed,
                registry::DamageCause::Unreadable => DamageCause::Unreadable,
            },
            found_at: damaged.found_at.into(),
            needed_by: damaged.needed_by.into_iter().map(needed_by).collect(),
        }
    }
}
