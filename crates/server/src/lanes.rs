//! The threads that connections live on.
//!
//! Each has a runtime of its own, and a connection stays where it began: a request wakes no other thread and takes no
//! lock of a shared queue. A new connection goes to the lane that has the fewest. What a request spawns runs on its lane
//! too, also after its connection ended. Fails: a machine that gives no more threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads for disk work, on each lane: enough to keep a disk busy, few enough that their stacks do not count.
const BLOCKING_THREADS: usize = 32;

/// All lanes. They end with the last clone.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    lanes: Vec<Lane>,
    next: AtomicUsize,
    _until: DropGuard,
}

struct Lane {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place among those of a lane.
struct Seat(Arc<AtomicUsize>);

impl Lanes {
    /// One lane for each core.
    pub fn start() -> io::Result<Self> {
        let stop = CancellationToken::new();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let lanes = (0..cores)
            .map(|_| Lane::start(stop.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self(Arc::new(Inner {
            lanes,
            next: AtomicUsize::new(0),
            _until: stop.drop_guard(),
        })))
    }

    /// Runs a connection's work on the lane that has the fewest connections.
    pub(crate) fn spawn(&self, tracker: &TaskTracker, work: impl Future<Output = ()> + Send + 'static) {
        let lanes = &self.0.lanes;
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        let lane = (0..lanes.len())
            .map(|n| &lanes[(first + n) % lanes.len()])
            .min_by_key(|lane| lane.connections.load(Ordering::Relaxed));
        let Some(lane) = lane else { return };
        let seat = Seat::take(&lane.connections);
        let work = async move {
            let _seat = seat;
            work.await;
        };
        tracker.spawn_on(work, &lane.runtime);
    }
}

impl Lane {
    fn start(stop: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new().name("lane".into()).spawn(move || {
            runtime.block_on(stop.cancelled());
            // A thread that hangs on a dead disk must not hold the end up.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
        })
    }
}

impl Seat {
    fn take(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_spread_over_the_lanes_and_stay_where_they_began() {
        let (lanes, tracker) = (Lanes::start().unwrap(), TaskTracker::new());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let go = CancellationToken::new();
        let count = lanes.0.lanes.len();
        for _ in 0..2 * count {
            let (tell, go) = (tell.clone(), go.clone());
            lanes.spawn(&tracker, async move {
                let began = std::thread::current().id();
                go.cancelled().await;
                tell.send((began, std::thread::current().id())).unwrap();
            });
        }
        assert!(
            lanes
                .0
                .lanes
                .iter()
                .all(|lane| lane.connections.load(Ordering::Relaxed) == 2)
        );
        go.cancel();
        tracker.close();
        tracker.wait().await;
        let mut threads = std::collections::HashSet::new();
        for _ in 0..2 * count {
            let (began, ended) = told.recv().await.unwrap();
            assert_eq!(began, ended);
            threads.insert(began);
        }
        assert_eq!(threads.len(), count);
        assert!(
            lanes
                .0
                .lanes
                .iter()
                .all(|lane| lane.connections.load(Ordering::Relaxed) == 0)
        );
    }
}
