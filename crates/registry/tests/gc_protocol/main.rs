//! Every interleaving of pushes, a mount, deletes, a restore, collectors, the sweeper, the orphan scan and a power cut,
//! on one blob and two repositories: in none does an acknowledged manifest lose its bytes. Once for a manifest that is
//! deleted, once for a repository.
//!
//! Leases and windows are left out, so anything may be collected at any time: safety must not depend on a clock. Each
//! actor's step is one transaction or one call to the disk, as in the code (`catalog::gc`, `registry::jobs`,
//! `store::fs`): change both together. A check that finds nothing proves nothing, so each fault that is planted must be
//! found. Source: P-PUBLISH, P-PUT, P-MOUNT, P-UNLINK, P-TRASH, P-PURGE, P-DELETE-REPOSITORY,
//! P-PURGE-REPOSITORY, P-RESTORE, P-REVIEW-LINK, P-SWEEP, P-ORPHAN in ARCHITECTURE.md.

mod state;
mod steps;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use state::State;
use steps::Model;

/// What somebody might get wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    /// A digest has one path, for ever.
    PathsAreUsedTwice,
    /// A collector decides, and takes the link in a later transaction without looking again.
    ReviewDoesNotLookAgain,
    /// A manifest is taken without looking whether its blob is here.
    PutDoesNotLook,
    /// The orphan scan does not know what is in flight.
    ScanIgnoresFlights,
    /// The orphan scan asks the catalog, and then what is in flight.
    ScanAsksCatalogFirst,
    /// An upload leaves the flight before its commit.
    FlightEndsBeforeCommit,
    /// The row is written before the bytes are durable.
    RowBeforeSync,
    /// Deleting a blob removes its link, whatever names it.
    UnlinkRemoves,
    /// Deleting a blob does not look whether a live manifest names it.
    UnlinkDoesNotLook,
    /// Restoring a manifest leaves its blob hidden.
    RestoreLeavesHidden,
    /// A collector takes the blob with a repository's link, although another has one.
    ReviewForgetsOtherLinks,
    /// A push looks for its repository, and writes to it in a later transaction without looking again.
    PutDoesNotHoldRepository,
    /// A repository comes back although some of what it held has gone.
    RestoreAfterPurgeBegan,
    /// What ends a deleted repository takes its links too, whatever names them.
    RepositoryPurgeTakesLinks,
}

/// What somebody deletes, and takes back or loses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deletes {
    Manifest,
    Repository,
}

/// Keys are spread by a multiplication: the default hasher would take most of the time.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = (key ^ key >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}

/// How many states there are, and the first rule that one of them breaks.
fn explore(fault: Fault, deletes: Deletes) -> (usize, Option<&'static str>) {
    let mut model = Model {
        fault,
        deletes,
        next: Vec::new(),
    };
    let start = State::start();
    let mut seen = HashSet::<u64, BuildHasherDefault<Spread>>::default();
    seen.insert(start.key());
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        if let Some(rule) = state.broken_rule(deletes) {
            return (seen.len(), Some(rule));
        }
        model.steps(&state);
        for next in model.next.drain(..) {
            if seen.insert(next.key()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), None)
}

#[test]
fn no_interleaving_loses_what_was_acknowledged() {
    let (states, broken) = explore(Fault::None, Deletes::Manifest);
    println!("{states} states");
    assert_eq!(broken, None);
    assert!(states > 1_000_000, "the model has shrunk to {states} states");
}

#[test]
fn no_interleaving_with_a_deleted_repository_loses_what_was_acknowledged() {
    let (states, broken) = explore(Fault::None, Deletes::Repository);
    println!("{states} states");
    assert_eq!(broken, None);
    assert!(states > 1_000_000, "the model has shrunk to {states} states");
}

#[test]
fn every_planted_fault_is_found() {
    for fault in [
        Fault::PathsAreUsedTwice,
        Fault::ReviewDoesNotLookAgain,
        Fault::PutDoesNotLook,
        Fault::ScanIgnoresFlights,
        Fault::ScanAsksCatalogFirst,
        Fault::FlightEndsBeforeCommit,
        Fault::RowBeforeSync,
        Fault::UnlinkRemoves,
        Fault::UnlinkDoesNotLook,
        Fault::RestoreLeavesHidden,
        Fault::ReviewForgetsOtherLinks,
        Fault::PutDoesNotHoldRepository,
        Fault::RestoreAfterPurgeBegan,
        Fault::RepositoryPurgeTakesLinks,
    ] {
        let deletes = match fault {
            Fault::PutDoesNotHoldRepository
            | Fault::RestoreAfterPurgeBegan
            | Fault::RepositoryPurgeTakesLinks => Deletes::Repository,
            _ => Deletes::Manifest,
        };
        let (states, broken) = explore(fault, deletes);
        println!("{fault:?}: {broken:?} after {states} states");
        assert!(broken.is_some(), "{fault:?} is not found");
    }
}
