//! Upload sessions: one writer each, known by id, kept over a restart by a row in the catalog.
//!
//! A session lives in memory while it is used, and as a row (a checkpoint) from the end of its first PATCH on. An
//! idle one is parked: its row is written and its file closed, so that many open uploads cost rows, not memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::UploadRow;
use oci::RepositoryName;
use store::{BootId, Checkpoint, Upload};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{Error, Registry};

/// Sessions idle for longer than this are parked.
const PARK_AFTER_MS: i64 = 60_000;

/// The sessions that are in memory.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<HashMap<Uuid, Arc<Session>>>,
    /// Held while a session moves between memory and catalog, so that it is never in two places.
    pub(crate) moving: tokio::sync::Mutex<()>,
}

/// One upload.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) repository: RepositoryName,
    pub(crate) actor: Option<String>,
    pub(crate) created_at: i64,
    touched_at: AtomicI64,
    /// Where the upload stands, to be told without waiting for a writer.
    offset: AtomicU64,
    /// The one writer's place.
    pub(crate) work: tokio::sync::Mutex<Work>,
}

/// What the writer of a session holds.
pub(crate) struct Work {
    /// None once the session ended.
    pub(crate) upload: Option<Upload>,
    /// Whether the catalog has a row of this session; true once the first `saving` ended well.
    pub(crate) has_row: bool,
    /// The row being written.
    saving: Option<JoinHandle<Result<(), catalog::Error>>>,
}

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Session>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn insert(&self, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        self.lock().insert(session.id, Arc::clone(&session));
        session
    }

    pub(crate) fn remove(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    pub(crate) fn of_actor(&self, actor: Option<&str>) -> Vec<Uuid> {
        let table = self.lock();
        table
            .values()
            .filter(|session| session.actor.as_deref() == actor)
            .map(|session| session.id)
            .collect()
    }

    fn idle_since(&self, then: i64) -> Vec<Arc<Session>> {
        let table = self.lock();
        table
            .values()
            .filter(|session| session.touched_at.load(Ordering::Relaxed) <= then)
            .cloned()
            .collect()
    }
}

impl Session {
    pub(crate) fn new(
        id: Uuid,
        repository: RepositoryName,
        actor: Option<String>,
        created_at: i64,
        touched_at: i64,
        upload: Upload,
        has_row: bool,
    ) -> Self {
        Self {
            id,
            repository,
            actor,
            created_at,
            touched_at: AtomicI64::new(touched_at),
            offset: AtomicU64::new(upload.offset()),
            work: tokio::sync::Mutex::new(Work {
                upload: Some(upload),
                has_row,
                saving: None,
            }),
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    pub(crate) fn moved_to(&self, offset: u64, now: i64) {
        self.offset.store(offset, Ordering::Release);
        self.touched_at.store(now, Ordering::Relaxed);
    }

    pub(crate) fn touched_at(&self) -> i64 {
        self.touched_at.load(Ordering::Relaxed)
    }
}

impl Work {
    /// Waits until the row that is being written is there. A row that could not be written is no row.
    pub(crate) async fn saved(&mut self) {
        if let Some(saving) = self.saving.take() {
            match saving.await {
                Ok(Ok(())) => self.has_row = true,
                outcome => tracing::warn!(?outcome, "an upload's offset could not be written down"),
            }
        }
    }
}

impl Registry {
    /// Finds a session of `repository`, in memory or in the catalog. Fails: `UploadUnknown`.
    pub(crate) async fn session(&self, repository: &RepositoryName, id: Uuid) -> Result<Arc<Session>, Error> {
        let session = match self.inner.sessions.get(id) {
            Some(session) => session,
            None => self.wake(id).await?,
        };
        if session.repository != *repository || self.is_expired(session.touched_at()) {
            return Err(Error::UploadUnknown);
        }
        Ok(session)
    }

    /// Brings a parked session back, or one of before the restart.
    async fn wake(&self, id: Uuid) -> Result<Arc<Session>, Error> {
        let _moving = self.inner.sessions.moving.lock().await;
        if let Some(session) = self.inner.sessions.get(id) {
            return Ok(session);
        }
        let row = self
            .inner
            .catalog
            .read(move |tx| catalog::find_upload(tx, id))
            .await?;
        let row = row
            .filter(|row| row.expires_at > self.now())
            .ok_or(Error::UploadUnknown)?;
        let checkpoint = Checkpoint {
            offset: row.offset,
            algorithm: row.algorithm,
            hash_state: row.hash_state,
            boot_id: BootId(row.boot_id),
        };
        let upload = match self.inner.store.resume(id, checkpoint).await {
            Ok(upload) => upload,
            Err(store::Error::UploadGone { .. }) => {
                self.inner
                    .catalog
                    .write(move |tx| catalog::delete_upload(tx, id))
                    .await?;
                return Err(Error::UploadUnknown);
            }
            Err(other) => return Err(other.into()),
        };
        let now = self.now();
        let session = Session::new(id, row.repo, row.actor, row.created_at, now, upload, true);
        Ok(self.inner.sessions.insert(session))
    }

    /// Writes down how far the upload is, without waiting for it: a PATCH answer is progress, not durability.
    pub(crate) async fn save(&self, session: &Session, work: &mut Work) -> Result<(), Error> {
        let Some(upload) = work.upload.as_mut() else {
            return Ok(());
        };
        let checkpoint = match upload.checkpoint().await {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                // What was taken did not reach the file, so the session cannot go on.
                self.give_up(session, work).await;
                return Err(error.into());
            }
        };
        work.saved().await;
        let row = UploadRow {
            id: session.id,
            repo: session.repository.clone(),
            actor: session.actor.clone(),
            offset: checkpoint.offset,
            algorithm: checkpoint.algorithm,
            hash_state: checkpoint.hash_state,
            boot_id: checkpoint.boot_id.0,
            created_at: session.created_at,
            expires_at: self.expiry(session.touched_at()),
        };
        let catalog = self.inner.catalog.clone();
        work.saving = Some(tokio::spawn(async move {
            catalog.write(move |tx| catalog::save_checkpoint(tx, &row)).await
        }));
        Ok(())
    }

    /// Ends a session: nobody finds it any more, and its row goes.
    pub(crate) async fn end(&self, session: &Session, work: &mut Work) -> Result<(), Error> {
        work.saved().await;
        self.inner.sessions.remove(session.id);
        if std::mem::take(&mut work.has_row) {
            let id = session.id;
            self.write_even_when_full(move |tx| catalog::delete_upload(tx, id))
                .await?;
        }
        Ok(())
    }

    /// Drops a session whose bytes cannot be trusted or kept, and gives its room back.
    pub(crate) async fn give_up(&self, session: &Session, work: &mut Work) {
        if let Some(upload) = work.upload.take() {
            upload.discard().await;
        }
        if let Err(error) = self.end(session, work).await {
            tracing::warn!(%error, upload = %session.id, "a failed upload's row could not be removed");
        }
    }

    /// Parks sessions that nobody used for a while.
    pub(crate) async fn park_idle(&self) {
        self.park(self.now() - PARK_AFTER_MS).await;
    }

    /// Parks all sessions: the last thing before the end.
    pub(crate) async fn park_all(&self) {
        self.park(i64::MAX).await;
    }

    async fn park(&self, idle_since: i64) {
        for session in self.inner.sessions.idle_since(idle_since) {
            let _moving = self.inner.sessions.moving.lock().await;
            // A writer is at work: not idle after all.
            let Ok(mut work) = session.work.try_lock() else {
                continue;
            };
            if let Err(error) = self.save(&session, &mut work).await {
                tracing::warn!(%error, upload = %session.id, "an idle upload could not be put aside");
                continue;
            }
            work.saved().await;
            work.upload = None;
            self.inner.sessions.remove(session.id);
        }
    }

    pub(crate) fn expiry(&self, touched_at: i64) -> i64 {
        self.rules()
            .upload_idle_ms
            .map_or(i64::MAX, |idle| touched_at.saturating_add(idle))
    }

    fn is_expired(&self, touched_at: i64) -> bool {
        self.expiry(touched_at) <= self.now()
    }
}
