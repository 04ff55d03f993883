//! Answers of the catalog that are given again without asking: manifests by tag or digest, pages of tags and of
//! repositories, and blobs.
//!
//! An answer is kept with the stamp that was noted before it was read, and given again only while the stamp stands; so
//! nothing is served that an acknowledged write took away. Where other processes write too, there are no stamps, and nothing
//! is kept. Units: bytes of memory, about; what is large is not kept.

use std::hash::Hash;

use catalog::Stamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Larger answers are not kept.
const ONE_MAX: usize = 64 * 1024;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: u64 = 400;

/// An answer that may be kept.
pub(crate) trait Answer: Clone {
    /// Bytes of memory in it.
    fn bytes(&self) -> usize;
}

/// Answers of one kind, by what was asked for.
pub(crate) struct Recall<Asked, A>(Cache<Asked, (Stamp, A), Weight>);

#[derive(Clone)]
struct Weight;

impl<Asked, A: Answer> Weighter<Asked, (Stamp, A)> for Weight {
    fn weight(&self, _: &Asked, (_, answer): &(Stamp, A)) -> u64 {
        ENTRY_BYTES + answer.bytes() as u64
    }
}

/// The place for an answer that must be asked for.
pub(crate) struct Open<Asked> {
    asked: Asked,
    stamp: Option<Stamp>,
}

impl<Asked: Hash + Eq, A: Answer> Recall<Asked, A> {
    /// Keeps about `bytes` of answers.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / 2048).unwrap_or(1);
        Self(Cache::with_weighter(entries, bytes, Weight))
    }

    /// What is known, and the place for what will be. `stamp` is that of now: take it, and this, before asking.
    pub(crate) fn look(&self, asked: Asked, stamp: Option<Stamp>) -> (Option<A>, Open<Asked>) {
        let kept = stamp.and_then(|_| self.0.get(&asked));
        let answer = kept
            .filter(|(then, _)| Some(*then) == stamp)
            .map(|(_, answer)| answer);
        (answer, Open { asked, stamp })
    }

    /// Keeps an answer that was read after `open` was taken.
    pub(crate) fn keep(&self, open: Open<Asked>, answer: &A) {
        if let Some(stamp) = open.stamp
            && answer.bytes() <= ONE_MAX
        {
            self.0.insert(open.asked, (stamp, answer.clone()));
        }
    }
}
