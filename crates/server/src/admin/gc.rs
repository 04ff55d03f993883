//! Garbage collection: what waits and until when, and the orders to hurry, to pause and to go on.

use http::Method;
use registry::{GcWait, Pause, PauseCause, Pending, Rules};

use super::{Answer, Api, Call, Doc, Given, Refusal};
use crate::api::{
    GcPause, GcPending, GcResumed, GcRun, GcRunRequest, GcStatus, GcUrgent, GcWaiting, PendingKind,
};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/gc",
        status,
        Doc::new("What waits to be collected, when each kind will be gone, and why less goes than is due")
            .answers::<GcStatus>(),
    )
    .at(
        &Method::POST,
        "/api/v1/gc/run",
        run,
        Doc::new("Collects all that is due now, and says what went; of `urgent` repositories the whole trash, for good")
            .takes::<GcRunRequest>()
            .answers::<GcRun>(),
    )
    .at(
        &Method::POST,
        "/api/v1/gc/pause",
        pause,
        Doc::new("Collects nothing for a day, or until resumed").answers::<GcPause>(),
    )
    .at(
        &Method::POST,
        "/api/v1/gc/resume",
        resume,
        Doc::new("Ends every pause, also one because of the clock").answers::<GcResumed>(),
    )
}

async fn status(call: Call) -> Result<Answer<GcStatus>, Refusal> {
    let (pending, bytes_held) = pending(&call).await?;
    let waiting = call.registry().gc_wait().await?.map(waiting);
    Ok(Answer(GcStatus {
        pending,
        bytes_held,
        waiting,
    }))
}

/// What waits, and whether somebody holds all bytes.
pub(super) async fn pending(call: &Call) -> Result<(GcPending, bool), Refusal> {
    let status = call.registry().gc_status().await?;
    let rules = call.registry().rules();
    let pending = GcPending {
        trash: kind(status.trash, after_trash(&rules)),
        // No client counts on what is in them.
        repositories: kind(status.repositories, rules.read_grace_ms),
        leased: kind(status.leased, rules.read_grace_ms),
        files: kind(status.tombstones, 0),
        quarantine: found(status.orphans, rules.orphan_hold_ms),
    };
    Ok((pending, status.sweep_held))
}

async fn run(call: Call, Given(wanted): Given<GcRunRequest>) -> Result<Answer<GcRun>, Refusal> {
    let (urgent, ended) = urgent(&call, &wanted).await?;
    let run = if wanted.dry_run {
        registry::GcRun::default()
    } else {
        call.registry().gc_run().await?
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(Answer(GcRun {
        urgent,
        trashed: count(run.trashed),
        purged: count(run.purged + ended),
        blobs: count(run.blobs),
        files: count(run.files),
        bytes: run.bytes,
        waiting: run.waits.map(waiting),
    }))
}

/// A deleted repository is the trash as a whole, which has an end of its own.
fn of_deleted(name: &oci::RepositoryName, error: registry::Error) -> Refusal {
    match error {
        registry::Error::Gone(gone)
            if matches!(gone.fate, registry::Fate::RepositoryDeleted) && gone.until.is_some() =>
        {
            Refusal::conflict(format!(
                "repository {name} is deleted: `landfall trash empty --repo {name}` gives its space back at once"
            ))
        }
        other => other.into(),
    }
}

/// What is ended at once, and how many manifests that was: first all of it is looked at, so that a name that is not there ends nothing.
async fn urgent(call: &Call, wanted: &GcRunRequest) -> Result<(Vec<GcUrgent>, usize), Refusal> {
    if wanted.dry_run && wanted.urgent.is_empty() {
        return Err(Refusal::bad(
            "`dry_run` shows what `urgent` would do: name repositories",
        ));
    }
    let mut names = Vec::new();
    for name in &wanted.urgent {
        let name: oci::RepositoryName = name.parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut plan = Vec::new();
    for name in &names {
        let (manifests, bytes, gone_by) = call
            .registry()
            .urgent_plan(name)
            .await
            .map_err(|error| of_deleted(name, error))?;
        plan.push(GcUrgent {
            repository: name.to_string(),
            manifests,
            bytes,
            gone_by: gone_by.into(),
        });
    }
    if wanted.dry_run || names.is_empty() {
        return Ok((plan, 0));
    }
    match call.registry().gc_wait().await? {
        Some(GcWait::Paused(pause)) => {
            let message = format!(
                "collection is paused by {} until {}: resume it first, or leave it for then",
                pause.by,
                crate::api::Time(pause.until)
            );
            return Err(Refusal::conflict(message));
        }
        Some(GcWait::ReadOnly) => return Err(call.registry().read_only().into()),
        Some(GcWait::Started { .. }) | None => {}
    }
    let mut ended = 0;
    for name in &names {
        ended += call.registry().gc_urgent(name).await?;
    }
    tracing::info!(
        by = call.actor(),
        repositories = wanted.urgent.join(" "),
        "the trash was ended at once, as asked for"
    );
    Ok((plan, ended))
}

async fn pause(call: Call) -> Result<Answer<GcPause>, Refusal> {
    let pause = call.registry().gc_pause(call.actor()).await?;
    Ok(Answer(GcPause {
        by: pause.by,
        until: pause.until.into(),
    }))
}

async fn resume(call: Call) -> Result<Answer<GcResumed>, Refusal> {
    let was_paused = call.registry().gc_resume().await?;
    Ok(Answer(GcResumed { was_paused }))
}

/// From the end of the undo window until the bytes are gone, at most.
fn after_trash(rules: &Rules) -> i64 {
    rules.lease_ms.saturating_add(rules.read_grace_ms)
}

fn kind(pending: Pending, then_ms: i64) -> PendingKind {
    PendingKind {
        count: pending.count,
        bytes: pending.bytes,
        first_at: pending.first_at.map(Into::into),
        last_at: pending.last_at.map(Into::into),
        gone_by: pending.last_at.map(|last| last.saturating_add(then_ms).into()),
    }
}

/// Of what lies aside the catalog says when it was found; its time comes a hold later.
fn found(pending: Pending, hold_ms: i64) -> PendingKind {
    let later = |at: Option<i64>| at.map(|at| at.saturating_add(hold_ms));
    kind(
        Pending {
            first_at: later(pending.first_at),
            last_at: later(pending.last_at),
            ..pending
        },
        0,
    )
}

pub(super) fn waiting(wait: GcWait) -> GcWaiting {
    match wait {
        GcWait::ReadOnly => GcWaiting::ReadOnly,
        GcWait::Started { until } => GcWaiting::Started { until: until.into() },
        GcWait::Paused(Pause { cause, by, until }) => {
            let until = until.into();
            match cause {
                PauseCause::Operator => GcWaiting::Paused { by, until },
                PauseCause::Clock => GcWaiting::Clock { by, until },
            }
        }
    }
}
