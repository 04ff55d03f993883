//! What somebody asks of the scrub: how it stands, a run through everything or a sample of it, a pause, what is damaged and
//! who needs it. `run` goes through everything or a sample of it, `heal` brings the right bytes from a `source`.
//!
//! Units: bytes, Unix milliseconds. Fails: `AlreadyRunning`, and a catalog that cannot be asked.

mod folder;
mod heal;
mod run;
mod source;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use catalog::{DamageCause, Damaged, Needs, Tx};
use oci::Digest;
use store::Hasher;

use crate::{Error, Registry};

pub use folder::{FileBody, FolderSource};
pub use run::{ScrubRun, ScrubWanted, SourceFailure};
pub use source::{Content as SourceContent, RemoteSource, Source, SourceError, SourceName, Sources};

/// How long a pause that somebody asked for lasts, unless it is ended before.
const PAUSE_MS: i64 = 24 * 60 * 60 * 1000;

/// How scrubbing stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScrubStatus {
    /// `scrub.rate`, in bytes a second; 0: nothing is read back by itself.
    pub rate: u64,
    /// Who paused it, and until when.
    pub pause: Option<(String, i64)>,
    /// Whether the registry takes no writes, so that scrubbing rests.
    pub read_only: bool,
    /// Things that are damaged.
    pub damaged: u64,
    /// Blobs that a read failed on and that were not read back since.
    pub suspects: u64,
    /// When the file that was read longest ago was; none without files.
    pub oldest_verified_at: Option<i64>,
    /// Bytes that were read back since the start of the server.
    pub read_bytes: u64,
    /// The last run that somebody asked for, since the start.
    pub run: Option<ScrubRun>,
}

/// Something that is damaged, and who needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DamagedContent {
    /// The key that the next page starts after.
    pub id: i64,
    /// What it should be.
    pub digest: Digest,
    /// Bytes that it should have.
    pub size: u64,
    /// Whether it is a manifest; else it is a blob.
    pub is_manifest: bool,
    /// What is wrong.
    pub cause: DamageCause,
    /// When that was found.
    pub found_at: i64,
    /// Live manifests that need it, at most 20 of them, with their tags.
    pub needed_by: Vec<Needs>,
}

impl Registry {
    /// How scrubbing stands.
    pub async fn scrub_status(&self) -> Result<ScrubStatus, Error> {
        let (now, rules) = (self.now(), self.rules());
        let look = move |tx: &mut Tx<'_>| {
            Ok((
                catalog::scrub_pause(tx, now)?,
                catalog::count_damages(tx)?,
                catalog::count_suspects(tx)?,
                catalog::oldest_verified(tx)?,
            ))
        };
        let (pause, damaged, suspects, oldest_verified_at) = self.inner.catalog.read(look).await?;
        let scrubber = &self.inner.scrubber;
        scrubber.damaged.store(damaged, Ordering::Relaxed);
        Ok(ScrubStatus {
            rate: rules.scrub_bytes_per_second,
            pause,
            read_only: rules.read_only,
            damaged,
            suspects,
            oldest_verified_at,
            read_bytes: scrubber.read_bytes.load(Ordering::Relaxed),
            run: scrubber.run().clone(),
        })
    }

    /// What is damaged, after the key `after`, at most `limit`.
    pub async fn damages(&self, after: i64, limit: usize) -> Result<Vec<DamagedContent>, Error> {
        let list = move |tx: &mut Tx<'_>| {
            let damaged = catalog::list_damages(tx, after, limit)?;
            damaged.into_iter().map(|one| content(tx, one)).collect()
        };
        Ok(self.inner.catalog.read(list).await?)
    }

    /// Two numbers for a monitoring system: bytes that were read back since the start, and things that are damaged.
    #[must_use]
    pub fn scrub_numbers(&self) -> (u64, u64) {
        let scrubber = &self.inner.scrubber;
        (
            scrubber.read_bytes.load(Ordering::Relaxed),
            scrubber.damaged.load(Ordering::Relaxed),
        )
    }

    /// Nothing is read back by itself for a day, or until [`Self::scrub_resume`]; until when.
    pub async fn scrub_pause(&self, by: &str) -> Result<i64, Error> {
        let (by, until) = (by.to_owned(), self.now().saturating_add(PAUSE_MS));
        let pause = move |tx: &mut Tx<'_>| catalog::pause_scrub(tx, &by, until);
        self.inner.catalog.write(pause).await?;
        Ok(until)
    }

    /// Ends a pause. False if there was none.
    pub async fn scrub_resume(&self) -> Result<bool, Error> {
        let now = self.now();
        let resume = move |tx: &mut Tx<'_>| catalog::resume_scrub(tx, now);
        Ok(self.inner.catalog.write(resume).await?)
    }

    /// How a source is made of what an operator writes; said once, at the start.
    pub fn know_sources(&self, sources: Box<Sources>) {
        let _ = self.inner.sources.set(sources);
    }

    /// The source that an operator means.
    pub fn source(&self, name: &SourceName) -> Result<Arc<dyn Source>, Error> {
        match self.inner.sources.get() {
            Some(sources) => Ok(sources(name)?),
            None => Ok(FolderSource::named(&name.place)?),
        }
    }
}

/// Whether bytes are what the digest names.
pub(crate) fn is_digest(digest: &Digest, bytes: &[u8]) -> bool {
    Hasher::digest(digest.algorithm(), bytes) == *digest
}

fn content(tx: &mut Tx<'_>, damaged: Damaged) -> Result<DamagedContent, catalog::Error> {
    Ok(DamagedContent {
        needed_by: catalog::who_needs(tx, &damaged.digest)?,
        id: damaged.id,
        digest: damaged.digest,
        size: damaged.size,
        is_manifest: damaged.is_manifest,
        cause: damaged.cause,
        found_at: damaged.found_at,
    })
}
