//! Read-only: whether writes are taken, and the orders to refuse them and to take them again.

use http::Method;

use super::{Answer, Api, Call, Doc, Given, Refusal};
use crate::api::{Mode, ModeRequest};

/// A reason is one sentence: clients show it.
const REASON_CHARS_MAX: usize = 200;

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/mode",
        show,
        Doc::new("Whether writes are taken, and who said so").answers::<Mode>(),
    )
    .at(
        &Method::POST,
        "/api/v1/mode",
        set,
        Doc::new("Refuses writes, or takes them again; for all servers on this catalog, over restarts")
            .takes::<ModeRequest>()
            .answers::<Mode>(),
    )
}

async fn show(call: Call) -> Answer<Mode> {
    Answer(of_mode(call.registry().mode()))
}

async fn set(call: Call, Given(wanted): Given<ModeRequest>) -> Result<Answer<Mode>, Refusal> {
    let reason = wanted
        .reason
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    if reason
        .is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX || reason.contains(char::is_control))
    {
        return Err(Refusal::bad(format!(
            "`reason` is one line of at most {REASON_CHARS_MAX} characters: clients show it"
        )));
    }
    if reason.is_some() && !wanted.read_only {
        return Err(Refusal::bad(
            "`reason` is why writes are refused; nobody is told one while they are taken",
        ));
    }
    let mode = call
        .registry()
        .set_mode(wanted.read_only, reason, call.actor())
        .await?;
    Ok(Answer(of_mode(mode)))
}

fn of_mode(mode: registry::Mode) -> Mode {
    Mode {
        read_only: mode.read_only,
        by_setting: mode.by_setting,
        by_command: mode.by_command,
        reason: mode.reason,
        set_by: mode.set_by,
        set_at: mode.set_at.map(Into::into),
    }
}
