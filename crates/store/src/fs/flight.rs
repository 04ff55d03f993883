//! A piece of an upload under way: written by one worker thread and hashed by another. Pieces are hashed in their order,
//! each when the one before is done; they are written as they come.
//!
//! Small pieces do both on one thread, because waking a second one costs more than it saves. A flight runs to its end
//! even when nobody waits for it any more.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::chain::{Chain, Link};
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

/// What the hash sees of a piece.
#[derive(Debug)]
pub(super) enum Hashed {
    /// It is written elsewhere.
    Alone(Arc<Piece>),
    /// It is written by the worker that hashed it, at this offset.
    Written(Piece, Arc<Part>, u64),
}

impl Link for Hashed {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Alone(piece) => piece.bytes(),
            Self::Written(piece, ..) => piece.bytes(),
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Alone(_) => Ok(()),
            // The last owner of the part may have a file to remove: better here than where nothing may block.
            Self::Written(piece, part, offset) => part.write(piece.bytes(), offset),
        }
    }
}

/// See the file. Its memory is free when it has landed.
#[derive(Debug)]
pub(super) struct Flight {
    hash: Option<oneshot::Receiver<Result<(), Error>>>,
    write: Option<JoinHandle<Result<(), Error>>>,
    outcome: Result<(), Error>,
}

impl Flight {
    /// Sets `piece` under way to `offset`, as the next of `chain`.
    pub(super) fn begin(part: Arc<Part>, piece: Piece, offset: u64, chain: &Chain<Hashed>) -> Self {
        let (hashed, write) = if piece.bytes().len() < SIDE_BY_SIDE_MIN {
            (Hashed::Written(piece, part, offset), None)
        } else {
            let piece = Arc::new(piece);
            let shared = Arc::clone(&piece);
            let write = spawn_blocking(move || part.write(shared.bytes(), offset));
            (Hashed::Alone(piece), Some(write))
        };
        Self {
            hash: Some(chain.add(hashed)),
            write,
            outcome: Ok(()),
        }
    }

    /// Waits until it is hashed and written. May be dropped and called again.
    pub(super) async fn land(&mut self) -> Result<(), Error> {
        if let Some(hash) = &mut self.hash {
            let hashed = hash.await.unwrap_or(Err(Error::Stopping));
            self.hash = None;
            self.outcome = hashed;
        }
        if let Some(write) = &mut self.write {
            let written = write.await.unwrap_or(Err(Error::Stopping));
            self.write = None;
            self.outcome = std::mem::replace(&mut self.outcome, Ok(())).and(written);
        }
        std::mem::replace(&mut self.outcome, Ok(()))
    }
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
