//! A piece of an upload under way: hashed and written side by side, on worker threads.
//!
//! Small pieces do both on one thread, because waking a second one costs more than it saves. A flight runs to its end
//! even when nobody waits for it any more.

use std::sync::Arc;

use bytes::Bytes;
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

/// The end of a flight. Hasher and piece are missing if a worker died.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) hasher: Option<Hasher>,
    pub(super) piece: Option<Piece>,
    pub(super) written: Result<(), Error>,
}

/// Hashes `piece` and writes it at `offset`.
pub(super) async fn fly(part: Arc<Part>, piece: Piece, offset: u64, mut hasher: Hasher) -> Landed {
    if piece.bytes().len() < SIDE_BY_SIDE_MIN {
        let both = spawn_blocking(move || {
            let written = part.write(piece.bytes(), offset);
            hasher.update(piece.bytes());
            drop(part); // here, because the last one may have a file to remove
            Landed {
                hasher: Some(hasher),
                piece: Some(piece),
                written,
            }
        });
        return both.await.unwrap_or_else(|_| Landed::lost());
    }
    let piece = Arc::new(piece);
    let shared = Arc::clone(&piece);
    let hash = spawn_blocking(move || {
        hasher.update(shared.bytes());
        hasher
    });
    let shared = Arc::clone(&piece);
    let write = spawn_blocking(move || part.write(shared.bytes(), offset));
    let (Ok(hasher), Ok(written)) = (hash.await, write.await) else {
        return Landed::lost();
    };
    Landed {
        hasher: Some(hasher),
        piece: Arc::into_inner(piece),
        written,
    }
}

impl Landed {
    fn lost() -> Self {
        Self {
            hasher: None,
            piece: None,
            written: Err(Error::Stopping),
        }
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
