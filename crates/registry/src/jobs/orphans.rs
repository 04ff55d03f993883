//! Stored bytes that no row knows: left by a crash between bytes and row. They are put aside, and go much later (P-ORPHAN).
//!
//! A file that is neither in flight nor in a row can never get a row: its upload left the in-flight set, and that
//! happens after the commit. So what is in flight is asked first, the catalog then. Each orphan is noted before it is
//! moved; one that a row names after all (a catalog that was brought back from a backup) returns to its place.
//! Units: milliseconds. Fails: what failed is tried again in the next round.

use std::time::Duration;

use catalog::{Health, Orphan, Owner, Scope, Tx};
use store::{Location, Shard};

use crate::{Error, Registry};

/// Locations of one question to the catalog.
const BATCH: usize = 256;
/// More files aside than this, and than half of what the catalog knows, are not what crashes leave: then the catalog
/// is likely not the one that belongs to this folder, and nothing more is touched.
pub(crate) const ASIDE_MAX: u64 = 16;
/// How long to rest after each folder: the scan must not be noticed.
const SHARD_EVERY: Duration = Duration::from_secs(5);
/// How long to rest after a round.
const ROUND_EVERY: Duration = Duration::from_hours(6);
/// How often what lies aside is looked at.
const TEND_EVERY: Duration = Duration::from_hours(1);

impl Registry {
    /// Looks for orphans, slowly and for ever, and removes those whose time has come.
    pub(super) async fn watch_orphans(&self) {
        let scanning = async {
            loop {
                match self.inner.store.shards().await {
                    Ok(shards) => self.scan_slowly(shards).await,
                    Err(error) => tracing::warn!(%error, "the folders of blobs could not be listed"),
                }
                tokio::time::sleep(ROUND_EVERY).await;
            }
        };
        let tending = async {
            let mut tick = tokio::time::interval(TEND_EVERY);
            loop {
                tick.tick().await;
                if let Err(error) = self.tend_orphans().await {
                    tracing::warn!(%error, "files that lie aside could not be looked at; trying again later");
                }
            }
        };
        tokio::join!(scanning, tending);
    }

    async fn scan_slowly(&self, shards: Vec<Shard>) {
        for shard in shards {
            if let Err(error) = self.scan_shard(&shard).await {
                tracing::warn!(%error, "a folder of blobs could not be checked for orphans");
            }
            tokio::time::sleep(SHARD_EVERY).await;
        }
    }

    /// One round at once: puts every orphan aside, and then removes those whose time has come; how many were found.
    pub async fn scan_orphans(&self) -> Result<usize, Error> {
        let mut found = 0;
        for shard in self.inner.store.shards().await? {
            found += self.scan_shard(&shard).await?;
        }
        self.tend_orphans().await?;
        Ok(found)
    }

    async fn scan_shard(&self, shard: &Shard) -> Result<usize, Error> {
        if self.must_keep_bytes().await? {
            return Ok(0);
        }
        let mut found = 0;
        for batch in self.inner.store.list_shard(shard).await?.chunks(BATCH) {
            let landed = batch.iter().filter(|one| !self.inner.store.is_in_flight(one));
            for location in self.unknown(landed.cloned().collect()).await? {
                if self.are_too_many().await? {
                    tracing::error!(
                        %location,
                        "so many stored files are unknown to the catalog that it may be another one's: nothing more is \
                         put aside; if it was lost, restore it from a backup"
                    );
                    return Ok(found);
                }
                found += usize::from(self.put_aside(shard, &location).await?);
            }
        }
        Ok(found)
    }

    async fn are_too_many(&self) -> Result<bool, Error> {
        let count = |tx: &mut Tx<'_>| {
            let known = catalog::usage(tx, &Scope::Everything)?.blobs;
            Ok((catalog::count_orphans(tx)?, u64::try_from(known).unwrap_or(0)))
        };
        let (aside, known) = self.inner.catalog.read(count).await?;
        Ok(aside >= ASIDE_MAX.max(known / 2))
    }

    /// False if the sweeper was faster.
    async fn put_aside(&self, shard: &Shard, location: &Location) -> Result<bool, Error> {
        let Some(orphan) = self.note(shard, location).await? else {
            return Ok(false);
        };
        let moved = self.inner.store.put_aside(location, orphan.first_seen).await?;
        if moved {
            tracing::warn!(%location, size_bytes = orphan.size, "a file that the catalog does not know was put aside");
        }
        Ok(moved)
    }

    /// Writes an orphan down, unless it is; none if the file is gone.
    async fn note(&self, shard: &Shard, location: &Location) -> Result<Option<Orphan>, Error> {
        let text = location.to_string();
        let noted = self
            .inner
            .catalog
            .read(move |tx| catalog::find_orphan(tx, &text))
            .await?;
        if noted.is_some() {
            return Ok(noted);
        }
        let Some(size) = self.inner.store.size_in(shard, location).await? else {
            return Ok(None);
        };
        let orphan = Orphan {
            location: location.to_string(),
            size,
            first_seen: self.now(),
            incarnation: self.inner.store.incarnation(),
        };
        let note = move |tx: &mut Tx<'_>| catalog::note_orphan(tx, &orphan);
        Ok(Some(self.inner.catalog.maintain(note).await?))
    }

    /// Looks at everything that lies aside: back in its place if a row names it, gone if its time has come.
    async fn tend_orphans(&self) -> Result<(), Error> {
        for shard in self.inner.store.shards_aside().await? {
            for batch in self.inner.store.list_shard(&shard).await?.chunks(BATCH) {
                if self.must_keep_bytes().await? {
                    return Ok(());
                }
                let names: Vec<String> = batch.iter().map(ToString::to_string).collect();
                let owners = move |tx: &mut Tx<'_>| catalog::owners(tx, &names);
                let owners = self.inner.catalog.read(owners).await?;
                for (location, owner) in batch.iter().zip(owners) {
                    self.tend(&shard, location, owner).await?;
                }
            }
        }
        self.forget_vanished().await
    }

    async fn tend(&self, shard: &Shard, location: &Location, owner: Owner) -> Result<(), Error> {
        match owner {
            // It is damaged, and lies here for as long as the row names it; or it was, and its row waits for the sweeper.
            Owner::Blob(Health::Bad) | Owner::Tombstone => return Ok(()),
            Owner::Blob(Health::Good | Health::Suspect) => {
                self.inner.store.put_back(shard, location).await?;
                tracing::warn!(%location, "the catalog names a file that lay aside: it is back in its place");
            }
            Owner::Orphan | Owner::Nobody => {
                let Some(orphan) = self.note(shard, location).await? else {
                    return Ok(());
                };
                if !self.is_over(&orphan) {
                    return Ok(());
                }
                self.inner.store.remove_aside(shard, location).await?;
                tracing::info!(%location, size_bytes = orphan.size, "removed a file that the catalog does not know");
            }
        }
        let text = location.to_string();
        let forget = move |tx: &mut Tx<'_>| catalog::forget_orphans(tx, std::slice::from_ref(&text));
        Ok(self.inner.catalog.maintain(forget).await?)
    }

    /// Whether the time of an orphan has come. After a restore nobody knows yet which life the bytes belong to.
    fn is_over(&self, orphan: &Orphan) -> bool {
        let until = orphan.first_seen.saturating_add(self.rules().orphan_hold_ms);
        until <= self.now() && orphan.incarnation == self.inner.store.incarnation()
    }

    /// Notes whose time has come although nothing lies aside: the file went another way.
    async fn forget_vanished(&self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let page = self
                .inner
                .catalog
                .read(move |tx| catalog::list_orphans(tx, &from, BATCH))
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.location);
            let over = page.into_iter().filter(|orphan| self.is_over(orphan));
            let over: Vec<String> = over.map(|orphan| orphan.location).collect();
            let forget = move |tx: &mut Tx<'_>| catalog::forget_orphans(tx, &over);
            self.inner.catalog.maintain(forget).await?;
        }
    }

    /// Those of `locations` that no row names.
    async fn unknown(&self, locations: Vec<Location>) -> Result<Vec<Location>, Error> {
        let asked: Vec<String> = locations.iter().map(ToString::to_string).collect();
        let unknown = self
            .inner
            .catalog
            .read(move |tx| catalog::unknown_locations(tx, &asked))
            .await?;
        Ok(locations
            .into_iter()
            .filter(|location| unknown.contains(&location.to_string()))
            .collect())
    }
}
