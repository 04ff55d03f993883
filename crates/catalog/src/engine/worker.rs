//! The threads of an engine, and the signal that writes have ended for good.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

use crate::Error;

/// Whether a commit failed to reach the disk. Once set it stays.
#[derive(Clone)]
pub(crate) struct Broken(watch::Sender<bool>);

impl Default for Broken {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Broken {
    pub(crate) fn set(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is set.
    pub(crate) async fn wait(&self) {
        // Fails only without a sender, and `self` holds one.
        let _ = self.0.subscribe().wait_for(|&broken| broken).await;
    }
}

/// Threads that end by themselves once their queue is closed.
#[derive(Default)]
pub(crate) struct Workers {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(crate) fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(Error::database)?;
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    /// Waits until all have ended. Blocks.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the catalog panicked");
            }
        }
    }
}
