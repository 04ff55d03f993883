//! Many clients at once, who write down what they were promised.
//!
//! Shape: [`Load::start`] sets threads to work, each on repositories of its own and with layers that all of them share: they
//! push, and delete tags. [`Load::start_collected`] has them delete manifests and blobs too, take deletes back, pull what
//! they have, and ask before they push: for a server that collects garbage meanwhile.
//! [`Load::hold`] stops them between two pushes, for as long as the guard lives, and lets the address change;
//! [`Load::end`] gives the ledger. `worker` is what a client does all day, `changes` what only those do who delete.
//! Fails: an answer that the specification does not allow is kept, and [`Load::end`] panics with it. A server that vanishes
//! is no failure: whoever kills it knows.

mod changes;
mod worker;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;

use crate::dice::Dice;
use crate::hasty::Windows;
use crate::ledger::Ledger;
use worker::Worker;

const SHARED_LAYERS: usize = 24;

struct Shared {
    address: RwLock<SocketAddr>,
    ledger: Mutex<Ledger>,
    refusals: Mutex<Vec<String>>,
    ending: AtomicBool,
    rounds: AtomicU64,
    layers: Vec<Vec<u8>>,
    collected: Option<Collected>,
}

/// What clients must know of a server that collects.
struct Collected {
    /// Its folder, where its door is.
    data: PathBuf,
    windows: Windows,
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sets this many clients to work.
    #[must_use]
    pub fn start(address: SocketAddr, clients: usize, seed: u64) -> Self {
        Self::of(address, clients, seed, None)
    }

    /// Sets this many clients to work with a `hasty` server that has its data in this folder.
    #[must_use]
    pub fn start_collected(
        address: SocketAddr,
        clients: usize,
        seed: u64,
        data: &Path,
        windows: Windows,
    ) -> Self {
        let data = data.to_owned();
        Self::of(address, clients, seed, Some(Collected { data, windows }))
    }

    fn of(address: SocketAddr, clients: usize, seed: u64, collected: Option<Collected>) -> Self {
        let mut dice = Dice::new(seed);
        let layers = (0..SHARED_LAYERS).map(|_| some_layer(&mut dice)).collect();
        let shared = Arc::new(Shared {
            address: RwLock::new(address),
            ledger: Mutex::default(),
            refusals: Mutex::default(),
            ending: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
            layers,
            collected,
        });
        let threads = (0..clients)
            .map(|number| {
                let worker = Worker::new(number, Arc::clone(&shared), Dice::new(dice.throw()));
                std::thread::spawn(move || worker.work())
            })
            .collect();
        Self { shared, threads }
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared
            .ledger
            .lock()
            .expect("no client panics over the ledger")
    }

    /// Waits until no client is in the middle of a push, and keeps them out. The address may be changed through the guard.
    pub fn hold(&self) -> RwLockWriteGuard<'_, SocketAddr> {
        self.shared
            .address
            .write()
            .expect("no client panics over the address")
    }

    /// Whether every request so far was answered as it should be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let refusals = self.shared.refusals.lock();
        refusals.expect("no client panics over refusals").is_empty()
    }

    /// How many rounds all clients together have done.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::Relaxed)
    }

    /// Sends the clients home and gives what they wrote down.
    #[must_use]
    pub fn end(self) -> Ledger {
        self.shared.ending.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        let refusals = self.shared.refusals.lock().expect("the clients are gone");
        assert!(
            refusals.is_empty(),
            "{} requests were refused:\n{}",
            refusals.len(),
            refusals.join("\n")
        );
        self.shared.ledger.lock().expect("the clients are gone").clone()
    }
}

fn some_layer(dice: &mut Dice) -> Vec<u8> {
    let (from, to) = match dice.below(20) {
        0..10 => (100, 16_000),
        10..16 => (16_000, 300_000),
        16..19 => (300_000, 1_500_000),
        _ => (1_500_000, 9_000_000),
    };
    let length = from + dice.index(to - from);
    dice.bytes(length)
}
