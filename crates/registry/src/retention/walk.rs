//! The walk: repository by repository, tags newest first, then what nothing holds. Each step is one read of the catalog.

use std::sync::Arc;

use catalog::{Guard, RetainedRepository, TagState, TagsAfter, WouldFree};
use oci::RepositoryName;
use policy::{Judge, TagFacts, Verdict};

use super::{Decision, RetentionCursor, RetentionPage, RetentionTotals, STEP, Stage};
use crate::policies::{InForce, RuleError};
use crate::{Error, Registry};

/// Names that are looked through for the next repository that a rule is about.
const NAMES: usize = 256;

/// One walk: the same rules and the same moment from its beginning to its end.
#[derive(Clone)]
pub(super) struct Walk {
    pub(super) rules: Arc<InForce>,
    pub(super) now: i64,
    only: Option<RepositoryName>,
    /// Whether untagged manifests that stay are told too: people ask why, a run does not.
    tells_all: bool,
}

impl Walk {
    fn judge(&self, repository: &str, created_at: i64) -> Option<Judge<'_>> {
        Judge::of(&self.rules.retention, repository, self.now, created_at)
    }

    /// What the names of all repositories that rules are about begin with.
    fn prefix(&self) -> String {
        let mut prefixes = self.rules.retention.iter().map(policy::RetentionRule::prefix);
        let first = prefixes.next().unwrap_or_default();
        let common = prefixes.fold(first, |common, next| {
            let same = common
                .bytes()
                .zip(next.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            &common[..same]
        });
        common.to_owned()
    }
}

impl Registry {
    /// Begins a walk by the rules of this moment, over one repository or all. Fails where a rule cannot be used.
    pub(super) fn begin_walk(&self, only: Option<RepositoryName>) -> Result<Walk, Error> {
        let rules = self.inner.policies.in_force();
        if let Some((name, why)) = &rules.broken {
            return Err(RuleError::Broken(name.clone(), why.clone()).into());
        }
        Ok(Walk {
            rules,
            now: self.now(),
            only,
            tells_all: false,
        })
    }

    /// What a run would do and leave, in part: about `limit` decisions from a place on.
    pub async fn retention_plan(
        &self,
        only: Option<&RepositoryName>,
        from: Option<RetentionCursor>,
        limit: usize,
    ) -> Result<RetentionPage, Error> {
        let mut walk = self.begin_walk(only.cloned())?;
        walk.tells_all = true;
        let mut page = RetentionPage {
            decisions: Vec::new(),
            next: Some(from.unwrap_or_default()),
        };
        while let Some(cursor) = page.next.take_if(|_| page.decisions.len() < limit) {
            let room = limit - page.decisions.len();
            let step = self.step_of(&walk, cursor, room.min(STEP)).await?;
            page.decisions.extend(step.decisions);
            page.next = step.next;
        }
        Ok(page)
    }

    /// What a run would do, in numbers.
    pub async fn retention_totals(&self, only: Option<&RepositoryName>) -> Result<RetentionTotals, Error> {
        let walk = self.begin_walk(only.cloned())?;
        let (mut totals, mut freeing) = (RetentionTotals::default(), WouldFree::default());
        let (mut next, mut last) = (Some(RetentionCursor::default()), None);
        while let Some(cursor) = next {
            let step = self.step_of(&walk, cursor, STEP).await?;
            for one in &step.decisions {
                if last.as_ref() != Some(&one.repository) {
                    totals.repositories += 1;
                    last = Some(one.repository.clone());
                }
                let goes = u64::from(matches!(one.verdict, Verdict::Goes(_)));
                totals.tags_examined += u64::from(one.tag.is_some());
                totals.tags_removed += if one.tag.is_some() { goes } else { 0 };
                totals.untagged_removed += if one.tag.is_none() { goes } else { 0 };
            }
            freeing = self.note_going(freeing, &step).await?;
            next = step.next;
        }
        totals.freed = self.count_freed(freeing).await?;
        Ok(totals)
    }

    /// Notes what goes, to find out what is freed by it.
    async fn note_going(&self, mut freeing: WouldFree, step: &RetentionPage) -> Result<WouldFree, Error> {
        let going: Vec<Decision> = step
            .decisions
            .iter()
            .filter(|one| matches!(one.verdict, Verdict::Goes(_)))
            .cloned()
            .collect();
        if going.is_empty() {
            return Ok(freeing);
        }
        let noted = move |tx: &mut catalog::Tx<'_>| {
            let mut freeing = std::mem::take(&mut freeing);
            for one in &going {
                match &one.tag {
                    Some(tag) => freeing.tag(tx, &one.repository, tag)?,
                    None => freeing.untagged(tx, &one.repository, &one.digest)?,
                }
            }
            Ok(freeing)
        };
        Ok(self.inner.catalog.read(noted).await?)
    }

    async fn count_freed(&self, mut freeing: WouldFree) -> Result<catalog::Freed, Error> {
        let mut freed = catalog::Freed::default();
        loop {
            let counted = move |tx: &mut catalog::Tx<'_>| {
                let (mut freeing, mut freed) = (std::mem::take(&mut freeing), freed);
                let more = freeing.step(tx, STEP)? || freeing.sum(tx, &mut freed, STEP)?;
                Ok((freeing, freed, more))
            };
            let more;
            (freeing, freed, more) = self.inner.catalog.read(counted).await?;
            if !more {
                return Ok(freed);
            }
        }
    }

    /// One step: at most `limit` decisions.
    pub(super) async fn step_of(
        &self,
        walk: &Walk,
        cursor: RetentionCursor,
        limit: usize,
    ) -> Result<RetentionPage, Error> {
        let RetentionCursor { repository, stage } = cursor;
        let Some(name) = repository.as_ref().and_then(|name| name.parse().ok()) else {
            return self.enter_next(walk, None).await;
        };
        match stage {
            Stage::Done => self.enter_next(walk, Some(name)).await,
            Stage::Tags {
                created_at,
                after,
                counts,
            } => {
                self.step_tags(walk, name, (created_at, after, counts), limit)
                    .await
            }
            Stage::Loose { created_at, after } => {
                self.step_loose(walk, name, (created_at, after), limit).await
            }
        }
    }

    /// Enters the next repository that a rule is about.
    async fn enter_next(&self, walk: &Walk, last: Option<RepositoryName>) -> Result<RetentionPage, Error> {
        let found = match &walk.only {
            Some(only) if last.is_none() => self.find_retained(only, walk).await?,
            Some(_) => None,
            None => self.next_retained(walk, last).await?,
        };
        let next = found.map(|found| RetentionCursor {
            repository: Some(found.name.to_string()),
            stage: Stage::Tags {
                created_at: found.created_at,
                after: None,
                counts: Vec::new(),
            },
        });
        Ok(RetentionPage {
            decisions: Vec::new(),
            next,
        })
    }

    async fn find_retained(
        &self,
        only: &RepositoryName,
        walk: &Walk,
    ) -> Result<Option<RetainedRepository>, Error> {
        let name = only.clone();
        let found = self
            .inner
            .catalog
            .read(move |tx| catalog::find_retained(tx, &name))
            .await?;
        let found = found.ok_or_else(|| Error::RepositoryUnknown(only.clone()))?;
        Ok(Some(found).filter(|found| walk.judge(&found.name, found.created_at).is_some()))
    }

    async fn next_retained(
        &self,
        walk: &Walk,
        mut last: Option<RepositoryName>,
    ) -> Result<Option<RetainedRepository>, Error> {
        let prefix = walk.prefix();
        if walk.rules.retention.is_empty() {
            return Ok(None);
        }
        loop {
            let (prefix, after) = (prefix.clone(), last.clone());
            let (names, more) = self
                .inner
                .catalog
                .read(move |tx| catalog::list_retained(tx, &prefix, after.as_deref(), NAMES))
                .await?;
            last = names.last().map(|last| last.name.clone());
            let found = names
                .into_iter()
                .find(|one| walk.judge(&one.name, one.created_at).is_some());
            if found.is_some() || !more {
                return Ok(found);
            }
        }
    }

    async fn step_tags(
        &self,
        walk: &Walk,
        name: RepositoryName,
        (created_at, after, counts): (i64, Option<(i64, i64)>, Vec<u32>),
        limit: usize,
    ) -> Result<RetentionPage, Error> {
        let Some(mut judge) = walk.judge(&name, created_at) else {
            return self.enter_next(walk, Some(name)).await;
        };
        let loose = |name: RepositoryName| RetentionCursor {
            repository: Some(name.to_string()),
            stage: Stage::Loose {
                created_at,
                after: None,
            },
        };
        if !judge.is_about_tags() {
            return Ok(RetentionPage {
                decisions: Vec::new(),
                next: Some(loose(name)),
            });
        }
        if after.is_some() && !judge.resume(&counts) {
            return Err(Error::RetentionWaits(
                "the rules have changed since this list began; begin anew".to_owned(),
            ));
        }
        let asked = name.clone();
        let after = after.map(|(ranked_at, event)| TagsAfter { ranked_at, event });
        let (states, more) = self
            .inner
            .catalog
            .read(move |tx| catalog::tag_states(tx, &asked, after.as_ref(), limit))
            .await?;
        let last = states.last().map(|last| (last.ranked_at, last.event));
        let decisions = states
            .into_iter()
            .map(|state| decide(&walk.rules, &mut judge, &name, state))
            .collect();
        let next = if more {
            RetentionCursor {
                repository: Some(name.to_string()),
                stage: Stage::Tags {
                    created_at,
                    after: last,
                    counts: judge.counts().to_vec(),
                },
            }
        } else {
            loose(name)
        };
        Ok(RetentionPage {
            decisions,
            next: Some(next),
        })
    }

    async fn step_loose(
        &self,
        walk: &Walk,
        name: RepositoryName,
        (created_at, after): (i64, Option<(i64, i64)>),
        limit: usize,
    ) -> Result<RetentionPage, Error> {
        let keep_ms = self.keep_ms();
        let judge = walk.judge(&name, created_at);
        let Some(judge) = judge.filter(Judge::is_about_untagged) else {
            return self.enter_next(walk, Some(name)).await;
        };
        // What is written down is when the last lease ended; it began so much earlier.
        let until = match judge.untagged_ms() {
            _ if walk.tells_all => i64::MAX,
            None => return self.enter_next(walk, Some(name)).await,
            Some(older_ms) => walk
                .now
                .saturating_sub(older_ms)
                .saturating_add(keep_ms)
                .min(walk.now),
        };
        let asked = name.clone();
        let page = self
            .inner
            .catalog
            .read(move |tx| catalog::list_loose(tx, &asked, until, after, limit))
            .await?;
        let decision = |one: catalog::LooseManifest| {
            let since = one.loose_at.saturating_sub(keep_ms).min(walk.now);
            // While a lease runs, somebody may count on it.
            let is_leased = one.loose_at > walk.now;
            let verdict = judge.untagged(if is_leased { walk.now } else { since });
            Decision {
                repository: name.clone(),
                tag: None,
                digest: one.digest,
                since,
                pulled_at: None,
                verdict,
                mark: (one.loose_at, 0),
            }
        };
        let decisions = page.manifests.into_iter().map(decision).collect();
        let stage = match page.next {
            Some(after) => Stage::Loose {
                created_at,
                after: Some(after),
            },
            None => Stage::Done,
        };
        let next = RetentionCursor {
            repository: Some(name.to_string()),
            stage,
        };
        Ok(RetentionPage {
            decisions,
            next: Some(next),
        })
    }
}

fn decide(rules: &InForce, judge: &mut Judge<'_>, repository: &RepositoryName, state: TagState) -> Decision {
    let immutable_by = rules.immutable_by(repository, &state.tag);
    let describes = state.describes.map(|digest| digest.to_string());
    let verdict = judge.tag(&TagFacts {
        name: &state.tag,
        set_at: state.set_at,
        pulled_at: state.pulled_at,
        immutable_by: immutable_by.as_deref(),
        describes: describes.as_deref(),
    });
    Decision {
        repository: repository.clone(),
        tag: Some(state.tag),
        digest: state.digest,
        since: state.set_at,
        pulled_at: state.pulled_at,
        verdict,
        mark: (state.event, state.ranked_at),
    }
}
