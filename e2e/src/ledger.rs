//! What a client has been promised: every acknowledged blob, manifest and tag, and every attempt beside them.
//!
//! Shape: an attempt is written down before its request is sent, an acknowledgement after its 201 has come; so at any moment
//! a copy of the ledger says what must be there (acknowledged), and what may be there (attempted).
//! A tag is a history: after a crash it may stand at its last acknowledged value, or at any attempt after that.

use std::collections::{BTreeMap, BTreeSet};

/// A repository's name, and a digest or tag in it.
pub type Key = (String, String);

/// A manifest that was sent.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Digests of everything that it needs to be whole.
    pub blobs: Vec<String>,
    /// The digest of its subject, for a referrer.
    pub subject: Option<String>,
    /// 201 has come.
    pub acknowledged: bool,
}

/// What was done to one tag, in order; `None` is its deletion.
#[derive(Debug, Clone, Default)]
pub struct Tag {
    /// Every value that was asked for.
    pub attempts: Vec<Option<String>>,
    /// Which of them is the last that was acknowledged.
    pub acknowledged: Option<usize>,
}

impl Tag {
    /// The digest at which it surely stands, if nothing is in doubt.
    #[must_use]
    pub fn certain(&self) -> Option<&str> {
        let last = self
            .acknowledged
            .filter(|&index| index + 1 == self.attempts.len())?;
        self.attempts[last].as_deref()
    }
}

/// Promises and attempts.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Blobs by repository and digest: acknowledged or not.
    pub blobs: BTreeMap<Key, bool>,
    /// Manifests by repository and digest.
    pub manifests: BTreeMap<Key, Manifest>,
    /// Tags by repository and name.
    pub tags: BTreeMap<Key, Tag>,
    /// Upload sessions that were opened and not seen to end.
    pub sessions: BTreeSet<String>,
    fresh: BTreeSet<Key>,
}

impl Ledger {
    /// A blob is about to be pushed or mounted.
    pub fn try_blob(&mut self, key: &Key) {
        self.blobs.entry(key.clone()).or_insert(false);
    }

    /// 201 has come for a blob.
    pub fn acknowledge_blob(&mut self, key: &Key) {
        self.blobs.insert(key.clone(), true);
    }

    /// Whether this repository is known to hold this blob.
    #[must_use]
    pub fn has_blob(&self, key: &Key) -> bool {
        self.blobs.get(key).is_some_and(|&acknowledged| acknowledged)
    }

    /// A manifest is about to be pushed, perhaps under a tag.
    pub fn try_manifest(&mut self, key: &Key, blobs: Vec<String>, subject: Option<String>) {
        self.manifests.entry(key.clone()).or_insert(Manifest {
            blobs,
            subject,
            acknowledged: false,
        });
    }

    /// 201 has come for a manifest.
    pub fn acknowledge_manifest(&mut self, key: &Key) {
        if let Some(manifest) = self.manifests.get_mut(key) {
            manifest.acknowledged = true;
            self.fresh.insert(key.clone());
        }
    }

    /// A tag is about to be set, or deleted. Gives the attempt's place in its history.
    pub fn try_tag(&mut self, key: &Key, value: Option<String>) -> usize {
        let tag = self.tags.entry(key.clone()).or_default();
        tag.attempts.push(value);
        tag.attempts.len() - 1
    }

    /// 201 or 202 has come for this attempt.
    pub fn acknowledge_tag(&mut self, key: &Key, attempt: usize) {
        if let Some(tag) = self.tags.get_mut(key) {
            tag.acknowledged = Some(attempt);
        }
    }

    /// The manifests that were acknowledged since this was asked last.
    pub fn take_fresh(&mut self) -> Vec<(Key, Manifest)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh
            .into_iter()
            .filter_map(|key| {
                self.manifests
                    .get(&key)
                    .map(|manifest| (key.clone(), manifest.clone()))
            })
            .collect()
    }

    /// One line for a person: how much was promised.
    #[must_use]
    pub fn summary(&self) -> String {
        let manifests = self
            .manifests
            .values()
            .filter(|manifest| manifest.acknowledged)
            .count();
        let blobs = self.blobs.values().filter(|&&acknowledged| acknowledged).count();
        let tags = self
            .tags
            .values()
            .filter(|tag| tag.acknowledged.is_some())
            .count();
        format!(
            "acknowledged: {blobs} blobs, {manifests} manifests, {tags} tags; in doubt: {} blobs, {} manifests",
            self.blobs.len() - blobs,
            self.manifests.len() - manifests
        )
    }
}
