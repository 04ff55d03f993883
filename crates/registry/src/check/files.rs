//! The half of a check that begins at the files: each has its row, or its place in a queue.
//!
//! Order: the folder is listed, then what is in flight is asked, then the catalog. A file that is in none of them and still
//! there can never get a row, so it is an orphan that the server has not found yet. A folder is listed whole: it holds the
//! blobs whose digests begin alike.

use catalog::{Owner, Scope, Tx};
use store::{Location, Seen};

use super::{PAGE, Problem, Run};
use crate::Error;
use crate::jobs::ASIDE_MAX;

impl Run<'_> {
    /// The folders of blobs.
    pub(super) async fn stored_files(&mut self) -> Result<(), Error> {
        let store = self.registry.inner.store.clone();
        for shard in store.shards().await? {
            let (blobs, others) = store.list_all(&shard).await?;
            self.report.strangers += others;
            for page in blobs.chunks(PAGE) {
                self.report.files += page.len() as u64;
                let landed: Vec<Location> = page
                    .iter()
                    .filter(|location| !store.is_in_flight(location))
                    .cloned()
                    .collect();
                self.landed(&landed).await?;
                self.step()?;
            }
        }
        let count = |tx: &mut Tx<'_>| {
            let known = catalog::usage(tx, &Scope::Everything)?.blobs;
            Ok((known, catalog::count_orphans(tx)?))
        };
        let (known, aside) = self.registry.inner.catalog.read(count).await?;
        let known = u64::try_from(known).unwrap_or(0);
        // A crash leaves a few beside what is known. A catalog that knows nothing at all is another one, or was emptied.
        let is_empty = known == 0 && self.report.manifests == 0 && self.report.blobs == 0;
        // The server puts some aside by itself.
        let files = self.report.unknown + aside;
        if files >= ASIDE_MAX.max(known / 2) || (is_empty && files > 0) {
            self.found(&Problem::ManyUnknown { files });
        }
        Ok(())
    }

    async fn landed(&mut self, locations: &[Location]) -> Result<(), Error> {
        let names = locations.iter().map(ToString::to_string).collect();
        let owners = self.owners(names).await?;
        let unknown = locations.iter().zip(owners);
        let unknown: Vec<Location> = unknown
            .filter(|(_, owner)| *owner == Owner::Nobody)
            .map(|(location, _)| location.clone())
            .collect();
        // Swept, or given up, between the two looks?
        for seen in self.registry.inner.store.look_at(unknown).await? {
            self.report.unknown += u64::from(!matches!(seen, Seen::Nothing));
        }
        Ok(())
    }

    /// Quarantine. Everything there has its way out: back, if a row names it; or it goes when its time has come.
    pub(super) async fn files_aside(&mut self) -> Result<(), Error> {
        let store = self.registry.inner.store.clone();
        for shard in store.shards_aside().await? {
            let (blobs, others) = store.list_all(&shard).await?;
            self.report.strangers += others;
            self.report.aside += blobs.len() as u64;
            self.step()?;
        }
        Ok(())
    }

    /// Files of uploads that no row knows and nobody is writing.
    pub(super) async fn left_uploads(&mut self) -> Result<(), Error> {
        let store = self.registry.inner.store.clone();
        for folder in store.upload_folders().await? {
            for file in store.list_uploads(folder).await? {
                if store.is_uploading(file.id) {
                    continue;
                }
                let find = move |tx: &mut Tx<'_>| catalog::find_upload(tx, file.id);
                let is_known = self.registry.inner.catalog.read(find).await?.is_some();
                if !is_known && store.upload_size(file.id).await?.is_some() {
                    self.report.left_uploads += 1;
                }
            }
            self.step()?;
        }
        Ok(())
    }
}
