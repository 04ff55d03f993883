//! A run of the scrub that somebody asked for: through every file, or a sample of them, and then whatever a source heals.
//!
//! One at a time. It may go on by itself, and is then looked at by `Registry::scrub_status`. Units: bytes, Unix
//! milliseconds. Fails: `AlreadyRunning`, `ReadOnly` (what is found must be written down).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use catalog::{Due, Health, Kept, RecordedBlob, Tx};
use tokio_util::sync::CancellationToken;

use super::source::{Source, SourceError};
use crate::adopt::RemoteError;
use crate::jobs::Inspected;
use crate::pace::Pace;
use crate::{Error, Registry};

/// Rows of one look at the catalog.
const PAGE: usize = 256;
/// Good files that are written down together.
const NOTED: usize = 32;

/// A run that somebody asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScrubWanted {
    /// Of 10,000 files, so many are read, chosen at random; 10,000 is all of them, and what lies in the catalog too; 0
    /// is none, for a run that only heals.
    pub sample: u32,
    /// Bytes a second; none: as fast as the disk gives them.
    pub rate: Option<u64>,
}

impl Default for ScrubWanted {
    fn default() -> Self {
        Self {
            sample: Self::ALL,
            rate: None,
        }
    }
}

impl ScrubWanted {
    /// Every file.
    pub const ALL: u32 = 10_000;

    fn is_wanted(self, id: i64, salt: u64) -> bool {
        self.sample >= Self::ALL
            || spread(id.cast_unsigned() ^ salt) % u64::from(Self::ALL) < u64::from(self.sample)
    }
}

/// A run that somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScrubRun {
    /// What was asked for.
    pub wanted: ScrubWanted,
    /// When it began.
    pub started_at: i64,
    /// When it ended; none while it lasts.
    pub ended_at: Option<i64>,
    /// Files that were read.
    pub files: u64,
    /// Bytes of those, and of what lies in the catalog.
    pub bytes: u64,
    /// Damaged things that it found.
    pub found: u64,
    /// Damaged things that the source healed.
    pub healed: u64,
    /// Damaged things that the source does not have.
    pub not_healed: u64,
    /// Why it did not come to its end, if it did not.
    pub failure: Option<String>,
    /// What the source did, where that ended it.
    pub source_failure: Option<SourceFailure>,
}

/// How a registry that should have right bytes failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceFailure {
    /// It does not answer.
    Unreachable,
    /// It wants a login, or another one.
    Login,
}

impl SourceFailure {
    fn of(error: &Error) -> Option<Self> {
        let Error::Source(SourceError::Remote(error)) = error else {
            return None;
        };
        match error {
            RemoteError::Unreachable { .. } => Some(Self::Unreachable),
            RemoteError::Login { .. } => Some(Self::Login),
            RemoteError::Unexpected { .. } | RemoteError::Address { .. } => None,
        }
    }
}

impl Registry {
    /// Begins a run, which goes on by itself, and then heals what `source` has; [`Self::scrub_status`] says how far it is.
    pub fn scrub_begin(
        &self,
        wanted: ScrubWanted,
        source: Option<Arc<dyn Source>>,
    ) -> Result<ScrubRun, Error> {
        let begun = self.new_run(wanted)?;
        let registry = self.clone();
        tokio::spawn(async move {
            // How it ended is in the run.
            let never = CancellationToken::new();
            let _ = registry.run_through(wanted, source.as_deref(), &never).await;
        });
        Ok(begun)
    }

    /// A run, to its end.
    pub async fn scrub_run(
        &self,
        wanted: ScrubWanted,
        source: Option<&dyn Source>,
        stop: &CancellationToken,
    ) -> Result<ScrubRun, Error> {
        self.new_run(wanted)?;
        self.run_through(wanted, source, stop).await
    }

    pub(crate) fn is_scrub_running(&self) -> bool {
        let run = self.inner.scrubber.run();
        run.as_ref().is_some_and(|run| run.ended_at.is_none())
    }

    fn new_run(&self, wanted: ScrubWanted) -> Result<ScrubRun, Error> {
        self.may_write()?; // what is found is written down
        let mut run = self.inner.scrubber.run();
        if run.as_ref().is_some_and(|run| run.ended_at.is_none()) {
            return Err(Error::AlreadyRunning("scrub"));
        }
        let new = ScrubRun {
            wanted,
            started_at: self.now(),
            ended_at: None,
            files: 0,
            bytes: 0,
            found: 0,
            healed: 0,
            not_healed: 0,
            failure: None,
            source_failure: None,
        };
        *run = Some(new.clone());
        Ok(new)
    }

    async fn run_through(
        &self,
        wanted: ScrubWanted,
        source: Option<&dyn Source>,
        stop: &CancellationToken,
    ) -> Result<ScrubRun, Error> {
        let mut outcome = self.go_through(wanted, stop).await;
        if let (Ok(()), Some(source)) = (&outcome, source) {
            let told = |healed: bool| {
                self.note_run(|run| {
                    run.healed += u64::from(healed);
                    run.not_healed += u64::from(!healed);
                });
            };
            outcome = self.heal_from(source, stop, told).await;
        }
        let ended_at = self.now();
        let ended = self.note_run(|run| {
            run.ended_at = Some(ended_at);
            run.failure = outcome.as_ref().err().map(|error| crate::error::causes(error));
            run.source_failure = outcome.as_ref().err().and_then(SourceFailure::of);
        });
        outcome?;
        ended.ok_or(Error::Closing)
    }

    fn note_run(&self, change: impl FnOnce(&mut ScrubRun)) -> Option<ScrubRun> {
        let mut run = self.inner.scrubber.run();
        let run = run.as_mut()?;
        change(run);
        Some(run.clone())
    }

    async fn go_through(&self, wanted: ScrubWanted, stop: &CancellationToken) -> Result<(), Error> {
        if wanted.sample == 0 {
            return Ok(());
        }
        if wanted.sample >= ScrubWanted::ALL {
            for what in [Kept::Manifests, Kept::Blobs] {
                self.sift_all(what, stop).await?;
            }
        }
        let (mut paced, mut after) = (Pace::new(), 0);
        let salt = spread(self.now().cast_unsigned());
        loop {
            let rows = move |tx: &mut Tx<'_>| catalog::recorded_blobs(tx, after, PAGE);
            let page = self.inner.catalog.read(rows).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let files = page.into_iter().filter(|one| wanted.is_wanted(one.id, salt));
            let files: Vec<Due> = files.filter_map(due).collect();
            for some in files.chunks(NOTED) {
                self.read_some(some, wanted.rate, &mut paced, stop).await?;
            }
        }
    }

    async fn read_some(
        &self,
        files: &[Due],
        rate: Option<u64>,
        pace: &mut Pace,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut good = Vec::new();
        for file in files {
            let inspected = self.inspect(file, pace, &|| rate, stop).await;
            let inspected = match inspected {
                Ok(inspected) => inspected,
                Err(error) => {
                    self.note_good(good).await?;
                    return Err(error);
                }
            };
            self.note_run(|run| {
                run.files += 1;
                run.bytes += file.size;
                run.found += u64::from(inspected == Inspected::Damaged);
            });
            if inspected == Inspected::Good {
                good.push(file.clone());
            }
        }
        self.note_good(good).await
    }

    async fn sift_all(&self, what: Kept, stop: &CancellationToken) -> Result<(), Error> {
        let mut after = 0;
        loop {
            if stop.is_cancelled() {
                return Err(Error::Closing);
            }
            let mut read = 0;
            let before = self.inner.scrubber.damaged.load(Ordering::Relaxed);
            let last = self.sift_some(what, after, |bytes| read = bytes).await?;
            let found = self.inner.scrubber.damaged.load(Ordering::Relaxed);
            self.note_run(|run| {
                run.bytes += read;
                run.found += found.saturating_sub(before);
            });
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}

/// The file of a blob; none if it has none, or if it is known to be damaged.
fn due(blob: RecordedBlob) -> Option<Due> {
    Some(Due {
        id: blob.id,
        digest: blob.digest,
        size: blob.size,
        location: blob.location.filter(|_| blob.health != Health::Bad)?,
        verified_at: 0,
    })
}

/// Numbers near each other become numbers far apart. Source: the finalizer of SplitMix64.
fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_about_as_large_as_was_asked_for_and_another_each_time() {
        let five = ScrubWanted {
            sample: 500,
            rate: None,
        };
        let chosen = |salt| (0..100_000).filter(move |&id| five.is_wanted(id, salt));
        for salt in [1, 77] {
            let count = chosen(salt).count();
            assert!((4_500..5_500).contains(&count), "{count}");
        }
        assert!(chosen(1).ne(chosen(77)));
        assert!((0..1000).all(|id| ScrubWanted::default().is_wanted(id, 3)));
    }
}
