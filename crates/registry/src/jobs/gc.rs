//! Garbage collection, all the time: what is due goes in small steps, while clients push and pull.
//!
//! The steps and why they take nothing that is needed are the catalog's (`catalog::gc`); here is when they run. All
//! rest while somebody paused them, while the registry is read-only, and for a time after the clock jumped, because what
//! was promised by the old time must not end early in the new one. After a start nothing becomes garbage for a while.
//! Units: milliseconds. Fails: what failed is tried again at the next turn. Source: "Clock jump" in ARCHITECTURE.md.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catalog::{GcStatus, Pause, PauseCause, Tx, WhyKept};
use oci::{Digest, DigestPrefix, RepositoryName};
use tokio::time::Instant;

use super::rest_after;
use super::stride::Stride;
use super::sweep::Swept;
use crate::{Clock, Error, Registry};

/// Rows at once where somebody waits for the space.
const URGENT: usize = 64;
/// Links that one look at a repository reads.
const LINKS: usize = 1000;
/// How long a lease still lasts where space is wanted at once: what no client may be deprived of.
pub(crate) const URGENT_LEASE_MS: i64 = 60 * 60 * 1000;
/// The longest time between two turns.
const TURN_MAX: Duration = Duration::from_secs(30);
/// The shortest.
const TURN_MIN: Duration = Duration::from_secs(1);
/// A clock that was moved by more than this has jumped.
const JUMP_MS: i64 = 5 * 60 * 1000;
/// How long a pause that somebody asked for lasts, unless it is ended before.
const PAUSE_MS: i64 = 24 * 60 * 60 * 1000;

/// What one turn did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct GcRun {
    /// Manifests that followed a deleted index into the trash.
    pub trashed: usize,
    /// Manifests of deleted repositories whose undo window ended.
    pub emptied: usize,
    /// Manifests that are gone from the trash for good.
    pub purged: usize,
    /// Repositories' hold on blobs that ended.
    pub links: usize,
    /// Blobs that no repository has any more.
    pub blobs: usize,
    /// Files that were removed.
    pub files: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// Why things that are due were left for later.
    pub waits: Option<GcWait>,
}

/// Why less is collected now than is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GcWait {
    /// The registry takes no writes.
    ReadOnly,
    /// It has just started: only what was garbage before goes.
    Started {
        /// When it ends, Unix milliseconds.
        until: i64,
    },
    /// Somebody paused it, or the clock jumped.
    Paused(Pause),
}

impl GcWait {
    /// Whether stored bytes stay too.
    fn keeps_bytes(&self) -> bool {
        match self {
            Self::ReadOnly | Self::Paused(_) => true,
            Self::Started { .. } => false,
        }
    }
}

/// What the collector remembers between two turns.
pub(crate) struct Collector {
    /// Held for a round of steps: two at once would only be in each other's way.
    turn: tokio::sync::Mutex<Stride>,
    /// The start, by the clock that nobody sets.
    started_boot_ms: i64,
    /// How far the wall clock was ahead of the other one when we last looked.
    ahead_ms: Mutex<i64>,
}

impl Collector {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self {
            turn: tokio::sync::Mutex::new(Stride::new()),
            started_boot_ms: clock.boot_ms(),
            ahead_ms: Mutex::new(clock.now_ms().saturating_sub(clock.boot_ms())),
        }
    }

    fn ahead_ms(&self) -> std::sync::MutexGuard<'_, i64> {
        self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Collects all that is due, and says what was done.
    pub async fn gc_run(&self) -> Result<GcRun, Error> {
        let mut run = GcRun::default();
        loop {
            // Anew for each round: who needs space at once comes in between.
            let mut stride = self.inner.collector.turn.lock().await;
            let worked = self.collect_some(&mut run, &mut stride).await?;
            let swept = if run.waits.as_ref().is_some_and(GcWait::keeps_bytes) {
                Swept::default()
            } else {
                self.sweep(stride.next(self.inner.catalog.asked())).await?
            };
            run.files += swept.files;
            run.bytes += swept.bytes;
            if !worked && !swept.more {
                return Ok(run);
            }
        }
    }

    /// Ends the undo window of everything in the trash of a repository, and lets its leases end in an hour: for a disk
    /// that is full. What is held stays. Nothing is done while collection is paused or the registry is read-only.
    /// How many manifests are gone for good.
    pub async fn gc_urgent(&self, name: &RepositoryName) -> Result<usize, Error> {
        let _turn = self.inner.collector.turn.lock().await;
        if self.gc_wait().await?.is_some_and(|wait| wait.keeps_bytes()) {
            return Ok(0);
        }
        let (now, mut purged) = (self.now(), 0);
        loop {
            let of = name.clone();
            let step = self
                .unless_paused(move |tx| catalog::purge_trash_of(tx, &of, now, URGENT_LEASE_MS, URGENT))
                .await?;
            purged += step.manifests;
            if step.manifests == 0 {
                break;
            }
        }
        let (until, mut after) = (now.saturating_add(URGENT_LEASE_MS), 0);
        loop {
            let of = name.clone();
            let look = move |tx: &mut Tx<'_>| catalog::leased_links(tx, &of, until, after, LINKS);
            let (leased, last) = self.inner.catalog.read(look).await?;
            for part in leased.chunks(URGENT) {
                let (of, part) = (name.clone(), part.to_vec());
                self.unless_paused(move |tx| catalog::shorten_leases(tx, &of, &part, until))
                    .await?;
            }
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        tracing::info!(repository = %name, purged, "the trash of a repository was emptied at once");
        Ok(purged)
    }

    /// What waits to be collected, and when its time comes.
    pub async fn gc_status(&self) -> Result<GcStatus, Error> {
        let now = self.now();
        Ok(self
            .inner
            .catalog
            .read(move |tx| catalog::gc_status(tx, now))
            .await?)
    }

    /// Collects nothing for a day, or until [`Self::gc_resume`]; for all servers on this catalog, over restarts.
    pub async fn gc_pause(&self, by: &str) -> Result<Pause, Error> {
        let pause = Pause {
            cause: PauseCause::Operator,
            by: by.to_owned(),
            until: self.now().saturating_add(PAUSE_MS),
        };
        let asked = pause.clone();
        self.inner
            .catalog
            .write(move |tx| catalog::pause_gc(tx, &asked))
            .await?;
        Ok(pause)
    }

    /// Ends every pause, also one because of the clock. False if there was none.
    pub async fn gc_resume(&self) -> Result<bool, Error> {
        let now = self.now();
        Ok(self
            .inner
            .catalog
            .write(move |tx| catalog::resume_gc(tx, now))
            .await?)
    }

    /// Digests that begin so and are known here, as content or as files that wait to be removed; at most `limit`.
    pub async fn digests_like(&self, prefix: &DigestPrefix, limit: usize) -> Result<Vec<Digest>, Error> {
        let mut found = Vec::new();
        for (low, high) in prefix.ranges() {
            let first = store::Location::prefix_of(&low);
            // Behind every location of the last one.
            let last = format!("{}~", store::Location::prefix_of(&high));
            let between =
                move |tx: &mut Tx<'_>| catalog::digests_between(tx, (&low, &high), (&first, &last), limit);
            found.extend(self.inner.catalog.read(between).await?);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Everything that holds a digest, in every repository.
    pub async fn why_kept(&self, digest: &Digest) -> Result<WhyKept, Error> {
        let (digest, now) = (digest.clone(), self.now());
        let prefix = store::Location::prefix_of(&digest);
        Ok(self
            .inner
            .catalog
            .read(move |tx| catalog::why_kept(tx, &digest, &prefix, now))
            .await?)
    }

    /// One turn after the other, each as soon as something is due.
    pub(super) async fn collect(&self) {
        loop {
            match self.gc_run().await {
                Ok(run) => log(&run),
                Err(error) => tracing::warn!(%error, "garbage could not be collected; trying again later"),
            }
            tokio::time::sleep(self.until_due().await).await;
        }
    }

    /// The time to the next turn. What is due and was left, because a hold or a pause keeps it, waits for the longest.
    async fn until_due(&self) -> Duration {
        let Ok(Some(next)) = self.inner.catalog.read(catalog::next_due).await else {
            return TURN_MAX;
        };
        match u64::try_from(next.saturating_sub(self.now())) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms).clamp(TURN_MIN, TURN_MAX),
            _ => TURN_MAX,
        }
    }

    /// Every step once. False if nothing was due, or nothing may be done.
    async fn collect_some(&self, run: &mut GcRun, stride: &mut Stride) -> Result<bool, Error> {
        run.waits = self.gc_wait().await?;
        if run.waits.is_some() {
            return Ok(false);
        }
        let (now, rules) = (self.now(), self.rules());
        let manifests = self
            .step(stride, move |tx, rows| {
                catalog::review_manifests(tx, now, rules.undo_window_ms, rows)
            })
            .await?;
        let repositories = self
            .step(stride, move |tx, rows| catalog::purge_repositories(tx, now, rows))
            .await?;
        let lease_ms = self.rules().lease_ms;
        let purged = self
            .step(stride, move |tx, rows| catalog::purge(tx, now, lease_ms, rows))
            .await?;
        let read_grace_ms = self.rules().read_grace_ms;
        let links = self
            .step(stride, move |tx, rows| {
                catalog::review_links(tx, now, read_grace_ms, rows)
            })
            .await?;
        run.trashed += manifests.trashed;
        run.emptied += repositories.trashed;
        run.purged += purged.manifests;
        run.links += links.removed;
        run.blobs += links.blobs;
        let of_repositories = repositories.trashed + repositories.links + repositories.repositories;
        Ok(manifests.seen + of_repositories + purged.manifests + links.kept + links.removed > 0)
    }

    /// One step, and a rest after it.
    async fn step<T: Default + Send + 'static>(
        &self,
        stride: &mut Stride,
        step: impl Fn(&mut Tx<'_>, usize) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (began, rows) = (Instant::now(), stride.next(self.inner.catalog.asked()));
        let done = self.unless_paused(move |tx| step(tx, rows)).await?;
        rest_after(began).await;
        Ok(done)
    }

    /// Runs a step, unless a pause was asked for meanwhile: in one transaction, so that a pause holds from its answer on.
    async fn unless_paused<T: Default + Send + 'static>(
        &self,
        step: impl Fn(&mut Tx<'_>) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let now = self.now();
        let careful = move |tx: &mut Tx<'_>| match catalog::gc_pause(tx, now)? {
            Some(_) => Ok(T::default()),
            None => step(tx),
        };
        Ok(self.inner.catalog.maintain(careful).await?)
    }

    /// Whether stored bytes may neither be removed nor moved now.
    pub(crate) async fn must_keep_bytes(&self) -> Result<bool, Error> {
        Ok(self.gc_wait().await?.is_some_and(|wait| wait.keeps_bytes()))
    }

    /// Why less may be collected now than is due; none while all of it is.
    pub async fn gc_wait(&self) -> Result<Option<GcWait>, Error> {
        self.watch_clock().await?;
        let rules = self.rules();
        if rules.read_only {
            return Ok(Some(GcWait::ReadOnly));
        }
        let (now, boot) = (self.now(), self.inner.clock.boot_ms());
        let pause = self
            .inner
            .catalog
            .read(move |tx| catalog::gc_pause(tx, now))
            .await?;
        if let Some(pause) = pause {
            // Before the start's own wait, which lets bytes go that were garbage already.
            return Ok(Some(GcWait::Paused(pause)));
        }
        let since = boot.saturating_sub(self.inner.collector.started_boot_ms);
        let left_ms = rules.gc_start_delay_ms.saturating_sub(since);
        Ok((left_ms > 0).then(|| GcWait::Started {
            until: now.saturating_add(left_ms),
        }))
    }

    /// Compares the wall clock with the one that nobody sets. A jump is forgotten only when the pause is written down.
    async fn watch_clock(&self) -> Result<(), Error> {
        let now = self.now();
        let ahead = now.saturating_sub(self.inner.clock.boot_ms());
        let jump_ms = ahead.saturating_sub(*self.inner.collector.ahead_ms());
        if jump_ms.abs() > JUMP_MS {
            let rules = self.rules();
            // After a leap forward the windows of everything in the trash would seem to be over.
            let rest_ms = if jump_ms > rules.lease_ms {
                rules.lease_ms.max(rules.undo_window_ms)
            } else {
                rules.lease_ms
            };
            let pause = Pause {
                cause: PauseCause::Clock,
                by: format!("the clock of a server jumped by {} s", jump_ms / 1000),
                until: now.saturating_add(rest_ms),
            };
            tracing::error!(
                jump_ms,
                rest_ms,
                "the clock jumped: nothing is collected until what was promised by the old time has had its time"
            );
            self.inner
                .catalog
                .write(move |tx| catalog::pause_gc(tx, &pause))
                .await?;
        }
        *self.inner.collector.ahead_ms() = ahead;
        Ok(())
    }
}

fn log(run: &GcRun) {
    let worked = run.trashed + run.purged + run.links + run.files > 0;
    if worked {
        tracing::info!(
            trashed = run.trashed,
            purged = run.purged,
            blobs = run.blobs,
            files = run.files,
            bytes = run.bytes,
            "collected garbage"
        );
    }
}
