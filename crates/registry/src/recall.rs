//! Answers of the catalog that are given again without asking: manifests by tag or digest, pages of tags, and blobs.
//!
//! An answer is kept with the stamp that was noted before it was read, and given again only while the stamp stands; so
//! nothing is served that an acknowledged write took away. Where other processes write too, nothing is kept.
//! Units: bytes of memory, about; what is large is not kept.

use std::hash::Hash;

use catalog::{Aspect, Catalog, Stamp};
use oci::RepositoryName;
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

/// Answers about one aspect of repositories, by `What` was asked for.
pub(crate) struct Recall<What, A> {
    catalog: Catalog,
    aspect: Aspect,
    kept: Cache<(RepositoryName, What), (Stamp, A), Weight>,
}

#[derive(Clone)]
struct Weight;

impl<K, A: Answer> Weighter<K, (Stamp, A)> for Weight {
    fn weight(&self, _: &K, (_, answer): &(Stamp, A)) -> u64 {
        ENTRY_BYTES + answer.bytes() as u64
    }
}

/// The place for an answer that must be asked for.
pub(crate) struct Open<What> {
    key: (RepositoryName, What),
    stamp: Option<Stamp>,
}

impl<What: Hash + Eq + Clone, A: Answer> Recall<What, A> {
    /// Keeps about `bytes` of answers.
    pub(crate) fn new(catalog: Catalog, aspect: Aspect, bytes: u64) -> Self {
        let entries = usize::try_from(bytes / 2048).unwrap_or(1);
        Self {
            catalog,
            aspect,
            kept: Cache::with_weighter(entries, bytes, Weight),
        }
    }

    /// What is known, and the place for what will be: take it before asking.
    pub(crate) fn look(&self, repository: &RepositoryName, what: &What) -> (Option<A>, Open<What>) {
        let key = (repository.clone(), what.clone());
        let stamp = self.catalog.stamp(repository, self.aspect);
        let kept = stamp.and_then(|_| self.kept.get(&key));
        let answer = kept
            .filter(|(then, _)| Some(*then) == stamp)
            .map(|(_, answer)| answer);
        (answer, Open { key, stamp })
    }

    /// Keeps an answer that was read after `open` was taken.
    pub(crate) fn keep(&self, open: Open<What>, answer: &A) {
        if let Some(stamp) = open.stamp
            && answer.bytes() <= ONE_MAX
        {
            self.kept.insert(open.key, (stamp, answer.clone()));
        }
    }
}
