//! What the page cache holds of a blob, and bringing more of it there before it is sent.
//!
//! The kernel's own read-ahead is small, and what was written past the page cache is not in it at all; so who sends a
//! blob asks for large windows ahead of what it sends now. Looking never waits for the disk; bringing does, on a
//! blocking thread. Units: bytes. Fails: `Io`, where the disk does; what is only advice fails without a word.

use std::fs::File;
use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use super::{BlobFile, blocking};
use crate::error::Error;

/// How far ahead of what is sent the disk is asked for bytes: some large reads under way at any time.
const AHEAD: u64 = 8 * 1024 * 1024;
/// What is asked for at once; the kernel cuts longer wishes.
const ASK: u64 = 128 * 1024;
/// One byte in so many is looked at: pages come and go in longer runs than this.
const LOOK: u64 = 128 * 1024;

impl BlobFile {
    /// Reads into `buffer` what the page cache has from `offset` on, without waiting: how many bytes, 0 if none.
    #[must_use]
    pub fn read_cached(&self, buffer: &mut [u8], offset: u64) -> usize {
        let read = self.file().map_or(Ok(0), |file| {
            preadv2(
                file,
                &mut [IoSliceMut::new(buffer)],
                offset,
                ReadWriteFlags::NOWAIT,
            )
        });
        // A file system that cannot answer without waiting says so; then the reading is done elsewhere.
        read.unwrap_or(0)
    }

    /// Whether the page cache seems to have all of these bytes.
    #[must_use]
    pub fn is_cached(&self, offset: u64, len: u64) -> bool {
        looks(offset, len).all(|at| self.read_cached(&mut [0], at) == 1)
    }

    /// Brings these bytes into the page cache, and has the disk begin with those behind them.
    pub async fn bring(&self, offset: u64, len: u64) -> Result<(), Error> {
        let Some(file) = self.file().map(Arc::clone) else {
            return Ok(());
        };
        let ahead = self.size().min(offset.saturating_add(len).saturating_add(AHEAD));
        let location = self.location().clone();
        blocking(move || {
            ask(&file, offset, ahead);
            for at in looks(offset, len) {
                file.read_exact_at(&mut [0], at)
                    .map_err(|error| Error::io("read", location.to_string().as_ref(), error))?;
            }
            Ok(())
        })
        .await
    }
}

/// Asks for bytes `from..to` without waiting for them.
fn ask(file: &File, from: u64, to: u64) {
    let mut at = from;
    while at < to {
        if fadvise(file, at, NonZeroU64::new(ASK.min(to - at)), Advice::WillNeed).is_err() {
            return;
        }
        at += ASK;
    }
}

/// Where to look: every `LOOK` bytes, and at the last one.
fn looks(offset: u64, len: u64) -> impl Iterator<Item = u64> {
    let end = offset.saturating_add(len);
    let step = usize::try_from(LOOK).unwrap_or(usize::MAX);
    (offset..end)
        .step_by(step)
        .chain(end.checked_sub(1).filter(|_| len > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_byte_are_looked_at() {
        assert_eq!(looks(5, 0).count(), 0);
        assert_eq!(looks(5, 1).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(
            looks(7, 2 * LOOK).collect::<Vec<_>>(),
            [7, 7 + LOOK, 6 + 2 * LOOK]
        );
    }
}
