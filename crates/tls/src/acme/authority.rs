//! Questions to the authority: each has an end, and its failure names the authority and the step.
//!
//! The ACME client waits for ever where an authority takes a connection and stays silent, so no call goes without a limit.
//! Source: RFC 8555 section 6.7 (problems), section 8 (which of them are about a proof).

use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeStatus, Order, Problem};

use super::{Acme, Challenge, kind};
use crate::Error;
use crate::error::Try;

/// One request and its answer; slow authorities answer within seconds.
pub(super) const ANSWER: Duration = Duration::from_mins(1);

impl Acme {
    /// Waits for the authority, but not for ever.
    pub(super) async fn ask<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, instant_acme::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(|cause| Error::Authority {
                authority: self.directory.clone(),
                doing,
                cause: Box::new(cause),
            }),
            Err(_) => Err(Error::Silent {
                authority: self.directory.clone(),
                doing,
                seconds: limit.as_secs(),
            }),
        }
    }

    pub(super) fn unproven(
        &self,
        name: impl Into<String>,
        way: Option<Challenge>,
        said: impl Into<String>,
    ) -> Error {
        Error::Unproven {
            authority: self.directory.clone(),
            name: name.into(),
            tries: vec![Try {
                way,
                said: said.into(),
            }],
        }
    }

    /// What the authority says about the name that it could not prove; `told` is what it says about the whole order.
    pub(super) async fn why(&self, order: &mut Order, used: &[Challenge], told: String) -> Error {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let name = authorization.identifier().to_string();
            // What is known of it is from before the proof.
            let asked = self.ask("asking why", ANSWER, authorization.refresh()).await;
            if asked.is_err() || authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let failed = authorization
                .challenges
                .iter()
                .find(|one| one.error.is_some() || one.status == ChallengeStatus::Invalid);
            if let Some(failed) = failed {
                let way = used.iter().find(|way| kind(**way) == failed.r#type).copied();
                let said = failed
                    .error
                    .as_ref()
                    .map_or("no reason was given".to_owned(), said);
                return self.unproven(name, way, said);
            }
        }
        self.unproven("the order", used.first().copied(), told)
    }
}

pub(super) fn said(problem: &Problem) -> String {
    let detail = problem.detail.clone();
    detail
        .or_else(|| problem.r#type.clone())
        .unwrap_or_else(|| "no reason was given".into())
}

/// Whether a problem says that a proof was looked for and not found, not that the request was wrong.
pub(super) fn is_about_the_proof(problem: &Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    matches!(
        kind.rsplit(':').next(),
        Some("connection" | "dns" | "tls" | "unauthorized" | "incorrectResponse")
    )
}
