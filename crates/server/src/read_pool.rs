//! Memory for blobs on their way out through memory, bounded over all connections.
//!
//! Large pieces while there is room, small ones beyond it. Storage is used again while anybody sends, because fresh
//! memory costs a page fault for each 4 KiB, and given back when nobody does. Units: bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Bytes of a large piece.
const PIECE: usize = 256 * 1024;
/// Bytes of a piece when many transfers run.
const SMALL: usize = 16 * 1024;

/// The budget.
#[derive(Clone)]
pub struct ReadPool(Arc<Mutex<Stock>>);

struct Stock {
    /// Large pieces that may still be handed out.
    left: usize,
    lent: usize,
    spare: Vec<Box<[u8]>>,
}

/// A piece of memory; it goes back by being dropped.
pub(crate) struct Room {
    bytes: Box<[u8]>,
    /// As many of them count.
    len: usize,
    pool: Option<ReadPool>,
}

impl ReadPool {
    /// A pool of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Stock {
            left: bytes / PIECE,
            lent: 0,
            spare: Vec::new(),
        })))
    }

    /// A piece: large, or small if there is no room for more of those.
    pub(crate) fn take(&self) -> Room {
        let mut stock = self.lock();
        if stock.left == 0 {
            drop(stock);
            return Room::new(vec![0; SMALL].into(), None);
        }
        stock.left -= 1;
        stock.lent += 1;
        let spare = stock.spare.pop();
        drop(stock);
        Room::new(spare.unwrap_or_else(|| vec![0; PIECE].into()), Some(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn new(bytes: Box<[u8]>, pool: Option<ReadPool>) -> Self {
        let len = bytes.len();
        Self { bytes, len, pool }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keeps the first `len`.
    pub(crate) fn cut(&mut self, len: usize) {
        self.len = len.min(self.len);
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// The bytes, which give their room back when the connection has written them.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsMut<[u8]> for Room {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let bytes = std::mem::take(&mut self.bytes);
        let mut stock = pool.lock();
        stock.left += 1;
        stock.lent -= 1;
        if stock.lent == 0 {
            stock.spare.clear();
        } else {
            stock.spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_gets_small_pieces_and_everything_comes_back() {
        let pool = ReadPool::new(3 * PIECE);
        let crowd: Vec<_> = (0..5).map(|_| pool.take().into_bytes()).collect();
        assert_eq!(
            crowd.iter().map(Bytes::len).collect::<Vec<_>>(),
            [PIECE, PIECE, PIECE, SMALL, SMALL]
        );
        let mut crowd = crowd.into_iter();
        crowd.next();
        assert_eq!(pool.lock().spare.len(), 1);
        drop(crowd);
        assert!(pool.lock().spare.is_empty());
        assert_eq!(pool.lock().left, 3);
    }
}
