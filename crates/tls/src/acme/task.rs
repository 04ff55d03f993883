//! The task that keeps a certificate of an authority: when to order, and what happens after a failure.
//!
//! Shape: [`Acme::run`]. Units: seconds since 1970 of the clock that is handed in. Failures are logged once each, with what is
//! served meanwhile and when the next attempt comes; none ends the task.
//! Source: RFC 9773 section 4.2 (a random moment in the authority's window).

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Acme;
use super::account::blocking;
use super::authority::ANSWER;
use crate::{Certificates, Error, Pair};

/// The first pause after a failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// The same after a proof that failed: authorities count those (Let's Encrypt: five in an
/// hour), and what has to be mended takes longer anyway.
const RETRY_UNPROVEN: Duration = Duration::from_mins(10);
const RETRY_MAX: Duration = Duration::from_hours(6);
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at what the authority says about renewal.
const ASK_AGAIN: Duration = Duration::from_hours(6);

/// From when until when the authority wants a renewal.
type Window = (i64, i64);

/// When what is due.
struct Schedule {
    due: i64,
    window: Option<Window>,
    asked: i64,
    failures: u32,
}

impl Acme {
    /// Gets and renews, until `stop`.
    pub async fn run(self, certificates: Arc<Certificates>, now: fn() -> i64, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.renew(&certificates, now) => {}
            () = stand_in(&certificates, now) => {}
        }
    }

    async fn renew(&self, certificates: &Certificates, now: fn() -> i64) {
        let mut schedule = Schedule {
            due: now(),
            window: None,
            asked: now(),
            failures: 0,
        };
        if let Some(pair) = self.kept_soon(now()).await {
            self.plan(&mut schedule, &pair).await;
        }
        loop {
            let wanted = self.take_marker();
            if wanted || now() >= schedule.due {
                let old = self.kept_soon(now()).await;
                let outcome = self.obtain(certificates, old.as_ref()).await;
                self.settle(&mut schedule, outcome, certificates, now).await;
                schedule.asked = now();
            } else if now() - schedule.asked > seconds(ASK_AGAIN) {
                schedule.asked = now();
                if let Some(pair) = self.kept_soon(now()).await
                    && schedule.failures == 0
                {
                    self.plan(&mut schedule, &pair).await;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What an order led to, and what is next.
    async fn settle(
        &self,
        schedule: &mut Schedule,
        outcome: Result<Pair, Error>,
        certificates: &Certificates,
        now: fn() -> i64,
    ) {
        match outcome {
            Ok(pair) => {
                certificates.set_issued(pair.clone());
                tracing::info!(
                    names = pair.facts.names.join(" "),
                    issuer = pair.facts.issuer,
                    until = pair.facts.not_after,
                    "a certificate was issued and is in use"
                );
                schedule.failures = 0;
                schedule.window = None;
                schedule.due = usual(&pair);
                self.plan(schedule, &pair).await;
            }
            Err(error) => {
                let pause = pause(&error, schedule.failures);
                schedule.failures = schedule.failures.saturating_add(1);
                schedule.due = now().saturating_add(seconds(pause));
                let serving = certificates.issued_facts().or_else(|| certificates.local_facts());
                tracing::error!(code = error.code(), "{error}");
                tracing::warn!(
                    retry_seconds = pause.as_secs(),
                    issuer = serving.map(|facts| facts.issuer).unwrap_or_default(),
                    "no certificate from {}; serving with the one at hand meanwhile, and trying again",
                    self.directory
                );
            }
        }
    }

    fn take_marker(&self) -> bool {
        std::fs::remove_file(Self::renew_marker(&self.folder)).is_ok()
    }

    async fn kept_soon(&self, now: i64) -> Option<Pair> {
        let this = self.clone();
        blocking(move || this.kept(now)).await.ok().flatten()
    }

    /// When to renew: at a moment of the authority's window where it names one, else after two thirds of the life.
    async fn plan(&self, schedule: &mut Schedule, pair: &Pair) {
        match self.window(pair).await {
            // The moment is drawn once for each window: drawn again and again, the earliest would win.
            Some(window) if schedule.window == Some(window) => {}
            Some(window) => {
                schedule.window = Some(window);
                schedule.due = moment_in(window, random()).min(pair.facts.not_after);
                tracing::info!(
                    from = window.0,
                    until = window.1,
                    at = schedule.due,
                    "the authority says when this certificate is to be renewed"
                );
            }
            None if schedule.window.is_some() => {}
            None => schedule.due = usual(pair),
        }
    }

    async fn window(&self, pair: &Pair) -> Option<Window> {
        let first = pair.key.cert.first()?;
        let id = instant_acme::CertificateIdentifier::try_from(first).ok()?;
        let account = self.account().await.ok()?;
        let asking = account.renewal_info(&id);
        let (info, _) = self.ask("asking when to renew", ANSWER, asking).await.ok()?;
        let (start, end) = (info.suggested_window.start, info.suggested_window.end);
        let window = (start.unix_timestamp(), end.unix_timestamp());
        (window.1 > window.0).then_some(window)
    }
}

/// A certificate that is over is worse than the local CA's: clients can be told to trust that one.
async fn stand_in(certificates: &Certificates, now: fn() -> i64) {
    let mut over: Option<Arc<Pair>> = None;
    loop {
        let is_over = |until: i64| until <= now();
        match certificates.issued_facts() {
            Some(facts) if is_over(facts.not_after) && certificates.local_facts().is_some() => {
                over = certificates.take_issued();
                tracing::error!(
                    code = "LF-TLS-023",
                    issuer = facts.issuer,
                    until = facts.not_after,
                    "the certificate is over, and no new one came: the local CA serves until one does\n  \
                     why   the log says why each renewal failed\n  \
                     fix   mend that, then: landfall tls renew; clients that cannot wait: landfall tls trust --print docker"
                );
            }
            Some(_) => over = None,
            // A clock that ran ahead, and was set right.
            None => {
                if let Some(pair) = over.take_if(|pair| !is_over(pair.facts.not_after)) {
                    certificates.set_issued((*pair).clone());
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn usual(pair: &Pair) -> i64 {
    let facts = &pair.facts;
    facts.not_after - (facts.not_after - facts.not_before) / 3
}

/// `share` of `u32::MAX` into the window.
fn moment_in((start, end): Window, share: u32) -> i64 {
    let into = i128::from(end - start) * i128::from(share) / i128::from(u32::MAX);
    start + i64::try_from(into).unwrap_or(0)
}

fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn pause(error: &Error, failures: u32) -> Duration {
    let counts = matches!(error, Error::Unproven { .. });
    let first = if counts { RETRY_UNPROVEN } else { RETRY_FIRST };
    first.saturating_mul(1 << failures.min(10)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unproven() -> Error {
        Error::Unproven {
            authority: String::new(),
            name: String::new(),
            tries: Vec::new(),
        }
    }

    #[test]
    fn an_authority_that_is_away_is_asked_again_soon_and_then_less_and_less_often() {
        let away = Error::Silent {
            authority: String::new(),
            doing: "",
            seconds: 0,
        };
        let pauses: Vec<_> = (0..4).map(|failures| pause(&away, failures).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240]);
        assert_eq!(pause(&away, 40), RETRY_MAX);
    }

    #[test]
    fn a_failed_proof_is_not_repeated_before_it_can_be_mended() {
        assert_eq!(pause(&unproven(), 0), RETRY_UNPROVEN);
        assert_eq!(pause(&unproven(), 1), RETRY_UNPROVEN * 2);
    }

    #[test]
    fn a_renewal_falls_into_the_authoritys_window() {
        let window = (1000, 2000);
        assert_eq!(moment_in(window, 0), 1000);
        assert_eq!(moment_in(window, u32::MAX), 2000);
        assert!((1400..1600).contains(&moment_in(window, u32::MAX / 2)));
    }
}
