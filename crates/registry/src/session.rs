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

/// Sessions that are parked together.
const PARK_BATCH: usize = 256;

/// The sessions that are in memory.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<HashMap<Uuid, Arc<Session>>>,
    /// Held while a session moves between memory and catalog, so that it is never in two places; many, so that one
    /// session that takes long (its prefix is hashed again after a power cut) holds up few others.
    moving: [tokio::sync::Mutex<()>; 32],
    /// Held while a session is opened under a limit, so that two cannot both be the last.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

/// How long a session may live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as its one request: nobody knows its id, so it gets no row.
    OneRequest,
    /// Until it is finished, cancelled or expired.
    Session,
    /// The same, and the catalog has its row.
    Known,
}

/// One upload.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) repository: RepositoryName,
    pub(crate) actor: Option<String>,
    pub(crate) created_at: i64,
    life: Life,
    touched_at: AtomicI64,
    /// Where the upload stands, to be told without waiting for a writer.
    offset: AtomicU64,
    /// The one writer's place.
    work: Arc<tokio::sync::Mutex<Work>>,
}

/// A session and the writer's place in it.
pub(crate) type Writer = (Arc<Session>, tokio::sync::OwnedMutexGuard<Work>);

/// What the writer of a session holds.
pub(crate) struct Work {
    /// None once the session ended, or was parked.
    pub(crate) upload: Option<Upload>,
    /// Put aside: the catalog has it, and whoever comes next brings it back.
    parked: bool,
    /// Whether the catalog has a row of this session; true once the first `saving` ended well.
    pub(crate) has_row: bool,
    /// The row being written.
    saving: Option<JoinHandle<Result<(), catalog::Error>>>,
}

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
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

    pub(crate) async fn move_one(&self, id: Uuid) -> tokio::sync::MutexGuard<'_, ()> {
        self.moving[usize::from(id.as_bytes()[15]) % self.moving.len()]
            .lock()
            .await
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
        life: Life,
    ) -> Self {
        Self {
            id,
            repository,
            actor,
            created_at,
            life,
            touched_at: AtomicI64::new(touched_at),
            offset: AtomicU64::new(upload.offset()),
            work: Arc::new(tokio::sync::Mutex::new(Work {
                upload: Some(upload),
                parked: false,
                has_row: life == Life::Known,
                saving: None,
            })),
        }
    }

    /// The writer's place in a session that nobody else knows.
    pub(crate) fn own_work(&self) -> tokio::sync::OwnedMutexGuard<Work> {
        // Nobody else has it, so nobody else can hold the lock.
        Arc::clone(&self.work)
            .try_lock_owned()
            .unwrap_or_else(|_| unreachable!("a private session has two writers"))
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
    /// Waits until the row that is being written is there. False if it could not be written: an older one may be.
    pub(crate) async fn saved(&mut self) -> bool {
        let Some(saving) = self.saving.take() else {
            return true;
        };
        match saving.await {
            Ok(Ok(())) => self.has_row = true,
            outcome => {
                tracing::warn!(?outcome, "an upload's offset could not be written down");
                return false;
            }
        }
        true
    }
}

impl Registry {
    /// Finds a session of `repository`, in memory or in the catalog. Fails: `UploadUnknown`.
    pub(crate) async fn session(&self, repository: &RepositoryName, id: Uuid) -> Result<Arc<Session>, Error> {
        let session = if let Some(session) = self.inner.sessions.get(id) {
            session
        } else {
            // It may take long, and must not begin anew with each client that gives up waiting.
            let registry = self.clone();
            self.to_the_end(async move { registry.wake(id).await }).await?
        };
        if session.repository != *repository || self.is_expired(session.touched_at()) {
            return Err(Error::UploadUnknown);
        }
        Ok(session)
    }

    /// Waits for the writer's place in a session. Fails: `UploadUnknown`, also if it ended while we waited.
    pub(crate) async fn writer(&self, repository: &RepositoryName, id: Uuid) -> Result<Writer, Error> {
        loop {
            let session = self.session(repository, id).await?;
            let work = Arc::clone(&session.work).lock_owned().await;
            match (&work.upload, work.parked) {
                (Some(_), _) => return Ok((session, work)),
                (None, false) => return Err(Error::UploadUnknown),
                (None, true) => {} // it was put aside while we waited
            }
        }
    }

    /// Brings a parked session back, or one of before the restart.
    async fn wake(&self, id: Uuid) -> Result<Arc<Session>, Error> {
        let _moving = self.inner.sessions.move_one(id).await;
        if let Some(session) = self.inner.sessions.get(id) {
            return Ok(session);
        }
        let row = self
            .inner
            .catalog
            .read(move |tx| catalog::find_upload(tx, id))
            .await?;
        let row = row
            .filter(|row| self.rules().upload_purge_dry || row.expires_at > self.now())
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
        let session = Session::new(id, row.repo, row.actor, row.created_at, now, upload, Life::Known);
        Ok(self.inner.sessions.insert(session))
    }

    /// Writes down how far the upload is, without waiting for it: a PATCH answer is progress, not durability.
    pub(crate) async fn save(&self, session: &Session, work: &mut Work) -> Result<(), Error> {
        let Some(upload) = work.upload.as_mut().filter(|_| session.life != Life::OneRequest) else {
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
        let id = session.id;
        let gone = if std::mem::take(&mut work.has_row) {
            let gone = self
                .write_even_when_full(move |tx| catalog::delete_upload(tx, id))
                .await;
            gone.map(drop)
        } else {
            Ok(())
        };
        // Last, or somebody could find the row meanwhile and bring the session back.
        self.inner.sessions.remove(id);
        gone
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

    /// All rows are sent first and awaited then, so that the catalog takes many in one commit.
    pub(crate) async fn park(&self, idle_since: i64) {
        for batch in self.inner.sessions.idle_since(idle_since).chunks(PARK_BATCH) {
            let mut saving = Vec::with_capacity(batch.len());
            for session in batch {
                // A writer is at work: not idle after all.
                let Ok(mut work) = Arc::clone(&session.work).try_lock_owned() else {
                    continue;
                };
                if work.upload.is_none() {
                    continue;
                }
                match self.save(session, &mut work).await {
                    Ok(()) => saving.push((session, work)),
                    Err(error) => {
                        tracing::warn!(%error, upload = %session.id, "an idle upload could not be put aside");
                    }
                }
            }
            for (session, mut work) in saving {
                let _moving = self.inner.sessions.move_one(session.id).await;
                if work.saved().await {
                    work.parked = true;
                    work.upload = None;
                    self.inner.sessions.remove(session.id);
                }
            }
        }
    }

    /// Ends the sessions in memory that nobody used for too long.
    pub(crate) async fn end_expired(&self) {
        let Some(idle) = self.rules().upload_idle_ms else {
            return;
        };
        for session in self.inner.sessions.idle_since(self.now().saturating_sub(idle)) {
            let Ok(mut work) = session.work.try_lock() else {
                continue;
            };
            if work.upload.is_some() && self.is_expired(session.touched_at()) {
                self.give_up(&session, &mut work).await;
                tracing::info!(upload = %session.id, "removed an expired upload");
            }
        }
    }

    pub(crate) fn expiry(&self, touched_at: i64) -> i64 {
        self.rules()
            .upload_idle_ms
            .map_or(i64::MAX, |idle| touched_at.saturating_add(idle))
    }

    fn is_expired(&self, touched_at: i64) -> bool {
        !self.rules().upload_purge_dry && self.expiry(touched_at) <= self.now()
    }
}
