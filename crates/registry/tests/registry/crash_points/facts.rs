//! What was promised and is certain at any moment of the story.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oci::Digest;
use registry::Clock as _;
use uuid::Uuid;

use crate::house::StoppedClock;

/// What is certain.
#[derive(Clone, Default)]
pub(super) struct Facts {
    /// A repository's blob is served, or is not.
    pub(super) blobs: BTreeMap<(String, Digest), bool>,
    /// The same for its manifests.
    pub(super) manifests: BTreeMap<(String, Digest), bool>,
    /// Where its tag leads.
    pub(super) tags: BTreeMap<(String, String), Option<Digest>>,
    /// An upload, and how many bytes were sent.
    pub(super) upload: Option<(Uuid, u64)>,
    /// What has been pushed: the bytes of blobs, and the documents with what they name. Never in doubt.
    pub(super) contents: BTreeMap<Digest, Vec<u8>>,
    pub(super) named: BTreeMap<Digest, Vec<Digest>>,
}

/// What somebody sees who looks in the middle of a step.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) facts: Arc<Mutex<Facts>>,
    pub(super) step: Arc<Mutex<&'static str>>,
    pub(super) clock: Arc<StoppedClock>,
}

impl Moment {
    /// The step, what is certain in it, and the time: read first, because facts end before time goes by.
    pub(super) fn now(&self) -> (&'static str, Facts, i64) {
        let now = self.clock.now_ms();
        let facts = self.facts.lock().unwrap().clone();
        (*self.step.lock().unwrap(), facts, now)
    }
}
