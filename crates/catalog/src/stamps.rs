//! Whether what was read of a repository still holds, told without reading again.
//!
//! Each repository has stamps: numbers that every commit which changes what the repository serves moves on, after the
//! commit and before its answer. Who keeps an answer notes the stamp before reading, and may use the answer while the
//! stamp stands; so nothing is served that an acknowledged write took away. Repositories whose names hash alike share a
//! stamp: a push to one costs the other a reading, never a wrong answer.
//! Only for an engine where this process alone writes.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Stamps of each kind.
const SLOTS: usize = 4096;

/// What of a repository a stamp is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aspect {
    /// Its manifests, tags and referrers.
    Manifests = 0,
    /// Its blobs.
    Blobs = 1,
}

/// The state of one aspect at one moment. Equal stamps: nothing has changed between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(u64);

/// What a transaction touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touched {
    One(Slot, Aspect),
    /// More than can be named.
    All,
}

/// Where the stamps of a repository are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(usize);

/// All stamps.
#[derive(Debug)]
pub(crate) struct Stamps {
    slots: Box<[[AtomicU64; 2]]>,
    /// Moves on with the manifests of any repository.
    any: AtomicU64,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Default::default()).collect(),
            any: AtomicU64::new(0),
        }
    }
}

impl Slot {
    pub(crate) fn of(name: &str) -> Self {
        // One key for the process, so that nobody can choose names that share a stamp.
        static KEY: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
        let hash = usize::try_from(KEY.hash_one(name) % SLOTS as u64);
        Self(hash.unwrap_or(0))
    }
}

impl Stamps {
    pub(crate) fn now(&self, slot: Slot, aspect: Aspect) -> Stamp {
        Stamp(self.slots[slot.0][aspect as usize].load(Ordering::SeqCst))
    }

    pub(crate) fn of_any(&self) -> Stamp {
        Stamp(self.any.load(Ordering::SeqCst))
    }

    /// After a commit, and before anybody hears of it.
    pub(crate) fn move_on(&self, touched: &[Touched]) {
        for one in touched {
            match one {
                Touched::One(slot, aspect) => {
                    self.slots[slot.0][*aspect as usize].fetch_add(1, Ordering::SeqCst);
                }
                Touched::All => {
                    for stamp in self.slots.iter().flatten() {
                        stamp.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        }
        let is_listed = |one: &Touched| !matches!(one, Touched::One(_, Aspect::Blobs));
        if touched.iter().any(is_listed) {
            self.any.fetch_add(1, Ordering::SeqCst);
        }
    }
}
