//! Making names durable, many at a time.
//!
//! A folder has at most one sync running and one round waiting. Who changed a name joins the waiting round, which starts
//! when the running one ends: a sync that began before the change proves nothing about it. So n changes at once cost at
//! most two syncs, and each is covered by a sync that began after it. Never `syncfs`: it would flush gigabytes of others.
//! Fails: `NotDurable`, to everybody in the round.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use tokio::sync::watch;

use crate::error::Error;
use crate::files::Files;

/// How a round ended; none until then.
type Outcome = Option<Result<(), Errno>>;
/// For each folder with a sync running: the round that starts next, if anybody waits for it.
type Rounds = HashMap<PathBuf, Option<watch::Sender<Outcome>>>;

/// The folders that are being synced.
#[derive(Debug)]
pub(super) struct DirSyncs {
    files: Arc<dyn Files>,
    rounds: Arc<Mutex<Rounds>>,
}

impl DirSyncs {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self {
            files,
            rounds: Arc::default(),
        }
    }

    /// Returns once all changes to `folder` that were made before this call are durable.
    pub(super) async fn sync(&self, folder: &Path) -> Result<(), Error> {
        let mut round = self.join(folder);
        let outcome = round.wait_for(Option::is_some).await.map(|outcome| *outcome);
        match outcome {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(errno))) => Err(Error::not_durable(folder, errno.into())),
            Ok(None) | Err(_) => Err(Error::Stopping),
        }
    }

    fn join(&self, folder: &Path) -> watch::Receiver<Outcome> {
        let new_round = || watch::channel(None).0;
        match lock(&self.rounds).entry(folder.to_owned()) {
            Entry::Occupied(mut next) => next.get_mut().get_or_insert_with(new_round).subscribe(),
            Entry::Vacant(idle) => {
                let round = idle.insert(None).insert(new_round()).subscribe();
                tokio::spawn(drive(
                    Arc::clone(&self.files),
                    Arc::clone(&self.rounds),
                    folder.to_owned(),
                ));
                round
            }
        }
    }
}

/// Runs the rounds of `folder` until nobody waits.
async fn drive(files: Arc<dyn Files>, rounds: Arc<Mutex<Rounds>>, folder: PathBuf) {
    while let Some(round) = next_round(&rounds, &folder) {
        let (files, path) = (Arc::clone(&files), folder.clone());
        let Ok(result) = tokio::task::spawn_blocking(move || files.sync_dir(&path)).await else {
            lock(&rounds).remove(&folder);
            return;
        };
        let result = result.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        round.send_replace(Some(result));
    }
}

/// Closes the waiting round, so that who comes now joins the one after; none waiting: the folder is idle.
fn next_round(rounds: &Mutex<Rounds>, folder: &Path) -> Option<watch::Sender<Outcome>> {
    let mut rounds = lock(rounds);
    let round = rounds.get_mut(folder).and_then(Option::take);
    if round.is_none() {
        rounds.remove(folder);
    }
    round
}

fn lock(rounds: &Mutex<Rounds>) -> MutexGuard<'_, Rounds> {
    rounds.lock().unwrap_or_else(PoisonError::into_inner)
}
