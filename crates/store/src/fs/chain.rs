//! The hash of an upload: made of its pieces in their order, by one worker thread at a time.
//!
//! The worker goes on while pieces wait, so that between two of them no thread is woken; after a turn it stands in line again,
//! because others need the threads too. Fails: `Stopping`, where a worker died and took the hash along.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::hash::Hasher;

/// Pieces that a worker hashes before it stands in line again.
const TURN: usize = 16;

/// Bytes in the order of the upload, and what is done with them beside the hash.
pub(super) trait Link: Send + 'static {
    /// The bytes to be hashed.
    fn bytes(&self) -> &[u8];

    /// What else the worker does, after the hash and before anybody hears of it. Blocks.
    fn finish(self) -> Result<(), Error>;
}

/// See the file.
#[derive(Debug)]
pub(super) struct Chain<L>(Arc<Mutex<State<L>>>);

#[derive(Debug)]
struct State<L> {
    hash: Place,
    waiting: VecDeque<Job<L>>,
}

/// Where the hash is.
#[derive(Debug)]
enum Place {
    Here(Box<Hasher>),
    WithWorker,
    Lost,
}

#[derive(Debug)]
struct Job<L> {
    link: L,
    tell: oneshot::Sender<Result<(), Error>>,
}

impl<L: Link> Chain<L> {
    /// Goes on from `hasher`.
    pub(super) fn new(hasher: Hasher) -> Self {
        Self(Arc::new(Mutex::new(State {
            hash: Place::Here(Box::new(hasher)),
            waiting: VecDeque::new(),
        })))
    }

    /// Adds the next piece. What comes back tells when it is hashed; nothing comes where the hash was lost.
    pub(super) fn add(&self, link: L) -> oneshot::Receiver<Result<(), Error>> {
        let (tell, told) = oneshot::channel();
        let job = Job { link, tell };
        let mut state = lock(&self.0);
        match std::mem::replace(&mut state.hash, Place::WithWorker) {
            Place::Here(hasher) => {
                let worker = Worker {
                    chain: Arc::clone(&self.0),
                    hasher: Some(hasher),
                };
                drop(state);
                spawn_blocking(move || worker.work(job));
            }
            Place::WithWorker => state.waiting.push_back(job),
            Place::Lost => state.hash = Place::Lost,
        }
        told
    }

    /// The hash of all pieces, once the last one told that it is hashed.
    pub(super) fn hasher(&self) -> Result<Hasher, Error> {
        match &lock(&self.0).hash {
            Place::Here(hasher) => Ok(Hasher::clone(hasher)),
            Place::WithWorker | Place::Lost => Err(Error::Stopping),
        }
    }
}

fn lock<L>(chain: &Mutex<State<L>>) -> MutexGuard<'_, State<L>> {
    // Nothing in here panics while it is held.
    chain.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has the hash. One that ends without giving it back has lost it, and all that waits for it.
struct Worker<L> {
    chain: Arc<Mutex<State<L>>>,
    hasher: Option<Box<Hasher>>,
}

impl<L: Link> Worker<L> {
    fn work(mut self, mut job: Job<L>) {
        for _ in 0..TURN {
            let Some(hasher) = &mut self.hasher else { return };
            hasher.update(job.link.bytes());
            let finished = job.link.finish();
            // Before it is told, so that whoever hears of the last piece finds the hash.
            let next = self.next();
            let _ = job.tell.send(finished); // nobody waits for it where the upload was given up
            match next {
                Some(next) => job = next,
                None => return,
            }
        }
        spawn_blocking(move || self.work(job));
    }

    /// What waits; if nothing does, the hash is given back.
    fn next(&mut self) -> Option<Job<L>> {
        let mut state = lock(&self.chain);
        let next = state.waiting.pop_front();
        if next.is_none()
            && let Some(hasher) = self.hasher.take()
        {
            state.hash = Place::Here(hasher);
        }
        next
    }
}

impl<L> Drop for Worker<L> {
    fn drop(&mut self) {
        if self.hasher.is_some() {
            let mut state = lock(&self.chain);
            state.hash = Place::Lost;
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    /// Eight bytes; `None` is one that a worker dies of.
    struct Word(Option<[u8; 8]>);

    impl Link for Word {
        fn bytes(&self) -> &[u8] {
            self.0.as_ref().expect("a worker that dies")
        }

        fn finish(self) -> Result<(), Error> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn pieces_are_hashed_in_their_order_over_many_turns_and_rests() {
        let chain = Chain::new(Hasher::new(Algorithm::Sha256));
        let mut all = Vec::new();
        for burst in [1, 5, 3 * TURN, 2, TURN] {
            let mut told = Vec::new();
            for _ in 0..burst {
                let word = (all.len() as u64).to_le_bytes();
                all.extend(word);
                told.push(chain.add(Word(Some(word))));
            }
            for one in told {
                one.await.unwrap().unwrap();
            }
            let digest = chain.hasher().unwrap().finish();
            assert_eq!(digest, Hasher::digest(Algorithm::Sha256, &all));
        }
    }

    #[tokio::test]
    async fn with_a_worker_that_died_the_hash_is_lost_and_nobody_waits_for_ever() {
        let chain = Chain::new(Hasher::new(Algorithm::Sha256));
        let told = [Some([1; 8]), None, Some([2; 8])].map(|word| chain.add(Word(word)));
        for (one, is_hashed) in told.into_iter().zip([true, false, false]) {
            assert_eq!(one.await.is_ok(), is_hashed);
        }
        assert!(chain.add(Word(Some([3; 8]))).await.is_err());
        assert!(matches!(chain.hasher(), Err(Error::Stopping)));
    }
}
