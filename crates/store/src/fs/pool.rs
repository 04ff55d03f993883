//! Memory for uploads: aligned buffers, bounded over all connections.
//!
//! Nobody ever waits for a buffer. Who gets none sends the bytes on from where the network put them, through the page
//! cache: slower, and without a way to stand still. So a slow client that sits on a half-filled buffer can make others
//! slower and never stop them.
//! A *head* is the small first buffer of an upload: most uploads end in it, and never reach a file. Heads have their
//! own budget. The others grow with what has arrived (a promise of size buys nothing) up to a fair share: the pool over
//! `EACH` buffers for each upload that is writing, so four fast ones get large buffers and four hundred get small ones.
//! Units: bytes. A buffer's memory is aligned to `block` and so is its end in the file: direct writes need both.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

/// The least worth a trip to a worker thread; smaller shares are not handed out.
const SHARE_MIN: usize = 64 * 1024;
/// Buffers of one upload: one that fills, and those under way.
const EACH: usize = 4;
/// The largest head; what is larger is better off in a file.
const HEAD_MAX: usize = 1024 * 1024;
/// Memory for all heads.
const HEADS_BYTES: usize = 2 * 1024 * 1024;

/// The budget.
#[derive(Debug)]
pub(super) struct Pool {
    total: usize,
    largest: usize,
    head: usize,
    block: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes that may still be handed out; storage in `spare` counts as handed out.
    left: usize,
    heads: usize,
    /// Uploads that are writing.
    writing: usize,
    /// Storage of the largest size, kept while somebody writes: fresh memory costs a page fault for each 4 KiB.
    spare: Vec<Vec<u8>>,
}

/// A claim to a fair share, held while an upload writes.
#[derive(Debug)]
pub(super) struct Writing(Arc<Pool>);

/// Bytes of a file that are not in it yet.
#[derive(Debug)]
pub(super) struct Buffer {
    pool: Arc<Pool>,
    storage: Vec<u8>,
    capacity: usize,
    is_head: bool,
    /// Where the bytes begin in `storage`.
    begin: usize,
    len: usize,
    /// Where they must end: `begin + len <= end`.
    end: usize,
}

impl Pool {
    /// At most `buffers * buffer_bytes` handed out, and `HEADS_BYTES` in heads of `head` bytes. Sizes are rounded up
    /// to multiples of `block`.
    pub(super) fn new(buffers: usize, buffer_bytes: usize, head: usize, block: usize) -> Arc<Self> {
        let largest = buffer_bytes.max(SHARE_MIN).next_multiple_of(block);
        let total = largest * buffers;
        let head = head.clamp(1, HEAD_MAX).next_multiple_of(block);
        let state = State {
            left: total,
            heads: HEADS_BYTES / head,
            writing: 0,
            spare: Vec::new(),
        };
        Arc::new(Self {
            total,
            largest,
            head,
            block,
            state: Mutex::new(state),
        })
    }

    /// What ends of buffers in their file are multiples of.
    pub(super) fn block(&self) -> u64 {
        self.block as u64
    }

    /// A head, for the bytes from offset 0 on.
    pub(super) fn head(self: &Arc<Self>) -> Option<Buffer> {
        self.with(|state| {
            state.heads = state.heads.checked_sub(1)?;
            Some(())
        })?;
        Some(self.wrap(vec![0; self.head + self.block], self.head, true))
    }

    /// From now on the caller counts among those who share the pool.
    pub(super) fn enter(self: &Arc<Self>) -> Writing {
        self.with(|state| state.writing += 1);
        Writing(Arc::clone(self))
    }

    /// What an upload that has received `offset` bytes should have: as much again, within its fair share.
    pub(super) fn share(&self, offset: u64) -> usize {
        let writing = self.with(|state| state.writing).max(1);
        let fair = (self.total / (EACH * writing)).clamp(SHARE_MIN, self.largest);
        let grown = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .clamp(SHARE_MIN, fair);
        // Powers of two, but for the largest, so that all steps are multiples of the block.
        let step = 1 << grown.ilog2();
        if fair == self.largest && grown == fair {
            fair
        } else {
            step.max(self.block)
        }
    }

    /// A buffer of `wanted` bytes, or of less if there is not that much left.
    pub(super) fn take(self: &Arc<Self>, wanted: usize) -> Option<Buffer> {
        let mut size = wanted;
        while size >= SHARE_MIN {
            if let Some(buffer) = self.take_exactly(size) {
                return Some(buffer);
            }
            size /= 2;
        }
        None
    }

    fn take_exactly(self: &Arc<Self>, size: usize) -> Option<Buffer> {
        let size = size.next_multiple_of(self.block);
        let reused = self.with(|state| {
            if size == self.largest
                && let Some(storage) = state.spare.pop()
            {
                return Some(Some(storage));
            }
            while state.left < size && state.spare.pop().is_some() {
                state.left += self.largest;
            }
            state.left = state.left.checked_sub(size)?;
            Some(None)
        })?;
        let storage = reused.unwrap_or_else(|| vec![0; size + self.block]);
        Some(self.wrap(storage, size, false))
    }

    fn wrap(self: &Arc<Self>, storage: Vec<u8>, capacity: usize, is_head: bool) -> Buffer {
        Buffer {
            pool: Arc::clone(self),
            storage,
            capacity,
            is_head,
            begin: 0,
            len: 0,
            end: 0,
        }
        .at(0)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let pool = &self.0;
        pool.with(|state| {
            state.writing -= 1;
            if state.writing == 0 {
                state.left += pool.largest * state.spare.len();
                state.spare.clear();
            }
        });
    }
}

impl Buffer {
    /// Empties it, for bytes from `offset` of the file on.
    pub(super) fn at(mut self, offset: u64) -> Self {
        let block = self.pool.block;
        let aligned = self.storage.as_ptr().addr().next_multiple_of(block) - self.storage.as_ptr().addr();
        // Memory and file are displaced alike, so that both meet the next block boundary together.
        let skip = usize::try_from(offset % block as u64).unwrap_or(0);
        self.begin = aligned + skip;
        self.end = aligned + self.capacity;
        self.len = 0;
        self
    }

    /// Takes from the front of `bytes` what there is room for; how much that was.
    pub(super) fn fill(&mut self, bytes: &mut Bytes) -> usize {
        let from = self.begin + self.len;
        let taken = bytes.len().min(self.end - from);
        bytes.copy_to_slice(&mut self.storage[from..from + taken]);
        self.len += taken;
        taken
    }

    /// Where the next bytes go.
    pub(super) fn spare(&mut self) -> &mut [u8] {
        &mut self.storage[self.begin + self.len..self.end]
    }

    /// The first `len` bytes of `spare` count from now on.
    pub(super) fn grow(&mut self, len: usize) {
        self.len = (self.len + len).min(self.end - self.begin);
    }

    /// Only the first `len` bytes count from now on.
    pub(super) fn shrink(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.storage[self.begin..self.begin + self.len]
    }

    pub(super) fn is_full(&self) -> bool {
        self.begin + self.len == self.end
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let storage = std::mem::take(&mut self.storage);
        self.pool.with(|state| {
            if self.is_head {
                state.heads += 1;
            } else if self.capacity == self.pool.largest && state.writing > 0 {
                state.spare.push(storage);
            } else {
                state.left += self.capacity;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn never_more_than_the_budget_and_all_of_it_comes_back() {
        let pool = Pool::new(8, 4 * MIB, 16 * 1024, 4096);
        for round in 0..3 {
            let _writing = pool.enter();
            let mut held = Vec::new();
            while let Some(buffer) = pool.take((4 * MIB) >> round) {
                held.push(buffer);
            }
            assert_eq!(held.iter().map(Buffer::capacity).sum::<usize>(), 32 * MIB);
            assert!(pool.take(SHARE_MIN).is_none());
            held.truncate(3);
        }
        pool.with(|state| assert_eq!((state.left, state.spare.len()), (32 * MIB, 0)));
        let heads: Vec<_> = std::iter::from_fn(|| pool.head()).collect();
        assert_eq!(heads.len(), 128);
        drop(heads);
        assert!(pool.head().is_some());
    }

    #[test]
    fn a_share_grows_with_what_arrived_and_shrinks_with_company() {
        let pool = Pool::new(32, MIB, 16 * 1024, 4096);
        let eight: Vec<_> = (0..8).map(|_| pool.enter()).collect();
        assert_eq!(pool.share(0), 64 * 1024);
        assert_eq!(pool.share(300 * 1024), 256 * 1024);
        assert_eq!(pool.share(1 << 40), MIB);
        let more: Vec<_> = (0..56).map(|_| pool.enter()).collect();
        assert_eq!(pool.share(1 << 40), 128 * 1024);
        drop((eight, more));
        assert_eq!(pool.share(1 << 40), MIB);
    }

    #[test]
    fn memory_and_file_reach_a_block_boundary_together() {
        let pool = Pool::new(2, 64 * 1024, 16 * 1024, 4096);
        for offset in [0_u64, 1, 4095, 4096, 70_001] {
            let mut buffer = pool.take(64 * 1024).unwrap().at(offset);
            let mut bytes = Bytes::from(vec![7; 100 * 1024]);
            let taken = buffer.fill(&mut bytes);
            assert!(buffer.is_full());
            assert_eq!((offset + taken as u64) % 4096, 0);
            assert_eq!(buffer.bytes().as_ptr().addr() as u64 % 4096, offset % 4096);
            assert_eq!(buffer.bytes(), &vec![7; taken][..]);
        }
    }
}
