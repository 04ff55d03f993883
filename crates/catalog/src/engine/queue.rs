//! Operations that wait: bounded, in two lanes. Clients go first; maintenance gets one turn in four while they wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Job, WAITING_MAX};
use crate::Error;

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// A client.
    Foreground,
    /// Nobody in particular.
    Maintenance,
}

/// The operations that wait.
#[derive(Default)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    arrived: Condvar,
}

#[derive(Default)]
struct Lanes {
    foreground: VecDeque<Box<dyn Job>>,
    maintenance: VecDeque<Box<dyn Job>>,
    turn: usize,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Nothing in here panics while it is held; a poisoned lock would still hold whole values.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one operation at the end of its lane.
    pub(crate) fn push(&self, job: Box<dyn Job>, lane: Lane) -> Result<(), Error> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(Error::Closed);
        }
        let waiting = match lane {
            Lane::Foreground => &mut lanes.foreground,
            Lane::Maintenance => &mut lanes.maintenance,
        };
        if waiting.len() >= WAITING_MAX {
            return Err(Error::Busy);
        }
        waiting.push_back(job);
        drop(lanes);
        self.arrived.notify_one();
        Ok(())
    }

    /// What waits now in one lane, at most `max` operations; waits for the first, never for company. None once the
    /// queue is closed and empty.
    pub(crate) fn take(&self, max: usize) -> Option<Vec<Box<dyn Job>>> {
        let mut lanes = self.lock();
        loop {
            let lane = match (lanes.foreground.is_empty(), lanes.maintenance.is_empty()) {
                (true, true) if lanes.closed => return None,
                (true, true) => {
                    lanes = self.arrived.wait(lanes).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                (true, false) => Lane::Maintenance,
                (false, false) if lanes.turn % 4 == 3 => Lane::Maintenance,
                (false, _) => Lane::Foreground,
            };
            lanes.turn = lanes.turn.wrapping_add(1);
            let waiting = match lane {
                Lane::Foreground => &mut lanes.foreground,
                Lane::Maintenance => &mut lanes.maintenance,
            };
            let count = waiting.len().min(max);
            return Some(waiting.drain(..count).collect());
        }
    }

    /// The same, if something waits; never waits itself.
    pub(crate) fn take_now(&self, max: usize) -> Option<Vec<Box<dyn Job>>> {
        if self.len() == 0 {
            return None; // only the caller takes from here, so what is seen is still there
        }
        self.take(max)
    }

    /// Whether nothing more is taken in.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes nothing more in; what waits is still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// How many operations wait.
    pub(crate) fn len(&self) -> usize {
        let lanes = self.lock();
        lanes.foreground.len() + lanes.maintenance.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::job as make;

    fn job(lane: Lane, queue: &Queue) -> Result<(), Error> {
        let (job, _answer) = make(|_: &mut crate::Tx<'_>| Ok(()));
        queue.push(job, lane)
    }

    #[test]
    fn a_full_lane_refuses_and_the_other_still_takes() {
        let queue = Queue::default();
        for _ in 0..WAITING_MAX {
            job(Lane::Foreground, &queue).unwrap();
        }
        assert!(matches!(job(Lane::Foreground, &queue), Err(Error::Busy)));
        assert!(job(Lane::Maintenance, &queue).is_ok());
    }

    #[test]
    fn maintenance_gets_one_turn_in_four_while_clients_wait() {
        let queue = Queue::default();
        for _ in 0..40 {
            job(Lane::Foreground, &queue).unwrap();
        }
        for _ in 0..4 {
            job(Lane::Maintenance, &queue).unwrap();
        }
        for _ in 0..16 {
            queue.take(1).unwrap();
        }
        assert_eq!(queue.lock().foreground.len(), 28);
        assert!(queue.lock().maintenance.is_empty());
    }

    #[test]
    fn a_closed_queue_is_drained_and_then_ends() {
        let queue = Queue::default();
        job(Lane::Foreground, &queue).unwrap();
        queue.close();
        assert!(matches!(job(Lane::Foreground, &queue), Err(Error::Closed)));
        assert_eq!(queue.take(256).unwrap().len(), 1);
        assert!(queue.take(256).is_none());
    }
}
