//! Bytes of a body come from the socket to where they are hashed and written from, without passing through hyper's memory.
//!
//! hyper reads into memory of its own. So whoever takes the body of a blob asks here for the socket's next bytes. Once
//! hyper comes to the socket with nothing left in its buffer, all that is still to come of the body is in the socket: then
//! memory is lent (`Intake`), the stream reads into it, and hyper gets a *stand-in* for each byte, so that it counts as
//! before: where the body ends, and when the next request begins. Stand-ins are zeros, and the taker of the body drops
//! them. Never more is read than the body has left, so nothing of a next request gets here.
//! Only for HTTP/1.1 in the clear, and for bodies of a known length: chunks must be seen by hyper.
//! Shape: `Plain` --ask--> `Asked` --hyper comes--> `Granted` --lend--> `Lent` --take--> `Granted` … --release--> `Plain`.
//! In each of them, stand-ins that are owed are given before anything else is read.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use registry::Intake;
use tokio::io::{AsyncRead, ReadBuf};

/// A shorter rest of a body is not worth the turn.
pub(crate) const DIRECT_MIN: u64 = 64 * 1024;

/// The way in of one connection.
#[derive(Clone, Default)]
pub(crate) struct Inlet(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    phase: Phase,
    /// Bytes that were received past hyper, and that it was not told of yet.
    owed: usize,
    /// hyper's task, where it was sent away.
    hyper: Option<Waker>,
    /// The task that takes the body.
    taker: Option<Waker>,
}

#[derive(Default)]
enum Phase {
    /// hyper reads as it likes.
    #[default]
    Plain,
    /// Somebody wants the socket's bytes for itself.
    Asked,
    /// It may have them: hyper's buffer is empty, and it waits.
    Granted,
    /// Bytes come in here, so many at most.
    Lent(Intake, u64),
}

impl Inlet {
    /// Asks for the socket's bytes.
    pub(crate) fn ask(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Plain) {
            state.phase = Phase::Asked;
        }
    }

    /// Whether they may be had, but for what hyper has passed on already; if not, `cx` is woken when they may.
    pub(crate) fn is_granted(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.lock();
        let granted = matches!(state.phase, Phase::Granted);
        if !granted {
            state.taker = Some(cx.waker().clone());
        }
        granted
    }

    /// From now on bytes come into `intake`, at most `left`.
    pub(crate) fn lend(&self, intake: Intake, left: u64) {
        self.change(Phase::Lent(intake, left));
    }

    /// Whether what was lent is full, or all that it may hold is in it.
    pub(crate) fn is_filled(&self) -> bool {
        match &self.lock().phase {
            Phase::Lent(intake, left) => *left == 0 || intake.is_full(),
            Phase::Plain | Phase::Asked | Phase::Granted => true,
        }
    }

    /// What was lent, if anything was.
    pub(crate) fn take(&self) -> Option<Intake> {
        match std::mem::replace(&mut self.lock().phase, Phase::Granted) {
            Phase::Lent(intake, _) => Some(intake),
            Phase::Plain | Phase::Asked | Phase::Granted => None,
        }
    }

    /// hyper may read again.
    pub(crate) fn release(&self) {
        self.change(Phase::Plain);
    }

    fn change(&self, phase: Phase) {
        let waker = {
            let mut state = self.lock();
            state.phase = phase;
            state.hyper.take()
        };
        if let Some(hyper) = waker {
            hyper.wake();
        }
    }

    /// hyper wants bytes of the socket.
    pub(crate) fn poll_read(
        &self,
        socket: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.owed == 0 {
            match &mut state.phase {
                Phase::Plain => {
                    drop(state);
                    return Pin::new(socket).poll_read(cx, buf);
                }
                Phase::Asked => {
                    state.phase = Phase::Granted;
                    if let Some(taker) = state.taker.take() {
                        taker.wake();
                    }
                }
                Phase::Granted => {}
                Phase::Lent(intake, left) => match fill(socket, cx, intake, left) {
                    Poll::Ready(Ok(received)) if received > 0 => state.owed = received,
                    Poll::Ready(outcome) => return Poll::Ready(outcome.map(drop)),
                    Poll::Pending => {}
                },
            }
        }
        if state.owed == 0 {
            state.hyper = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let now = state.owed.min(buf.remaining());
        buf.initialize_unfilled_to(now);
        buf.advance(now);
        state.owed -= now;
        Poll::Ready(Ok(()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what is there; how many bytes that was. None at the end of the stream. Waits where there is nothing, or no room.
fn fill(
    socket: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    intake: &mut Intake,
    left: &mut u64,
) -> Poll<io::Result<usize>> {
    let mut received = 0;
    loop {
        let most = usize::try_from(*left).unwrap_or(usize::MAX);
        let spare = intake.spare();
        let len = spare.len().min(most);
        let mut room = ReadBuf::new(&mut spare[..len]);
        if len == 0 {
            break;
        }
        match Pin::new(&mut *socket).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) => {
                let now = room.filled().len();
                if now == 0 && received == 0 {
                    return Poll::Ready(Ok(0));
                }
                if now == 0 {
                    break;
                }
                intake.fill(now);
                *left -= now as u64;
                received += now;
            }
            // It fails again when there is nothing to hand over.
            Poll::Ready(Err(_)) if received > 0 => break,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => break,
        }
    }
    if received == 0 {
        Poll::Pending
    } else {
        Poll::Ready(Ok(received))
    }
}
