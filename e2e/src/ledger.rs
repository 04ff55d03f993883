//! What a client has been promised: every acknowledged blob, manifest and tag, and every attempt beside them.
//!
//! Shape: an attempt is written down before its request is sent, an acknowledgement after its answer has come; so at any
//! moment a copy of the ledger says what must be there (acknowledged), and what may be there (attempted).
//! Manifests and tags are histories: after a crash each may stand at its last acknowledged state, or at any attempt after that.

use std::collections::{BTreeMap, BTreeSet};

/// A repository's name, and a digest or tag in it.
pub type Key = (String, String);

/// What was done to one thing, in order.
#[derive(Debug, Clone)]
pub struct History<T> {
    /// Every state that was asked for.
    pub attempts: Vec<T>,
    /// Which of them is the last that was acknowledged.
    pub acknowledged: Option<usize>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            attempts: Vec::new(),
            acknowledged: None,
        }
    }
}

impl<T> History<T> {
    /// The state in which it surely is, if nothing is in doubt.
    #[must_use]
    pub fn certain(&self) -> Option<&T> {
        let last = self
            .acknowledged
            .filter(|&index| index + 1 == self.attempts.len())?;
        Some(&self.attempts[last])
    }

    /// The states in which it may be, if this is what was attempted, and `promised` what was acknowledged at the moment
    /// that counts. Beside these it may not be there at all where nothing was ever acknowledged.
    #[must_use]
    pub fn allowed(&self, promised: Option<&Self>) -> &[T] {
        let acknowledged = promised.and_then(|promised| promised.acknowledged);
        &self.attempts[acknowledged.unwrap_or(0)..]
    }

    fn attempt(&mut self, state: T) -> usize {
        self.attempts.push(state);
        self.attempts.len() - 1
    }
}

/// A manifest that was sent.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Digests of everything that it needs to be whole.
    pub blobs: Vec<String>,
    /// The digest of its subject, for a referrer.
    pub subject: Option<String>,
    /// Whether it was to be there: pushed and restored, or deleted.
    pub history: History<bool>,
}

impl Manifest {
    /// True if it is surely there.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.history.certain() == Some(&true)
    }
}

/// What was done to one tag, in order; `None` is its deletion.
pub type Tag = History<Option<String>>;

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

    /// 201 has come for a blob, which stays.
    pub fn acknowledge_blob(&mut self, key: &Key) {
        self.blobs.insert(key.clone(), true);
    }

    /// Whether this repository is known to hold this blob.
    #[must_use]
    pub fn has_blob(&self, key: &Key) -> bool {
        self.blobs.get(key).is_some_and(|&acknowledged| acknowledged)
    }

    /// A manifest is about to be pushed, perhaps under a tag. Gives the attempt's place in its history.
    /// One that was deleted brings referrers with it that its delete took, where the collector has not: they are in doubt.
    pub fn try_manifest(&mut self, key: &Key, blobs: Vec<String>, subject: Option<String>) -> usize {
        let was_deleted = self
            .manifests
            .get(key)
            .is_some_and(|manifest| !manifest.is_certain());
        if was_deleted {
            for referrer in self.deleted_referrers(key) {
                self.try_change(&referrer, true);
            }
        }
        let manifest = self.manifests.entry(key.clone()).or_insert(Manifest {
            blobs,
            subject,
            history: History::default(),
        });
        manifest.history.attempt(true)
    }

    /// The referrers of a manifest that are surely deleted.
    #[must_use]
    pub fn deleted_referrers(&self, key: &Key) -> Vec<Key> {
        let of_it = self.manifests.iter().filter(|((name, _), manifest)| {
            *name == key.0
                && manifest.subject.as_ref() == Some(&key.1)
                && manifest.history.certain() == Some(&false)
        });
        of_it.map(|(referrer, _)| referrer.clone()).collect()
    }

    /// A manifest that is known is about to go, or to come back.
    pub fn try_change(&mut self, key: &Key, is_there: bool) -> Option<usize> {
        self.manifests
            .get_mut(key)
            .map(|manifest| manifest.history.attempt(is_there))
    }

    /// The answer to this attempt has come.
    pub fn acknowledge_manifest(&mut self, key: &Key, attempt: usize) {
        if let Some(manifest) = self.manifests.get_mut(key) {
            manifest.history.acknowledged = Some(attempt);
            self.fresh.insert(key.clone());
        }
    }

    /// A tag is about to be set, or deleted. Gives the attempt's place in its history.
    pub fn try_tag(&mut self, key: &Key, value: Option<String>) -> usize {
        self.tags.entry(key.clone()).or_default().attempt(value)
    }

    /// 201 or 202 has come for this attempt.
    pub fn acknowledge_tag(&mut self, key: &Key, attempt: usize) {
        if let Some(tag) = self.tags.get_mut(key) {
            tag.acknowledged = Some(attempt);
        }
    }

    /// The manifests of which something was acknowledged since this was asked last.
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
        let states = |state| {
            let manifests = self.manifests.values();
            manifests
                .filter(|manifest| manifest.history.certain() == state)
                .count()
        };
        let blobs = self.blobs.values().filter(|&&acknowledged| acknowledged).count();
        let tags = self
            .tags
            .values()
            .filter(|tag| tag.acknowledged.is_some())
            .count();
        format!(
            "acknowledged: {blobs} blobs, {} manifests, {} of them deleted, {tags} tags; not promised: {} blobs, {} manifests",
            states(Some(&true)) + states(Some(&false)),
            states(Some(&false)),
            self.blobs.len() - blobs,
            states(None)
        )
    }
}
