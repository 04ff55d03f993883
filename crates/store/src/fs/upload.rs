//! P-UPLOAD: bytes arrive in order, are hashed and written side by side, and become a blob once their digest is proven.
//!
//! Shape: `Upload` --append--> `Upload` --verify--> `Verified`. While a piece fills, up to `FLIGHTS` before it are under way:
//! hashed one after the other, and each written as soon as it is full. Nothing is on disk until the head is full.
//! Cancelling: every method may be dropped at any await. What was taken stays taken, `offset` says how much that is,
//! and the next call goes on from there; work that was begun ends on its own.
//! Dropping an `Upload` removes its file, unless a checkpoint was taken: then the file waits for `resume`.
//! Fails: `NoRoom`, `Io` (the upload can then only be discarded), `DigestMismatch` (the bytes are gone).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest};
use uuid::Uuid;

use super::chain::Chain;
use super::flight::{self, Flight, Hashed, Piece};
use super::part::Part;
use super::pool::{Buffer, Writing};
use super::verified::{Body, Verified};
use super::{BootId, Inner, blocking};
use crate::error::Error;
use crate::hash::Hasher;

/// Pieces under way at once: the hash has one, and the disk has the next before it is done with one.
const FLIGHTS: usize = 3;
/// What is hashed here and now: it takes less than the way to another thread.
const AT_ONCE_MAX: usize = 32 * 1024;

/// What is known of an upload before its bytes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The hash that will probably be asked for; another one costs a second reading.
    pub algorithm: Algorithm,
    /// The size that the client announced, if it did.
    pub size_hint: Option<u64>,
}

/// What lets an upload go on after a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Bytes that were handed to the kernel.
    pub offset: u64,
    /// The hash that runs.
    pub algorithm: Algorithm,
    /// The hash of the first `offset` bytes, unfinished.
    pub hash_state: Vec<u8>,
    /// The life of the page cache in which they were written.
    pub boot_id: BootId,
}

/// A blob on its way in, and the one right to write it. Before a pause (the end of a request) take a `checkpoint`: it
/// gives the buffers back to others.
#[derive(Debug)]
pub struct Upload {
    store: Arc<Inner>,
    part: Arc<Part>,
    algorithm: Algorithm,
    /// Bytes taken.
    offset: u64,
    /// Bytes given to flights: `sent + filling.len() == offset`.
    sent: u64,
    filling: Option<Buffer>,
    /// In the order of their bytes.
    flights: VecDeque<Flight>,
    /// The hash of what was sent.
    chain: Chain<Hashed>,
    writing: Option<Writing>,
    failed: bool,
    /// `filling` is with whoever receives the next bytes.
    is_lent: bool,
}

/// Memory of an upload for its next bytes, lent to whoever receives them: so they come to lie at once where they are
/// hashed and written from. See [`Upload::lend`].
#[derive(Debug)]
pub struct Intake {
    buffer: Buffer,
    /// Bytes that were in it when it was lent.
    had: usize,
}

impl Intake {
    /// Where the next bytes go; empty once it is full.
    pub fn spare(&mut self) -> &mut [u8] {
        self.buffer.spare()
    }

    /// The first `len` bytes of `spare` hold bytes of the blob now.
    pub fn fill(&mut self, len: usize) {
        self.buffer.grow(len);
    }

    /// Bytes that it received since it was lent.
    #[must_use]
    pub fn received(&self) -> usize {
        self.buffer.bytes().len() - self.had
    }

    /// Whether it has room for no more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.buffer.is_full()
    }

    /// Without the bytes that it received.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        self.buffer.shrink(self.had);
        self
    }
}

impl Upload {
    /// An upload whose first `offset` bytes are in `part` and in `hasher`.
    pub(super) fn new(
        store: Arc<Inner>,
        part: Part,
        algorithm: Algorithm,
        hasher: Hasher,
        offset: u64,
    ) -> Self {
        Self {
            store,
            part: Arc::new(part),
            algorithm,
            offset,
            sent: offset,
            filling: None,
            flights: VecDeque::new(),
            chain: Chain::new(hasher),
            writing: None,
            failed: false,
            is_lent: false,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.part.seat().id()
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes `bytes`, waiting while too many pieces are under way. After a failure only `discard` is possible.
    pub async fn append(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.refuse_failed()?;
        while !bytes.is_empty() {
            if self.filling.as_ref().is_none_or(Buffer::is_full) {
                self.next_buffer().await?;
            }
            // From here to the end of the round nothing awaits: bytes are taken and counted, or neither.
            if let Some(buffer) = &mut self.filling {
                self.offset += buffer.fill(&mut bytes) as u64;
            } else {
                self.offset += bytes.len() as u64;
                self.send(Piece::Loose(std::mem::take(&mut bytes)));
            }
        }
        Ok(())
    }

    /// Lends memory for the next bytes; none where memory is short: then [`Self::append`]. Until it is back
    /// ([`Self::take_back`]) the upload can only be discarded.
    pub async fn lend(&mut self) -> Result<Option<Intake>, Error> {
        self.refuse_failed()?;
        if self.filling.as_ref().is_none_or(Buffer::is_full) {
            self.next_buffer().await?;
        }
        let buffer = self.filling.take();
        self.is_lent = buffer.is_some();
        Ok(buffer.map(|buffer| Intake {
            had: buffer.bytes().len(),
            buffer,
        }))
    }

    /// Takes what was lent, with the bytes that it received.
    pub fn take_back(&mut self, intake: Intake) {
        self.is_lent = false;
        self.offset += intake.received() as u64;
        self.filling = Some(intake.buffer);
    }

    /// Sees to an empty `filling`, or none with nothing in flight if memory is short.
    async fn next_buffer(&mut self) -> Result<(), Error> {
        if self.offset == 0 && self.filling.is_none() {
            self.filling = self.store.pool.head();
            if self.filling.is_some() {
                return Ok(());
            }
        }
        let pool = Arc::clone(&self.store.pool);
        self.writing.get_or_insert_with(|| pool.enter());
        if self.filling.is_some() {
            self.land_but(if self.is_apart() { FLIGHTS - 1 } else { 0 })
                .await?;
            if let Some(full) = self.filling.take() {
                self.send(Piece::Buffer(full));
            }
        }
        let share = pool.share(self.offset);
        let mut next = pool.take(share);
        while next.is_none() && !self.flights.is_empty() {
            self.land_but(self.flights.len() - 1).await?;
            next = pool.take(share);
        }
        self.filling = next.map(|buffer| buffer.at(self.offset));
        Ok(())
    }

    /// Whether the next piece shares no block with one under way; those that do are written one after the other.
    fn is_apart(&self) -> bool {
        self.sent.is_multiple_of(self.store.pool.block())
    }

    /// Sets `piece` under way.
    fn send(&mut self, piece: Piece) {
        let offset = self.sent;
        self.sent += piece.bytes().len() as u64;
        let part = Arc::clone(&self.part);
        self.flights
            .push_back(Flight::begin(part, piece, offset, &self.chain));
    }

    /// Waits until at most `most` pieces are under way.
    async fn land_but(&mut self, most: usize) -> Result<(), Error> {
        while self.flights.len() > most {
            let Some(flight) = self.flights.front_mut() else {
                break;
            };
            let landed = flight.land().await;
            self.flights.pop_front();
            self.failed |= landed.is_err();
            landed?;
        }
        self.refuse_failed()
    }

    /// Everything taken is hashed and with the kernel; the buffers are given back.
    async fn settle(&mut self) -> Result<(), Error> {
        if !self.is_apart() {
            self.land_but(0).await?;
        }
        if let Some(buffer) = self.filling.take()
            && !buffer.bytes().is_empty()
        {
            self.send(Piece::Buffer(buffer));
        }
        self.land_but(0).await?;
        self.writing = None;
        Ok(())
    }

    /// U3: hands everything taken to the kernel, and gives what a later `resume` needs. Not durable: after a power cut
    /// `resume` looks whether the bytes are there. From now on the file outlives this value.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        self.refuse_failed()?;
        self.settle().await?;
        let hash_state = self.chain.hasher()?.state();
        self.part.keep(true);
        Ok(Checkpoint {
            offset: self.offset,
            algorithm: self.algorithm,
            hash_state,
            boot_id: self.store.boot_id,
        })
    }

    /// U4: the bytes are complete, and must be those that `expected` names.
    pub async fn verify(mut self, expected: &Digest) -> Result<Verified, Error> {
        let (actual, body) = match self.finish(expected.algorithm()).await {
            Ok(finished) => finished,
            Err(error) => {
                self.discard().await;
                return Err(error);
            }
        };
        if actual != *expected {
            self.discard().await;
            return Err(Error::DigestMismatch {
                expected: expected.clone(),
                actual,
            });
        }
        Ok(Verified::new(actual, self.offset, body))
    }

    async fn finish(&mut self, algorithm: Algorithm) -> Result<(Digest, Body), Error> {
        self.refuse_failed()?;
        let part = Arc::clone(&self.part);
        if self.sent == 0 {
            // All of it is in the head, or there is nothing.
            let head = self.filling.take();
            let bytes = head.as_ref().map_or(&[][..], Buffer::bytes);
            if bytes.len() <= AT_ONCE_MAX {
                return Ok((Hasher::digest(algorithm, bytes), Body::Memory { head, part }));
            }
            return blocking(move || {
                let bytes = head.as_ref().map_or(&[][..], Buffer::bytes);
                Ok((Hasher::digest(algorithm, bytes), Body::Memory { head, part }))
            })
            .await;
        }
        self.settle().await?;
        if algorithm == self.algorithm {
            return Ok((self.chain.hasher()?.finish(), Body::File(part)));
        }
        let size = self.offset;
        blocking(move || {
            let mut hasher = Hasher::new(algorithm);
            flight::hash_file(&part, size, &mut hasher)?;
            Ok((hasher.finish(), Body::File(part)))
        })
        .await
    }

    /// Drops the bytes and gives their room back.
    pub async fn discard(mut self) {
        self.part.keep(false); // should we be cancelled, the last writer removes the file
        for mut flight in self.flights.drain(..) {
            let _ = flight.land().await; // its result does not matter any more, only its end
        }
        let part = Arc::clone(&self.part);
        if part.has_file()
            && let Err(error) = blocking(move || part.remove()).await
        {
            tracing::warn!(upload = %self.id(), %error, "a discarded upload stays until the next start");
        }
    }

    fn refuse_failed(&self) -> Result<(), Error> {
        if self.failed || self.is_lent {
            Err(Error::UploadFailed { id: self.id() })
        } else {
            Ok(())
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.part.seat().leave();
    }
}
