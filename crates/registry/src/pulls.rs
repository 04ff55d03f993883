//! Pulls, counted in memory: one counter for each manifest and name that it is pulled by.
//!
//! What the catalog told of a manifest is kept together with its counter, so that most pulls find it without a look-up and
//! count by two atomic steps. Counters of manifests that nobody keeps any more go when they are written down. A process
//! that is killed loses the pulls of the last seconds. Source: `catalog::record_pulls`.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::Pulls;
use oci::{Digest, Reference, RepositoryName};

/// Maps that counters are spread over, so that two threads seldom want the same.
const SHARDS: usize = 16;
/// Counters in one of them, at most. A manifest that finds it full is not counted until some are written down.
const EACH_MAX: usize = 2048;

/// Pulls of one manifest by one name since they were written down last.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    last_at: AtomicI64,
}

/// What is counted: which manifest of which repository, by which tag or by its digest.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Pulled {
    repository: RepositoryName,
    digest: Digest,
    tag: Option<String>,
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    hasher: RandomState,
    shards: [Mutex<HashMap<Pulled, Arc<Counter>>>; SHARDS],
}

impl Counter {
    pub(crate) fn count(&self, now: i64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.last_at.store(now, Ordering::Relaxed);
    }
}

impl Tally {
    /// The counter for pulls of a manifest by what it was asked by; none where there are too many.
    pub(crate) fn counter(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        by: &Reference,
    ) -> Option<Arc<Counter>> {
        let pulled = Pulled {
            repository: repository.clone(),
            digest: digest.clone(),
            tag: match by {
                Reference::Tag(tag) => Some(tag.to_string()),
                Reference::Digest(_) => None,
            },
        };
        let mut shard = self.shard(&pulled);
        if let Some(counter) = shard.get(&pulled) {
            return Some(Arc::clone(counter));
        }
        if shard.len() >= EACH_MAX {
            return None;
        }
        let counter = Arc::<Counter>::default();
        shard.insert(pulled, Arc::clone(&counter));
        Some(counter)
    }

    /// Everything that was counted since the last time.
    pub(crate) fn take(&self) -> Vec<Pulls> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|pulled, counter| {
                let count = counter.count.swap(0, Ordering::Relaxed);
                if count > 0 {
                    all.push(Pulls {
                        repo: pulled.repository.clone(),
                        digest: pulled.digest.clone(),
                        tag: pulled.tag.clone(),
                        count,
                        last_at: counter.last_at.load(Ordering::Relaxed),
                    });
                }
                // Only who holds the lock can take another handle of one that nobody else has.
                Arc::strong_count(counter) > 1
            });
        }
        all
    }

    /// These could not be written down: they are counted again.
    pub(crate) fn give_back(&self, pulls: Vec<Pulls>) {
        for one in pulls {
            let pulled = Pulled {
                repository: one.repo,
                digest: one.digest,
                tag: one.tag,
            };
            let mut shard = self.shard(&pulled);
            if shard.len() < EACH_MAX || shard.contains_key(&pulled) {
                let counter = shard.entry(pulled).or_default();
                counter.count.fetch_add(one.count, Ordering::Relaxed);
                counter.last_at.fetch_max(one.last_at, Ordering::Relaxed);
            }
        }
    }

    fn shard(&self, pulled: &Pulled) -> MutexGuard<'_, HashMap<Pulled, Arc<Counter>>> {
        let hash = usize::try_from(self.hasher.hash_one(pulled) % SHARDS as u64).unwrap_or(0);
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u32) -> Digest {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&n.to_le_bytes());
        Digest::Sha256(hash)
    }

    #[test]
    fn what_is_counted_is_taken_once_and_what_nobody_holds_goes() {
        let tally = Tally::default();
        let repository: RepositoryName = "team/app".parse().unwrap();
        let by = Reference::Tag("latest".parse().unwrap());
        let counter = tally.counter(&repository, &digest(1), &by).unwrap();
        for at in [5, 7] {
            counter.count(at);
        }
        let same = tally.counter(&repository, &digest(1), &by).unwrap();
        assert!(Arc::ptr_eq(&counter, &same));
        let taken = tally.take();
        assert_eq!((taken.len(), taken[0].count, taken[0].last_at), (1, 2, 7));
        assert_eq!(tally.take(), []);
        tally.give_back(taken.clone());
        counter.count(9);
        assert_eq!(
            (tally.take()[0].count, counter.count.load(Ordering::Relaxed)),
            (3, 0)
        );
        drop((counter, same));
        assert_eq!(tally.take(), []);
        assert!(tally.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn memory_has_an_end() {
        let tally = Tally::default();
        let repository: RepositoryName = "team/app".parse().unwrap();
        let many = u32::try_from(SHARDS * EACH_MAX * 2).unwrap();
        let by = Reference::Digest(digest(0));
        let counted = (0..many)
            .filter(|&n| tally.counter(&repository, &digest(n), &by).is_some())
            .count();
        assert_eq!(counted, SHARDS * EACH_MAX);
        tally.take();
        assert!(tally.counter(&repository, &digest(0), &by).is_some());
    }
}
