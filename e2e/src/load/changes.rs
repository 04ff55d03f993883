//! What clients do beside pushing where garbage is collected: they delete, take deletes back, and pull what they have.
//!
//! Shape: a [`Deleted`] remembers what one delete took with it, and where in their histories that stands; it is taken back
//! only where nothing was done to its manifest since.
//! Fails: as all clients do; also where something is gone that nobody deleted, or cannot be taken back in time.

use std::time::Instant;

use super::worker::Worker;
use crate::client::{Found, Trouble, digest};
use crate::hasty::Door;
use crate::ledger::{History, Key, Ledger};

/// Deletes that a client remembers.
const REMEMBERED_MAX: usize = 20;
/// Smaller than what is kept in the catalog, and larger.
const LOOSE_BYTES: [usize; 2] = [3_000, 60_000];

/// One delete of a manifest.
pub(super) struct Deleted {
    key: Key,
    sent: Instant,
    /// The manifest, then its referrers.
    manifests: Vec<(Key, usize)>,
    tags: Vec<(Key, usize)>,
}

impl Worker {
    /// Some of it, by chance.
    pub(super) fn change(&mut self, name: &str) -> Result<(), Trouble> {
        if self.dice.one_in(2) {
            self.delete_some_image(name)?;
        }
        if self.dice.one_in(3) && !self.deleted.is_empty() {
            let index = self.dice.index(self.deleted.len());
            let deleted = self.deleted.swap_remove(index);
            self.take_back(&deleted)?;
        }
        if self.dice.one_in(8) {
            self.push_and_delete_blob(name)?;
        }
        if self.dice.one_in(2) {
            self.pull_some_image(name)?;
        }
        Ok(())
    }

    /// Some manifest of a repository that is surely there.
    fn some_manifest(&mut self, name: &str) -> Option<Key> {
        let ledger = self.ledger();
        let certain = ledger.manifests.iter();
        let certain = certain.filter(|((other, _), manifest)| other == name && manifest.is_certain());
        let keys: Vec<Key> = certain.map(|(key, _)| key.clone()).collect();
        drop(ledger);
        (!keys.is_empty()).then(|| keys[self.dice.index(keys.len())].clone())
    }

    fn delete_some_image(&mut self, name: &str) -> Result<(), Trouble> {
        let Some(key) = self.some_manifest(name) else {
            return Ok(());
        };
        let deleted = Deleted::of(&mut self.ledger(), &key);
        self.client().delete_manifest(name, &key.1)?;
        deleted.acknowledge(&mut self.ledger());
        self.deleted.push(deleted);
        if self.deleted.len() > REMEMBERED_MAX {
            self.deleted.remove(0);
        }
        Ok(())
    }

    fn take_back(&mut self, deleted: &Deleted) -> Result<(), Trouble> {
        let Some(collected) = &self.shared.collected else {
            return Ok(());
        };
        let (data, undo) = (collected.data.clone(), collected.windows.undo);
        let Some(back) = deleted.back(&mut self.ledger()) else {
            return Ok(());
        };
        let (name, digest) = &deleted.key;
        let answer = Door::of(&data)?.ask(&format!("restore {name} {digest}"))?;
        // From before the delete to after the answer.
        let is_in_time = deleted.sent.elapsed() < undo;
        let came: Vec<&str> = answer
            .strip_prefix("done")
            .unwrap_or_default()
            .split(' ')
            .collect();
        let is_back = back
            .manifests
            .iter()
            .all(|(key, _)| came.contains(&key.1.as_str()));
        if !(answer.starts_with("done") || answer == "gone") || (is_in_time && !is_back) {
            let what = format!("{:?} cannot be restored in its time: {answer}", deleted.key);
            return Err(Trouble::Refused(what));
        }
        back.settle(&mut self.ledger(), &came);
        Ok(())
    }

    /// A blob that no manifest names.
    fn push_and_delete_blob(&mut self, name: &str) -> Result<(), Trouble> {
        let length = LOOSE_BYTES[self.dice.index(LOOSE_BYTES.len())];
        let bytes = self.dice.bytes(length);
        self.push_blob(name, &bytes)?;
        if self.dice.one_in(2) {
            self.client().delete_blob(name, &digest(&bytes))?;
        }
        Ok(())
    }

    fn pull_some_image(&mut self, name: &str) -> Result<(), Trouble> {
        let Some(key) = self.some_manifest(name) else {
            return Ok(());
        };
        let lost = |what: &str| Trouble::Refused(format!("{what} of {key:?} is lost"));
        let Some(manifest) = self.client().pull_manifest(name, &key.1)? else {
            return Err(lost("the manifest"));
        };
        if digest(&manifest.body) != key.1 {
            return Err(lost("some byte of the manifest"));
        }
        let blobs = self.ledger().manifests[&key].blobs.clone();
        for blob in blobs {
            match self.client().pull_blob(name, &blob)? {
                Found::Bytes(digest, _) if digest == blob => {}
                found => return Err(lost(&format!("blob {blob} ({found:?})"))),
            }
        }
        Ok(())
    }
}

impl Deleted {
    /// Notes in the ledger what a delete of this manifest takes with it: its untagged referrers, and the tags that lead to
    /// it. What is in doubt is noted too, but not remembered.
    fn of(ledger: &mut Ledger, key: &Key) -> Self {
        let (name, digest) = key;
        let refers = |(other, manifest): (&Key, &crate::ledger::Manifest)| {
            let is_there = manifest.history.certain() != Some(&false);
            let is_referrer = is_there && other.0 == *name && manifest.subject.as_ref() == Some(digest);
            is_referrer.then(|| (other.clone(), manifest.is_certain()))
        };
        let mut manifests = vec![(key.clone(), true)];
        manifests.extend(ledger.manifests.iter().filter_map(refers));
        let leads = |(other, tag): (&Key, &crate::ledger::Tag)| {
            let may_lead = other.0 == *name && tag.allowed(Some(tag)).contains(&Some(digest.clone()));
            may_lead.then(|| (other.clone(), tag.certain().is_some()))
        };
        let tags: Vec<(Key, bool)> = ledger.tags.iter().filter_map(leads).collect();
        let mut gone = |(key, is_certain): (Key, bool)| {
            let attempt = ledger.try_change(&key, false)?;
            is_certain.then_some((key, attempt))
        };
        let manifests = manifests.into_iter().filter_map(&mut gone).collect();
        let mut gone = |(key, is_certain): (Key, bool)| {
            let attempt = ledger.try_tag(&key, None);
            is_certain.then_some((key, attempt))
        };
        Self {
            key: key.clone(),
            sent: Instant::now(),
            manifests,
            tags: tags.into_iter().filter_map(&mut gone).collect(),
        }
    }

    fn acknowledge(&self, ledger: &mut Ledger) {
        for (key, attempt) in &self.manifests {
            ledger.acknowledge_manifest(key, *attempt);
        }
        for (key, attempt) in &self.tags {
            ledger.acknowledge_tag(key, *attempt);
        }
    }

    /// Notes what may come back: manifests that were not touched since, and tags that are free; nothing if the manifest
    /// itself was touched.
    fn back(&self, ledger: &mut Ledger) -> Option<Back> {
        let (root, _) = self.manifests.first()?;
        let still = |(key, attempt): &(Key, usize)| {
            let manifest = ledger.manifests.get(key)?;
            is_last(&manifest.history, *attempt).then(|| key.clone())
        };
        let manifests: Vec<Key> = self.manifests.iter().filter_map(still).collect();
        if manifests.first() != Some(root) {
            return None;
        }
        // A tag that is free comes back, also one that was set and deleted again since.
        let free = |(key, _): &(Key, usize)| {
            let tag = ledger.tags.get(key)?;
            (tag.certain() == Some(&None)).then(|| key.clone())
        };
        let tags: Vec<Key> = self.tags.iter().filter_map(free).collect();
        let mut besides = ledger.deleted_referrers(root);
        besides.retain(|key| !manifests.contains(key));
        let mut coming = |key: Key| ledger.try_change(&key, true).map(|attempt| (key, attempt));
        let manifests = manifests.into_iter().filter_map(&mut coming).collect();
        let besides = besides.into_iter().filter_map(&mut coming).collect();
        let mut coming = |key: Key| {
            let attempt = ledger.try_tag(&key, Some(self.key.1.clone()));
            (key, attempt)
        };
        let tags = tags.into_iter().map(&mut coming).collect();
        Some(Back {
            manifests,
            besides,
            tags,
        })
    }
}

/// What a delete that is taken back may bring.
struct Back {
    manifests: Vec<(Key, usize)>,
    /// Referrers that went by another delete: those that an earlier delete of the same manifest took come too.
    besides: Vec<(Key, usize)>,
    tags: Vec<(Key, usize)>,
}

impl Back {
    /// Writes down what came back, and that the rest was gone for good.
    fn settle(self, ledger: &mut Ledger, came: &[&str]) {
        let is_back = |key: &Key| came.contains(&key.1.as_str());
        // Tags lead to the first one.
        let tags_are_back = self.manifests.first().is_some_and(|(root, _)| is_back(root));
        for (key, attempt) in self.manifests.into_iter().chain(self.besides) {
            let last = if is_back(&key) {
                Some(attempt)
            } else {
                ledger.try_change(&key, false)
            };
            if let Some(last) = last {
                ledger.acknowledge_manifest(&key, last);
            }
        }
        for (key, attempt) in self.tags {
            let last = if tags_are_back {
                attempt
            } else {
                ledger.try_tag(&key, None)
            };
            ledger.acknowledge_tag(&key, last);
        }
    }
}

/// Whether nothing was asked for after this attempt, and it was acknowledged.
fn is_last<T>(history: &History<T>, attempt: usize) -> bool {
    history.acknowledged == Some(attempt) && history.attempts.len() == attempt + 1
}
