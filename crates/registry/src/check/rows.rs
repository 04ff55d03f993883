//! The half of a check that begins at the rows: each has its bytes.
//!
//! A row may change while its file is looked at (collected, repaired, put aside): what looks wrong is a finding only if the
//! row still says the same afterwards.

use catalog::{Health, Kept, Owner, RecordedBlob, Tx};
use oci::Digest;
use store::{Location, Seen};
use uuid::Uuid;

use super::{PAGE, Problem, Run};
use crate::error::causes;
use crate::scrub::is_digest;
use crate::{Damage, Error};

/// Rows whose bytes are hashed in one transaction.
const SIFTED: usize = 64;

impl Run<'_> {
    /// Blobs, in the order of their rows.
    pub(super) async fn blobs(&mut self) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = self
                .registry
                .inner
                .catalog
                .read(move |tx| catalog::recorded_blobs(tx, after, PAGE))
                .await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            self.blobs_of(page).await?;
            self.step()?;
        }
        if self.how.deep {
            self.sift(Kept::Blobs).await?;
        }
        Ok(())
    }

    async fn blobs_of(&mut self, page: Vec<RecordedBlob>) -> Result<(), Error> {
        let (mut rows, mut locations) = (Vec::new(), Vec::new());
        for blob in page {
            self.report.bytes += blob.size;
            let Some(text) = blob.location.clone() else {
                self.inline(&blob);
                continue;
            };
            self.report.blobs += 1;
            match text.parse::<Location>() {
                Ok(location) if *location.digest() == blob.digest => {
                    locations.push(location);
                    rows.push(blob);
                }
                _ => self.found(&Problem::NoPlace {
                    digest: blob.digest,
                    location: text,
                }),
            }
        }
        let seen = self.registry.inner.store.look_at(locations.clone()).await?;
        for ((blob, location), seen) in rows.into_iter().zip(locations).zip(seen) {
            self.blob(&blob, &location, seen).await?;
        }
        Ok(())
    }

    fn inline(&mut self, blob: &RecordedBlob) {
        self.report.inline += 1;
        let found = blob.inline_bytes.unwrap_or(0);
        let is_known = blob.health == Health::Bad;
        // Where all is hashed, that finds another size too, and it is said once.
        if is_known || !self.how.deep && found != blob.size {
            let damage = if found == blob.size {
                Damage::Changed
            } else {
                Damage::WrongSize {
                    expected: blob.size,
                    found: Some(found),
                }
            };
            self.found(&Problem::Blob {
                digest: blob.digest.clone(),
                location: None,
                damage,
                is_known,
            });
        }
    }

    async fn blob(&mut self, blob: &RecordedBlob, location: &Location, seen: Seen) -> Result<(), Error> {
        let damage = if blob.health == Health::Bad {
            let known = blob.digest.clone();
            let find = move |tx: &mut Tx<'_>| catalog::find_damage(tx, &known);
            match self.registry.inner.catalog.read(find).await? {
                Some(known) => Some(Damage::noted(known.cause, blob.size)),
                // Healed or gone since.
                None => return Ok(()),
            }
        } else {
            self.damage(blob, location, seen).await?
        };
        let Some(damage) = damage else { return Ok(()) };
        let is_known = match self.owner(location).await? {
            Owner::Blob(health) => health == Health::Bad,
            Owner::Tombstone | Owner::Orphan | Owner::Nobody => return Ok(()),
        };
        self.found(&Problem::Blob {
            digest: blob.digest.clone(),
            location: Some(location.to_string()),
            damage,
            is_known,
        });
        Ok(())
    }

    /// What is wrong with a file that nothing is known to be wrong with.
    async fn damage(
        &mut self,
        blob: &RecordedBlob,
        location: &Location,
        seen: Seen,
    ) -> Result<Option<Damage>, Error> {
        match seen {
            Seen::Nothing => return Ok(Some(Damage::Missing)),
            Seen::Unreadable(error) => return Ok(Some(Damage::Unreadable(causes(&error)))),
            Seen::File(found) if found != blob.size => {
                return Ok(Some(Damage::WrongSize {
                    expected: blob.size,
                    found: Some(found),
                }));
            }
            Seen::File(_) => {}
        }
        if !self.how.deep {
            return Ok(None);
        }
        let (rate, read) = (self.how.rate, &mut self.report.hashed_bytes);
        let count = |bytes| *read += bytes;
        self.registry
            .read_back(location, blob.size, &mut self.pace, &|| rate, count, self.stop)
            .await
    }

    async fn owner(&mut self, location: &Location) -> Result<Owner, Error> {
        Ok(self.owners(vec![location.to_string()]).await?[0])
    }

    /// What each of these is to the catalog now.
    pub(super) async fn owners(&mut self, locations: Vec<String>) -> Result<Vec<Owner>, Error> {
        let count = locations.len();
        let ask = move |tx: &mut Tx<'_>| catalog::owners(tx, &locations);
        let mut owners = self.registry.inner.catalog.read(ask).await?;
        owners.resize(count, Owner::Nobody);
        Ok(owners)
    }

    /// Manifests' documents.
    pub(super) async fn manifests(&mut self) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = self
                .registry
                .inner
                .catalog
                .read(move |tx| catalog::recorded_bodies(tx, after, PAGE))
                .await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for body in page {
                self.report.manifests += 1;
                self.report.bytes += body.size;
                if body.is_damaged || !self.how.deep && body.size != body.body_bytes {
                    self.found(&Problem::Manifest {
                        digest: body.digest,
                        is_known: body.is_damaged,
                    });
                }
            }
            self.step()?;
        }
        if self.how.deep {
            self.sift(Kept::Manifests).await?;
        }
        Ok(())
    }

    /// Hashes what lies in the catalog.
    async fn sift(&mut self, what: Kept) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let sifted = self
                .registry
                .inner
                .catalog
                .read(move |tx| catalog::sift(tx, what, after, SIFTED, is_digest))
                .await?;
            self.report.hashed_bytes += sifted.bytes;
            for digest in sifted.wrong {
                self.changed(what, digest).await?;
            }
            let Some(last) = sifted.last else { return Ok(()) };
            after = last;
            self.step()?;
        }
    }

    async fn changed(&mut self, what: Kept, digest: Digest) -> Result<(), Error> {
        let known = digest.clone();
        let find = move |tx: &mut Tx<'_>| catalog::find_damage(tx, &known);
        if self.registry.inner.catalog.read(find).await?.is_some() {
            return Ok(()); // said already
        }
        self.found(&match what {
            Kept::Blobs => Problem::Blob {
                digest,
                location: None,
                damage: Damage::Changed,
                is_known: false,
            },
            Kept::Manifests => Problem::Manifest {
                digest,
                is_known: false,
            },
        });
        Ok(())
    }

    /// Files that wait to be removed: nothing serves them.
    pub(super) async fn tombstones(&mut self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let rows = move |tx: &mut Tx<'_>| catalog::list_tombstones(tx, &from, PAGE);
            let page = self.registry.inner.catalog.read(rows).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.location);
            self.report.tombstones += page.len() as u64;
            let locations: Vec<String> = page.into_iter().map(|one| one.location).collect();
            for (location, owner) in locations.iter().zip(self.owners(locations.clone()).await?) {
                if let Owner::Blob(_) = owner {
                    self.found(&Problem::Doomed {
                        location: location.clone(),
                    });
                }
            }
            self.step()?;
        }
    }

    /// Uploads: what their clients were told is kept. One that is being written now has its say later.
    pub(super) async fn uploads(&mut self) -> Result<(), Error> {
        let mut after = Uuid::nil();
        loop {
            let rows = move |tx: &mut Tx<'_>| catalog::list_uploads(tx, after, PAGE);
            let page = self.registry.inner.catalog.read(rows).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for upload in page {
                self.report.uploads += 1;
                self.upload(upload.id, upload.offset).await?;
            }
            self.step()?;
        }
    }

    async fn upload(&mut self, id: Uuid, promised: u64) -> Result<(), Error> {
        let store = &self.registry.inner.store;
        if store.is_uploading(id) {
            return Ok(());
        }
        // Without a file it was about to be published, now or in a process that ended: who asks is told that it is gone.
        let Some(kept) = store.upload_size(id).await?.filter(|&kept| kept < promised) else {
            return Ok(());
        };
        // It may have been finished, or taken up again, between the two looks. After a power cut nothing is promised: who
        // goes on is told to start again.
        let find = move |tx: &mut Tx<'_>| catalog::find_upload(tx, id);
        let row = self.registry.inner.catalog.read(find).await?;
        let boot_id = store.boot_id().0;
        let is_so = row.is_some_and(|row| row.offset == promised && row.boot_id == boot_id);
        if is_so && !store.is_uploading(id) {
            self.found(&Problem::Upload { id, promised, kept });
        }
        Ok(())
    }
}
