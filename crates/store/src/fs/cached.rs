//! What the page cache holds of a blob, and bringing more of it there before it is sent.
//!
//! What was written past the page cache is not in it, and the kernel's own read-ahead may be small; so who sends a blob
//! that is not there has it read a window ahead of what goes out. Looking never waits for the disk; bringing does, on a
//! blocking thread. It reads the bytes and forgets them: what is only asked for (`posix_fadvise`) comes in single pages,
//! and each later pull would pay for their number. Units: bytes. Fails: `Io`, where the disk does.

use std::io::IoSliceMut;

use rustix::io::{ReadWriteFlags, preadv2};

use super::{BlobFile, blocking};
use crate::error::Error;

/// What is read at once: a large request to the disk, and little memory.
const STEP: u64 = 512 * 1024;
/// One byte in so many is looked at: pages come and go in longer runs than this.
const LOOK: u64 = 256 * 1024;

impl BlobFile {
    /// Reads into `buffer` what the page cache has from `offset` on, without waiting: how many bytes, 0 if none.
    #[must_use]
    pub fn read_cached(&self, buffer: &mut [u8], offset: u64) -> usize {
        self.file().map_or(0, |file| read_cached(file, buffer, offset))
    }

    /// Whether the page cache seems to have all of these bytes.
    #[must_use]
    pub fn is_cached(&self, offset: u64, len: u64) -> bool {
        looks(offset, len).all(|at| self.read_cached(&mut [0], at) == 1)
    }

    /// Brings these bytes into the page cache, as far as the blob has them.
    pub async fn bring(&self, offset: u64, len: u64) -> Result<(), Error> {
        let end = self.size().min(offset.saturating_add(len));
        let blob = self.clone();
        blocking(move || {
            let mut at = offset;
            let mut bytes = vec![0; usize::try_from(STEP.min(end.saturating_sub(at))).unwrap_or(0)];
            while at < end {
                let step = usize::try_from(STEP.min(end - at)).unwrap_or(0);
                blob.read_now(&mut bytes[..step], at)?;
                at += step as u64;
            }
            Ok(())
        })
        .await
    }
}

/// Reads into `buffer` what the page cache has of `file` from `offset` on.
pub(super) fn read_cached(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> usize {
    let read = preadv2(
        file,
        &mut [IoSliceMut::new(buffer)],
        offset,
        ReadWriteFlags::NOWAIT,
    );
    // A file system that cannot answer without waiting says so; then the reading is done elsewhere.
    read.unwrap_or(0)
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
