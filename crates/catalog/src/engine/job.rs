//! An operation that waits for its turn, and the way its answer goes back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Error;
use crate::sql::Tx;

/// An operation of any answer type.
pub(crate) trait Job: Send {
    /// Does the work. Its outcome is kept until the transaction ended. It may be run again after that was undone.
    fn run(&mut self, tx: &mut Tx<'_>);

    /// Why the last run failed, if it did.
    fn failure(&self) -> Option<&Error>;

    /// Sends the answer; `lost` where the transaction did not come to a good end.
    fn answer(self: Box<Self>, lost: Option<&Error>);
}

/// One operation and who waits for it.
struct Operation<T, F> {
    work: F,
    outcome: Option<Result<T, Error>>,
    waiting: oneshot::Sender<Result<T, Error>>,
}

/// Where an answer will be.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, Error>>;

/// The job that does `work`, and where its answer will be.
pub(crate) fn job<T: Send + 'static>(
    work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
) -> (Box<dyn Job>, Answer<T>) {
    let (waiting, answer) = oneshot::channel();
    let operation = Operation {
        work,
        outcome: None,
        waiting,
    };
    (Box::new(operation), answer)
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
{
    fn run(&mut self, tx: &mut Tx<'_>) {
        // The transaction is undone after a panic, so nothing half-done is seen.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)));
        self.outcome = Some(outcome.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
            Err(Error::Panicked(
                words.unwrap_or_else(|| "a panic without words".to_owned()),
            ))
        }));
    }

    fn failure(&self) -> Option<&Error> {
        self.outcome.as_ref()?.as_ref().err()
    }

    fn answer(self: Box<Self>, lost: Option<&Error>) {
        let answer = match (lost, self.outcome) {
            (None, Some(outcome)) => outcome,
            (Some(lost), _) => Err(lost.clone()),
            (None, None) => Err(Error::Closed),
        };
        // Nobody waits any more: the client left, and the work is done all the same.
        let _ = self.waiting.send(answer);
    }
}

/// A cause that is only words.
pub(crate) fn cause(words: &str) -> crate::error::Cause {
    Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(words))
}
