//! A piece of an upload under way: written by one worker thread and hashed by another. Pieces are hashed in their order,
//! each when the one before is done; they are written as they come.
//!
//! Small pieces do both on one thread, because waking a second one costs more than it saves. A flight runs to its end
//! even when nobody waits for it any more.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::part::Part;
use super::pool::Buffer;
use crate::error::Error;
use crate::hash::Hasher;

/// From here on two threads are better than one: hashing this much takes about 50 us.
const SIDE_BY_SIDE_MIN: usize = 64 * 1024;
/// The step in which a file is read back.
const READ_BYTES: usize = 256 * 1024;

/// Bytes to be written, in our memory or still in the network's.
#[derive(Debug)]
pub(super) enum Piece {
    Buffer(Buffer),
    Loose(Bytes),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.bytes(),
            Self::Loose(bytes) => bytes,
        }
    }
}

/// The hash of all pieces up to one: here, or still with the piece before.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are a few for each running upload, and a box would be one more allocation for each piece"
)]
pub(super) enum Chain {
    Here(Hasher),
    Coming(oneshot::Receiver<Hasher>),
}

impl Chain {
    /// Gives the chain up to here to the next piece, with the place where it leaves what it makes of it.
    pub(super) fn extend(&mut self) -> (Self, oneshot::Sender<Hasher>) {
        let (link, coming) = oneshot::channel();
        (std::mem::replace(self, Self::Coming(coming)), link)
    }

    /// The hash of all pieces. Fails: `Stopping`, if a worker died with it.
    pub(super) async fn end(&mut self) -> Result<&Hasher, Error> {
        if let Self::Coming(hasher) = self {
            *self = Self::Here(hasher.await.map_err(|_| Error::Stopping)?);
        }
        match self {
            Self::Here(hasher) => Ok(hasher),
            Self::Coming(_) => Err(Error::Stopping),
        }
    }

    async fn take(self) -> Result<Hasher, Error> {
        match self {
            Self::Here(hasher) => Ok(hasher),
            Self::Coming(hasher) => hasher.await.map_err(|_| Error::Stopping),
        }
    }
}

/// Writes `piece` at `offset`, and hashes it when the hash of what stands before it is there.
pub(super) async fn fly(
    part: Arc<Part>,
    piece: Piece,
    offset: u64,
    chain: Chain,
    link: oneshot::Sender<Hasher>,
) -> Result<(), Error> {
    if piece.bytes().len() < SIDE_BY_SIDE_MIN {
        let mut hasher = chain.take().await?;
        let both = spawn_blocking(move || {
            let written = part.write(piece.bytes(), offset);
            hasher.update(piece.bytes());
            // Nobody waits for it where the upload was given up.
            let _ = link.send(hasher);
            drop(part); // here, because the last one may have a file to remove
            written
        });
        return both.await.unwrap_or(Err(Error::Stopping));
    }
    let piece = Arc::new(piece);
    let shared = Arc::clone(&piece);
    let write = spawn_blocking(move || part.write(shared.bytes(), offset));
    let hashed = hash(piece, chain, link).await;
    let written = write.await.unwrap_or(Err(Error::Stopping));
    hashed.and(written)
}

async fn hash(piece: Arc<Piece>, chain: Chain, link: oneshot::Sender<Hasher>) -> Result<(), Error> {
    let mut hasher = chain.take().await?;
    let hash = spawn_blocking(move || {
        hasher.update(piece.bytes());
        let _ = link.send(hasher);
    });
    hash.await.map_err(|_| Error::Stopping)
}

/// Feeds the first `size` bytes of the file to `hasher`. Blocks.
pub(super) fn hash_file(part: &Part, size: u64, hasher: &mut Hasher) -> Result<(), Error> {
    let file = part.file()?;
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0;
    while offset < size {
        let wanted = usize::try_from(size - offset)
            .unwrap_or(READ_BYTES)
            .min(READ_BYTES);
        let read = file
            .read_full_at(&mut buffer[..wanted], offset)
            .map_err(|error| Error::io("read", part.path(), error))?;
        if read < wanted {
            return Err(Error::UploadGone { id: part.seat().id() });
        }
        hasher.update(&buffer[..read]);
        offset += read as u64;
    }
    Ok(())
}
