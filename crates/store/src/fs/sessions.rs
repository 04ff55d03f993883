//! One owner for each upload: who holds the seat of an id may write its file.
//!
//! A seat outlives its owner until the last write has landed, because a write that was begun cannot be called back.
//! Fails: `UploadBusy` while there is an owner; a seat that is only waiting for its writes is waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::error::Error;

/// The seats that are taken.
#[derive(Default, Debug)]
pub(super) struct Sessions {
    taken: Mutex<HashMap<Uuid, State>>,
    freed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Owned,
    Leaving,
}

/// The right to write the file of one upload.
#[derive(Debug)]
pub(super) struct Seat {
    sessions: Arc<Sessions>,
    id: Uuid,
}

impl Sessions {
    /// Takes the seat of `id`.
    pub(super) async fn enter(self: &Arc<Self>, id: Uuid) -> Result<Seat, Error> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable(); // before the look, so that no wake-up is missed
            match self.try_enter(id) {
                Ok(seat) => return Ok(seat),
                Err(State::Owned) => return Err(Error::UploadBusy { id }),
                Err(State::Leaving) => freed.await,
            }
        }
    }

    fn try_enter(self: &Arc<Self>, id: Uuid) -> Result<Seat, State> {
        let mut taken = self.lock();
        if let Some(state) = taken.get(&id) {
            return Err(*state);
        }
        taken.insert(id, State::Owned);
        Ok(Seat {
            sessions: Arc::clone(self),
            id,
        })
    }

    /// Whether anybody may be writing the file of `id`.
    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.lock().contains_key(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, State>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The owner is gone; only begun writes remain.
    pub(super) fn leave(&self) {
        self.sessions.lock().insert(self.id, State::Leaving);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
        self.sessions.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_owner_and_the_next_waits_for_the_last_write() {
        let sessions = Arc::new(Sessions::default());
        let id = Uuid::now_v7();
        let seat = sessions.enter(id).await.unwrap();
        assert!(matches!(sessions.enter(id).await, Err(Error::UploadBusy { .. })));
        seat.leave();
        let next = tokio::spawn({
            let sessions = Arc::clone(&sessions);
            async move { sessions.enter(id).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished() && sessions.contains(id));
        drop(seat);
        next.await.unwrap().unwrap();
        assert!(!sessions.contains(id));
    }
}
