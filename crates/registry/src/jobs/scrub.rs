//! Scrub: reads stored bytes back, all the time and slowly, and hashes them, so that damage is found while somebody can still
//! bring the right bytes.
//!
//! The file that was read longest ago is next (`verified_at`), so it goes on after a restart where it was; what was read within
//! [`AGAIN_MS`] rests. Small blobs and manifests, which lie in the catalog, are walked through in the order of their rows.
//! What a client's read failed on comes first, at once, whatever the settings say. One step reads at most 1 MiB; the page
//! cache is left to the pulls (`store::Reread`).
//! Units: bytes, milliseconds. Fails: what could not be read for another reason than damage has its turn again.
//! Source: ARCHITECTURE.md "When bytes are damaged".

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catalog::{Due, Kept, Tx};
use store::{Location, Step};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::damage::Damage;
use crate::pace::Pace;
use crate::scrub::{ScrubRun, is_digest};
use crate::{Error, Registry};

/// What was read back within this time is not read again.
const AGAIN_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Files of one look at the catalog.
const BATCH: usize = 32;
/// Rows of one step through what lies in the catalog.
const SIFTED: usize = 64;
/// How many bytes are read before it is written down which files are good.
const NOTE_EVERY: u64 = 64 * 1024 * 1024;
/// How long to rest where nothing is due.
const REST: Duration = Duration::from_mins(1);

/// What scrubbing remembers beside the catalog.
#[derive(Debug)]
pub(crate) struct Scrubber {
    /// Bytes that were read back since the start.
    pub(crate) read_bytes: AtomicU64,
    /// Things that are damaged, when they were last counted.
    pub(crate) damaged: AtomicU64,
    /// The run that somebody asked for, while it lasts and after it.
    pub(crate) run: Mutex<Option<ScrubRun>>,
}

impl Scrubber {
    pub(crate) fn new() -> Self {
        Self {
            read_bytes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            run: Mutex::new(None),
        }
    }

    pub(crate) fn run(&self) -> std::sync::MutexGuard<'_, Option<ScrubRun>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a file that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Inspected {
    /// Its bytes are what they should be.
    Good,
    /// They are not.
    Damaged,
    /// They have gone, or been replaced, meanwhile.
    Gone,
}

impl Registry {
    /// Reads back what is due, for ever.
    pub(super) async fn scrub(&self) {
        self.count_damages().await;
        let never = CancellationToken::new();
        let slowly = async {
            loop {
                if let Err(error) = self.scrub_due(&never).await {
                    tracing::warn!(error = %crate::error::causes(&error), "stored bytes could not be read back; trying again soon");
                }
                tokio::time::sleep(REST).await;
            }
        };
        tokio::join!(slowly, self.watch_suspects(&never));
    }

    /// What a read failed on is read back at once.
    async fn watch_suspects(&self, stop: &CancellationToken) {
        loop {
            // First those that a process before us left.
            if let Err(error) = self.scrub_suspects(stop).await {
                tracing::warn!(error = %crate::error::causes(&error), "blobs that a read failed on could not be read back");
            }
            let location = self.inner.store.next_suspect().await.to_string();
            tracing::warn!(location, "a stored blob could not be read: it is read back now");
            let mark = move |tx: &mut Tx<'_>| catalog::suspect(tx, &location);
            if let Err(error) = self.inner.catalog.maintain(mark).await {
                tracing::warn!(%error, "a suspect could not be written down");
            }
        }
    }

    /// Reads back everything that a read failed on.
    pub async fn scrub_suspects(&self, stop: &CancellationToken) -> Result<(), Error> {
        self.scrub_files(0, stop, &|| None, |_| true).await
    }

    /// One turn at once: everything that is due, unless scrubbing rests.
    pub async fn scrub_due(&self, stop: &CancellationToken) -> Result<(), Error> {
        if self.may_scrub().await? {
            self.settle_damaged().await?;
            for what in [Kept::Manifests, Kept::Blobs] {
                self.walk(what, stop).await?;
            }
            let before = self.now().saturating_sub(AGAIN_MS);
            let rate = || Some(self.rules().scrub_bytes_per_second);
            let goes_on = |registry: &Self| registry.rules().scrub_bytes_per_second > 0;
            self.scrub_files(before, stop, &rate, goes_on).await?;
        }
        Ok(())
    }

    /// Whether scrubbing by itself is wanted now.
    async fn may_scrub(&self) -> Result<bool, Error> {
        let rules = self.rules();
        if rules.read_only || rules.scrub_bytes_per_second == 0 || self.is_scrub_running() {
            return Ok(false);
        }
        let now = self.now();
        let pause = move |tx: &mut Tx<'_>| catalog::scrub_pause(tx, now);
        Ok(self.inner.catalog.read(pause).await?.is_none())
    }

    /// Files that were last read back before `before`, oldest first.
    async fn scrub_files(
        &self,
        before: i64,
        stop: &CancellationToken,
        rate: &(dyn Fn() -> Option<u64> + Sync),
        goes_on: impl Fn(&Self) -> bool + Send,
    ) -> Result<(), Error> {
        let mut pace = Pace::new();
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let look = move |tx: &mut Tx<'_>| catalog::due_for_scrub(tx, before, after, BATCH);
            let due = self.inner.catalog.read(look).await?;
            if due.is_empty() {
                return Ok(());
            }
            let (mut good, mut read) = (Vec::new(), 0);
            for file in due {
                after = (file.verified_at, file.id);
                if !goes_on(self) {
                    self.note_good(good).await?;
                    return Ok(());
                }
                match self.inspect(&file, &mut pace, rate, stop).await {
                    Ok(Inspected::Good) => {
                        read += file.size;
                        good.push(file);
                    }
                    Ok(Inspected::Damaged | Inspected::Gone) => {}
                    Err(Error::Closing) => {
                        self.note_good(good).await?;
                        return Err(Error::Closing);
                    }
                    Err(error) => {
                        let error = crate::error::causes(&error);
                        tracing::warn!(
                            location = file.location,
                            error,
                            "a stored blob could not be read back; it has its turn again"
                        );
                    }
                }
                if read >= NOTE_EVERY {
                    self.note_good(std::mem::take(&mut good)).await?;
                    read = 0;
                }
            }
            self.note_good(good).await?;
            if before > 0 && !self.may_scrub().await? {
                return Ok(());
            }
        }
    }

    pub(crate) async fn note_good(&self, files: Vec<Due>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mark = move |tx: &mut Tx<'_>| catalog::mark_good(tx, &files, now);
        Ok(self.inner.catalog.maintain(mark).await?)
    }

    /// Reads a file back, a second time where the first finds fault, and writes down what is certain then.
    pub(crate) async fn inspect(
        &self,
        file: &Due,
        pace: &mut Pace,
        rate: &(dyn Fn() -> Option<u64> + Sync),
        stop: &CancellationToken,
    ) -> Result<Inspected, Error> {
        let damage = match file.location.parse::<Location>() {
            Ok(location) => self.certain(&location, file.size, pace, rate, stop).await?,
            // The row names a place that is none, so there are no bytes.
            Err(_) => Some(Damage::Missing),
        };
        let Some(damage) = damage else {
            return Ok(Inspected::Good);
        };
        let is_new = self
            .note_damage(&file.digest, Some(&file.location), &damage)
            .await;
        Ok(if is_new {
            Inspected::Damaged
        } else {
            Inspected::Gone
        })
    }

    /// What is wrong with a file, for certain.
    async fn certain(
        &self,
        location: &Location,
        size: u64,
        pace: &mut Pace,
        rate: &(dyn Fn() -> Option<u64> + Sync),
        stop: &CancellationToken,
    ) -> Result<Option<Damage>, Error> {
        let once = self.read_back(location, size, pace, rate, |_| {}, stop).await?;
        let Some(first) = once else { return Ok(None) };
        let again = self.read_back(location, size, pace, rate, |_| {}, stop).await?;
        if again.is_none() {
            tracing::warn!(
                %location, first = %first,
                "a stored blob read badly once and well the second time: this machine's disk, cables or memory are not to be trusted"
            );
        }
        Ok(again)
    }

    /// Reads a file to its end; what is wrong with it, if anything is.
    pub(crate) async fn read_back(
        &self,
        location: &Location,
        size: u64,
        pace: &mut Pace,
        rate: &(dyn Fn() -> Option<u64> + Sync),
        mut count: impl FnMut(u64) + Send,
        stop: &CancellationToken,
    ) -> Result<Option<Damage>, Error> {
        let fault = |error: store::Error| Damage::of(&error).map(Some).ok_or(Error::from(error));
        let mut reading = match self.inner.store.reread(location, size).await {
            Ok(reading) => reading,
            Err(error) => return fault(error),
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Error::Closing),
                () = pace.wait() => {}
            }
            if self.inner.closing.load(Ordering::Relaxed) {
                return Err(Error::Closing);
            }
            let began = Instant::now();
            let (bytes, verdict) = match reading.step().await {
                Ok(Step::More(more, bytes)) => {
                    reading = *more;
                    pace.spent(bytes, began, rate());
                    self.inner.scrubber.read_bytes.fetch_add(bytes, Ordering::Relaxed);
                    count(bytes);
                    continue;
                }
                Ok(Step::End(verdict, bytes)) => (bytes, verdict),
                Err(error) => return fault(error),
            };
            pace.spent(bytes, began, rate());
            self.inner.scrubber.read_bytes.fetch_add(bytes, Ordering::Relaxed);
            count(bytes);
            return Ok(match verdict {
                store::Verdict::Whole => None,
                store::Verdict::WrongSize { found } => Some(Damage::WrongSize {
                    expected: size,
                    found: Some(found),
                }),
                store::Verdict::Changed { .. } => Some(Damage::Changed),
            });
        }
    }

    /// Damaged files that still lie in their place, because a process ended or bytes could not be moved, are put aside.
    async fn settle_damaged(&self) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let rows = move |tx: &mut Tx<'_>| catalog::list_damages(tx, after, BATCH);
            let page = self.inner.catalog.read(rows).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for location in page.iter().filter_map(|one| one.location.as_ref()?.parse().ok()) {
                self.put_damaged_aside(&location).await?;
            }
        }
    }

    /// Goes on with the walk through what lies in the catalog, unless the last one ended not long ago.
    async fn walk(&self, what: Kept, stop: &CancellationToken) -> Result<(), Error> {
        let mut pace = Pace::new();
        let find = move |tx: &mut Tx<'_>| catalog::find_walk(tx, what);
        let mut walk = self.inner.catalog.read(find).await?;
        if walk.after == 0 && walk.ended_at > self.now().saturating_sub(AGAIN_MS) {
            return Ok(());
        }
        loop {
            pace.wait().await;
            if stop.is_cancelled() || !self.may_scrub().await? {
                return Ok(());
            }
            let began = Instant::now();
            let last = self.sift_some(what, walk.after, |bytes| {
                pace.spent(bytes, began, Some(self.rules().scrub_bytes_per_second));
            });
            let last = last.await?;
            walk.after = last.unwrap_or(0);
            if last.is_none() {
                walk.ended_at = self.now();
            }
            let save = move |tx: &mut Tx<'_>| catalog::save_walk(tx, what, walk);
            self.inner.catalog.maintain(save).await?;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// Hashes some of what lies in the catalog, after the key `after`; the last key, or none at the end.
    pub(crate) async fn sift_some(
        &self,
        what: Kept,
        after: i64,
        count: impl FnOnce(u64) + Send,
    ) -> Result<Option<i64>, Error> {
        let sift = move |tx: &mut Tx<'_>| catalog::sift(tx, what, after, SIFTED, is_digest);
        let sifted = self.inner.catalog.read(sift).await?;
        self.inner
            .scrubber
            .read_bytes
            .fetch_add(sifted.bytes, Ordering::Relaxed);
        count(sifted.bytes);
        for digest in &sifted.wrong {
            match what {
                Kept::Blobs => drop(self.note_damage(digest, None, &Damage::Changed).await),
                Kept::Manifests => self.note_damaged_manifest(digest).await,
            }
        }
        Ok(sifted.last)
    }
}
