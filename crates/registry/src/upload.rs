//! Uploads: begin, append, ask, finish, cancel.
//!
//! Shape: a session receives bytes in order; `finish` proves the digest, makes the bytes durable, then the row, then
//! answers. Crash points: after the bytes and before the row (a file that no row names: never served), and after the
//! row (the blob is there; the client asks again and sees it). A transfer runs to its end in a task of its own, so a
//! client that leaves tears nothing.
//! Source: distribution-spec "Pushing blobs"; P-UPLOAD and P-PUBLISH in ARCHITECTURE.md.

use access::{Permit, Push};
use bytes::Bytes;
use catalog::{NewBlob, Place};
use oci::{Algorithm, Digest};
use store::{Intake, Plan, Upload};
use uuid::Uuid;

use crate::session::{Life, Session, Work};
use crate::{Error, Registry};

/// How often a long transfer's offset is written down, in bytes.
const CHECKPOINT_EVERY: u64 = 64 * 1024 * 1024;

/// More open sessions than this are put aside as soon as they pause …
const OPEN_MAX: usize = 512;
/// … for so long.
const PARK_CROWDED_MS: i64 = 1_000;

/// Bytes as they come from a client.
pub trait Body: Send + 'static {
    /// The next bytes; none at the end.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, BodyCut>>> + Send;

    /// Whether more bytes are to come, and can be received where they are needed: by `receive` in place of `next`.
    fn is_direct(&self) -> bool {
        false
    }

    /// Receives into `intake` until that is full or no more comes, and gives it back; `next` says what the matter is
    /// then. None if it was lost, which ends the upload.
    fn receive(&mut self, intake: Intake) -> impl Future<Output = Option<Intake>> + Send {
        std::future::ready(Some(intake))
    }
}

/// The client left before the end of its body.
#[derive(Clone, Copy, Debug)]
pub struct BodyCut;

/// Where a client says that its bytes belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The upload must stand at this byte; none appends wherever it stands.
    pub at: Option<u64>,
    /// How many bytes must come; none takes what comes.
    pub length: Option<u64>,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: Uuid,
    /// Bytes that it has.
    pub offset: u64,
    /// When it began, Unix milliseconds.
    pub created_at: i64,
}

impl Registry {
    /// Begins a session that hashes with `algorithm`. Nothing touches the disk until bytes come.
    pub async fn begin_upload(
        &self,
        permit: &Permit<Push>,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let _one_at_a_time = match self.rules().upload_sessions_max {
            Some(_) => Some(self.inner.sessions.opening.lock().await),
            None => None,
        };
        self.may_open_another(permit.actor()).await?;
        let session = self.new_session(permit, algorithm, Life::Session).await?;
        if self.inner.sessions.len() > OPEN_MAX {
            // Each of them holds a file and some memory.
            self.park(self.now() - PARK_CROWDED_MS).await;
        }
        Ok(self.inner.sessions.insert(session).status())
    }

    /// Where a session stands.
    pub async fn upload_status(&self, permit: &Permit<Push>, id: Uuid) -> Result<UploadStatus, Error> {
        Ok(self.session(permit.repository(), id).await?.status())
    }

    /// Takes the bytes of `body` into the session, and tells where it stands then.
    /// Fails: `OutOfOrder` and `BodyCut` leave the session usable; `NoRoom` and a failing disk end it.
    pub async fn append(
        &self,
        permit: &Permit<Push>,
        id: Uuid,
        chunk: Chunk,
        body: impl Body,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let (registry, repository) = (self.clone(), permit.repository().clone());
        self.to_the_end(async move {
            let (session, mut work) = registry.writer(&repository, id).await?;
            registry.must_fit(&session, &mut work, None, chunk).await?;
            let received = registry.receive(&session, &mut work, chunk, body).await;
            if work.upload.is_some() {
                registry.save(&session, &mut work).await?;
            }
            received?;
            Ok(session.status())
        })
        .await
    }

    /// Takes the last bytes, proves the digest and publishes the blob in the permit's repository.
    /// Fails: `DigestMismatch` ends the session; otherwise as [`Registry::append`].
    pub async fn finish_upload(
        &self,
        permit: &Permit<Push>,
        id: Uuid,
        digest: Digest,
        chunk: Chunk,
        body: impl Body,
    ) -> Result<(), Error> {
        self.may_write()?;
        let (registry, repository) = (self.clone(), permit.repository().clone());
        self.to_the_end(async move {
            let (session, mut work) = registry.writer(&repository, id).await?;
            registry
                .must_fit(&session, &mut work, Some(&digest), chunk)
                .await?;
            if let Err(error) = registry.receive(&session, &mut work, chunk, body).await {
                if work.upload.is_some() {
                    registry.save(&session, &mut work).await?;
                }
                return Err(error);
            }
            registry.publish(&session, &mut work, digest).await
        })
        .await
    }

    /// Ends a session and gives its space back.
    pub async fn cancel_upload(&self, permit: &Permit<Push>, id: Uuid) -> Result<(), Error> {
        self.may_write()?;
        let (registry, repository) = (self.clone(), permit.repository().clone());
        self.to_the_end(async move {
            let (session, mut work) = registry.writer(&repository, id).await?;
            let upload = work.upload.take().ok_or(Error::UploadUnknown)?;
            upload.discard().await;
            registry.end(&session, &mut work).await
        })
        .await
    }

    /// A whole blob in one request: begin, append and finish, with nothing left behind if it fails.
    pub async fn push_blob(
        &self,
        permit: &Permit<Push>,
        digest: Digest,
        length: Option<u64>,
        body: impl Body,
    ) -> Result<(), Error> {
        self.may_write()?;
        self.may_open_another(permit.actor()).await?;
        let session = self
            .new_session(permit, digest.algorithm(), Life::OneRequest)
            .await?;
        let registry = self.clone();
        self.to_the_end(async move {
            let mut work = session.own_work();
            let chunk = Chunk { at: None, length };
            registry
                .must_fit(&session, &mut work, Some(&digest), chunk)
                .await?;
            if let Err(error) = registry.receive(&session, &mut work, chunk, body).await {
                registry.give_up(&session, &mut work).await;
                return Err(error);
            }
            registry.publish(&session, &mut work, digest).await
        })
        .await
    }

    async fn new_session(
        &self,
        permit: &Permit<Push>,
        algorithm: Algorithm,
        life: Life,
    ) -> Result<Session, Error> {
        let id = Uuid::new_v4();
        let plan = Plan {
            algorithm,
            size_hint: None,
        };
        let upload = self.inner.store.begin(id, plan).await?;
        let now = self.now();
        let actor = permit.actor().map(str::to_owned);
        Ok(Session::new(
            id,
            permit.repository().clone(),
            actor,
            now,
            now,
            upload,
            life,
        ))
    }

    /// Reads `body` to its end. Leaves `work.upload` empty if the session ended by it.
    async fn receive(
        &self,
        session: &Session,
        work: &mut Work,
        chunk: Chunk,
        mut body: impl Body,
    ) -> Result<(), Error> {
        let upload = work.upload.as_mut().ok_or(Error::UploadUnknown)?;
        let start = upload.offset();
        session.moved_to(start, self.now());
        if chunk.at.is_some_and(|at| at != start) {
            return Err(Error::OutOfOrder(session.status()));
        }
        let mut saved_at = start;
        loop {
            let upload = work.upload.as_mut().ok_or(Error::UploadUnknown)?;
            match self.take(upload, start, chunk, &mut body).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    if error.ends_upload() {
                        self.give_up(session, work).await;
                    }
                    return Err(error);
                }
            }
            let offset = upload.offset();
            session.moved_to(offset, self.now());
            if offset - saved_at >= CHECKPOINT_EVERY {
                saved_at = offset;
                self.save(session, work).await?;
            }
        }
        let received = session.offset() - start;
        match chunk.length {
            Some(declared) if declared != received => Err(Error::SizeMismatch { declared, received }),
            _ => Ok(()),
        }
    }

    /// Takes what comes next of `body`. False at its end.
    async fn take(
        &self,
        upload: &mut Upload,
        start: u64,
        chunk: Chunk,
        body: &mut impl Body,
    ) -> Result<bool, Error> {
        if body.is_direct()
            && let Some(intake) = upload.lend().await?
        {
            let intake = body.receive(intake).await.ok_or(Error::BodyCut)?;
            let allowed = self.allows(upload, start, chunk, intake.received());
            upload.take_back(match allowed {
                Ok(()) => intake,
                Err(_) => intake.emptied(),
            });
            allowed?;
            return Ok(true);
        }
        let Some(bytes) = body.next().await else {
            return Ok(false);
        };
        let bytes = bytes.map_err(|BodyCut| Error::BodyCut)?;
        self.allows(upload, start, chunk, bytes.len())?;
        upload.append(bytes).await?;
        Ok(true)
    }

    /// Whether so many more bytes are what was announced, and not too many.
    fn allows(&self, upload: &Upload, start: u64, chunk: Chunk, more: usize) -> Result<(), Error> {
        let more = more as u64;
        let received = upload.offset() - start + more;
        if let Some(declared) = chunk.length.filter(|&declared| received > declared) {
            return Err(Error::SizeMismatch { declared, received });
        }
        if let Some(max) = self
            .rules()
            .blob_bytes_max
            .filter(|&max| upload.offset() + more > max)
        {
            return Err(Error::BlobTooLarge { max });
        }
        Ok(())
    }

    /// U4 to U9: the digest is proven, the bytes are durable, the row is committed.
    async fn publish(&self, session: &Session, work: &mut Work, digest: Digest) -> Result<(), Error> {
        work.saved().await;
        let upload = work.upload.take().ok_or(Error::UploadUnknown)?;
        let row = work.has_row.then_some(session.id);
        let published = self.publish_bytes(upload, digest, session, row).await;
        if published.is_ok() {
            // The row went with the blob's transaction.
            work.has_row = false;
        }
        // After a failure the bytes are gone, so the row must not promise them.
        let ended = self.end(session, work).await;
        published.and(ended)
    }

    async fn publish_bytes(
        &self,
        upload: Upload,
        digest: Digest,
        session: &Session,
        row: Option<Uuid>,
    ) -> Result<(), Error> {
        let verified = upload.verify(&digest).await?;
        let size = verified.size();
        let (place, in_flight) = match verified.into_inline(self.rules().inline_bytes_max).await? {
            store::Inlined::Inline(bytes) => (Place::Inline(bytes), None),
            store::Inlined::Large(verified) => {
                self.check_first_copy(&digest).await?;
                let published = self.inner.store.publish(verified).await?;
                (Place::File(published.location.to_string()), Some(published))
            }
        };
        let blob = NewBlob {
            repo: session.repository.clone(),
            digest,
            size,
            place,
            upload: row,
            now: self.now(),
            lease_ms: self.rules().lease_ms,
            grace_ms: self.rules().read_grace_ms,
        };
        let committed = self
            .inner
            .catalog
            .write(move |tx| catalog::publish_blob(tx, &blob))
            .await;
        if let (Err(error), Some(published)) = (&committed, &in_flight)
            && error.is_surely_not_committed()
        {
            let location = published.location.clone();
            if let Err(error) = self.inner.store.remove(vec![location]).await {
                tracing::warn!(%error, "bytes of a refused push could not be removed");
            }
        }
        // Only now may the orphan scan look at the file: it has a row, or is one.
        drop(in_flight);
        match committed {
            Ok(_) => Ok(()),
            Err(error) => Err(self.say_biggest(&session.repository, error.into()).await),
        }
    }

    /// Ends an upload whose declared bytes would pass a quota, before they are sent. What the repository has already
    /// takes no more room.
    async fn must_fit(
        &self,
        session: &Session,
        work: &mut Work,
        digest: Option<&Digest>,
        chunk: Chunk,
    ) -> Result<(), Error> {
        let bytes = session.offset().saturating_add(chunk.length.unwrap_or(0));
        let room = self.room_for(&session.repository, digest, bytes).await;
        if room.is_err() {
            self.give_up(session, work).await;
        }
        room
    }

    async fn may_open_another(&self, actor: Option<&str>) -> Result<(), Error> {
        if !self.inner.store.has_room().await? {
            return Err(Error::NoRoom);
        }
        let Some(max) = self.rules().upload_sessions_max else {
            return Ok(());
        };
        let mut open: std::collections::HashSet<Uuid> =
            self.inner.sessions.of_actor(actor).into_iter().collect();
        if (open.len() as u64) < max {
            let actor = actor.map(str::to_owned);
            let limit = usize::try_from(max).unwrap_or(usize::MAX);
            let rows = move |tx: &mut catalog::Tx<'_>| catalog::uploads_of(tx, actor.as_deref(), limit);
            open.extend(self.inner.catalog.read(rows).await?);
        }
        if (open.len() as u64) < max {
            Ok(())
        } else {
            Err(Error::TooManyUploads { max })
        }
    }
}

impl Session {
    pub(crate) fn status(&self) -> UploadStatus {
        UploadStatus {
            id: self.id,
            offset: self.offset(),
            created_at: self.created_at,
        }
    }
}

impl Error {
    /// True where the session's bytes cannot be trusted or kept after it.
    fn ends_upload(&self) -> bool {
        matches!(self, Self::NoRoom | Self::Store(_) | Self::BlobTooLarge { .. })
    }
}
