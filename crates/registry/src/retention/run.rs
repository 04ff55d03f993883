//! A run: the walk, and what it decided done, a small batch in each transaction.

use std::sync::Arc;

use catalog::{PauseCause, Removal, Removed, Retaining, RunOutcome, Turn, WouldFree};
use oci::RepositoryName;
use policy::Verdict;

use super::walk::Walk;
use super::{Decision, RetentionCursor, RetentionReport, STEP};
use crate::jobs::GcWait;
use crate::{Error, Registry};

/// What goes in one transaction: few enough that a client who comes meanwhile waits some milliseconds.
const BATCH: usize = 64;
/// The name of the turn.
const TURN: &str = "retention";
/// How long a turn lasts unless it is renewed, which each batch does.
const TURN_MS: i64 = 10 * 60 * 1000;

impl Registry {
    /// Removes what the rules let go, in one repository or in all; `by` is who asks for it.
    pub async fn retention_run(
        &self,
        only: Option<&RepositoryName>,
        by: &str,
    ) -> Result<RetentionReport, Error> {
        let (registry, only, by) = (self.clone(), only.cloned(), by.to_owned());
        self.to_the_end(async move { registry.retain_all(only, Some(&by)).await })
            .await
    }

    pub(crate) async fn retain_all(
        &self,
        only: Option<RepositoryName>,
        by: Option<&str>,
    ) -> Result<RetentionReport, Error> {
        let Ok(_one_at_a_time) = self.inner.retaining.turn.try_lock() else {
            return Err(Error::RetentionBusy);
        };
        self.may_retain().await?;
        let walk = self.begin_walk(only)?;
        let turn = self.take_turn().await?;
        let (at, actor) = (walk.now, by.map(str::to_owned));
        let id = self
            .inner
            .catalog
            .write(move |tx| catalog::begin_run(tx, at, actor.is_none(), actor.as_deref()))
            .await?;
        let mut report = RetentionReport {
            id,
            ..RetentionReport::default()
        };
        let mut untagged = Vec::new();
        let outcome = self
            .walk_and_remove(&walk, &turn, by, &mut report, &mut untagged)
            .await;
        let counted = self.count_following(untagged).await;
        report.following = counted.as_ref().map_or(0, |&following| following);
        report.manifests += report.following;
        let outcome = outcome.and(counted.map(drop));
        let done = RunOutcome {
            repositories: report.repositories,
            tags: report.tags,
            manifests: report.manifests,
            error: outcome.as_ref().err().map(ToString::to_string),
        };
        let now = self.now();
        let ended = self
            .inner
            .catalog
            .write(move |tx| {
                catalog::finish_run(tx, id, now, &done)?;
                catalog::end_turn(tx, &turn)
            })
            .await;
        outcome?;
        ended?;
        Ok(report)
    }

    /// Not while no write is taken, and not while nobody knows what time it is.
    async fn may_retain(&self) -> Result<(), Error> {
        match self.gc_wait().await? {
            Some(GcWait::ReadOnly) => Err(self.read_only()),
            Some(GcWait::Paused(pause)) if pause.cause == PauseCause::Clock => {
                Err(Error::RetentionWaits(format!(
                    "{}, so no age can be trusted; check the clock, then `landfall gc resume`",
                    pause.by
                )))
            }
            Some(GcWait::Paused(_) | GcWait::Started { .. }) | None => Ok(()),
        }
    }

    async fn take_turn(&self) -> Result<Turn, Error> {
        let (owner, now) = (self.inner.retaining.owner.clone(), self.now());
        let turn = self
            .inner
            .catalog
            .maintain(move |tx| catalog::take_turn(tx, TURN, &owner, now, now.saturating_add(TURN_MS)))
            .await?;
        turn.ok_or(Error::RetentionBusy)
    }

    async fn walk_and_remove(
        &self,
        walk: &Walk,
        turn: &Turn,
        by: Option<&str>,
        report: &mut RetentionReport,
        untagged: &mut Vec<(i64, i64)>,
    ) -> Result<(), Error> {
        let (mut next, mut last) = (Some(RetentionCursor::default()), None);
        while let Some(cursor) = next {
            let step = self.step_of(walk, cursor, STEP).await?;
            if let Some(one) = step
                .decisions
                .first()
                .filter(|one| last.as_ref() != Some(&one.repository))
            {
                report.repositories += 1;
                last = Some(one.repository.clone());
            }
            let going: Vec<Removal> = step
                .decisions
                .iter()
                .filter_map(|one| removal(one, report.id))
                .collect();
            for batch in going.chunks(BATCH) {
                let Some(repository) = &last else { break };
                let removed = self.remove(walk, turn, by, repository, batch).await?;
                report.tags += removed.tags as u64;
                report.manifests += removed.manifests as u64;
                report.changed += removed.changed as u64;
                untagged.extend(removed.untagged);
            }
            next = step.next;
        }
        Ok(())
    }

    /// How many manifests follow those that lost their last tag, these too, when the lease ends.
    async fn count_following(&self, untagged: Vec<(i64, i64)>) -> Result<u64, Error> {
        let mut going = WouldFree::default();
        going.lost_tags(untagged);
        loop {
            let count = move |tx: &mut catalog::Tx<'_>| {
                let mut going = std::mem::take(&mut going);
                let counted = going.count(tx, STEP)?;
                Ok((going, counted))
            };
            let counted;
            (going, counted) = self.inner.catalog.read(count).await?;
            if let Some(counted) = counted {
                return Ok(counted);
            }
        }
    }

    async fn remove(
        &self,
        walk: &Walk,
        turn: &Turn,
        by: Option<&str>,
        repository: &RepositoryName,
        batch: &[Removal],
    ) -> Result<Removed, Error> {
        self.may_retain().await?;
        if !Arc::ptr_eq(&self.inner.policies.in_force(), &walk.rules) {
            return Err(Error::RetentionWaits(
                "a rule changed while it ran; what it did stands, and the next run goes by the new rules"
                    .to_owned(),
            ));
        }
        let renewed = self.take_turn().await?;
        let with = Retaining {
            repo: repository.clone(),
            turn: turn.clone(),
            now: self.now(),
            keep_ms: self.keep_ms(),
            undo_ms: self.rules().undo_window_ms,
            actor: by.map(str::to_owned),
        };
        let batch = batch.to_vec();
        let removed = self
            .inner
            .catalog
            .maintain(move |tx| catalog::retain(tx, &with, &batch))
            .await?;
        removed
            .filter(|_| renewed.epoch == turn.epoch)
            .ok_or(Error::RetentionBusy)
    }
}

fn removal(one: &Decision, run: i64) -> Option<Removal> {
    let Verdict::Goes(rules) = &one.verdict else {
        return None;
    };
    let reason = catalog::retention_reason(run, rules);
    Some(match (&one.tag, one.mark) {
        (Some(tag), (event, ranked_at)) => Removal::Tag {
            tag: tag.clone(),
            event,
            ranked_at,
            pulled_at: one.pulled_at,
            reason,
        },
        (None, (loose_at, _)) => Removal::Untagged {
            digest: one.digest.clone(),
            loose_at,
            reason,
        },
    })
}
