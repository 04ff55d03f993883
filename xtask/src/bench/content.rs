//! What is pushed: bytes that no compression makes smaller, made once, and made different by a counter in every MiB.
//!
//! Units: bytes; large contents are whole MiB. Shape: a [`Content`] knows its digest before the clock runs.
//! Fails: what the connection says.

use std::io;
use std::sync::LazyLock;

use e2e::client::text_of;
use e2e::dice::Dice;
use sha2::{Digest as _, Sha256};

use super::wire::Wire;

pub(crate) const MIB: u64 = 1 << 20;
/// What docker sends at once.
const CHUNK_BYTES: usize = 32 * 1024;
const CHUNK_LINE: &[u8] = b"8000\r\n";
/// So much of every MiB is the counter.
const STAMP_BYTES: usize = 16;

static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| Dice::new(6).bytes(1 << 20));

/// A large blob.
#[derive(Clone)]
pub(crate) struct Content {
    number: u64,
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

impl Content {
    /// The content of this number and size, always the same.
    pub(crate) fn new(number: u64, bytes: u64) -> Self {
        let mut block = NOISE.clone();
        let mut hash = Sha256::new();
        for index in 0..bytes / MIB {
            block[..STAMP_BYTES].copy_from_slice(&stamp(number, index));
            hash.update(&block);
        }
        Self {
            number,
            bytes,
            digest: text_of(hash),
        }
    }

    /// All of it, a MiB at a time.
    pub(crate) fn each_block(&self, mut put: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut block = NOISE.clone();
        for index in 0..self.bytes / MIB {
            block[..STAMP_BYTES].copy_from_slice(&stamp(self.number, index));
            put(&block)?;
        }
        Ok(())
    }

    /// As the body of a request with a length.
    pub(crate) fn send(&self, wire: &mut Wire) -> io::Result<()> {
        self.each_block(|block| wire.write(block))
    }

    /// As a chunked body: the chunks of a client that copies 32 KiB at a time, a MiB of them in one write.
    pub(crate) fn send_chunked(&self, wire: &mut Wire) -> io::Result<()> {
        let mut block = Vec::with_capacity(NOISE.len() + 1024);
        for chunk in NOISE.chunks(CHUNK_BYTES) {
            block.extend_from_slice(CHUNK_LINE);
            block.extend_from_slice(chunk);
            block.extend_from_slice(b"\r\n");
        }
        let at = CHUNK_LINE.len();
        for index in 0..self.bytes / MIB {
            block[at..at + STAMP_BYTES].copy_from_slice(&stamp(self.number, index));
            wire.write(&block)?;
        }
        wire.write(b"0\r\n\r\n")
    }
}

/// Small bytes that were never made before, for every number others.
pub(crate) fn small(number: u64, bytes: usize) -> Vec<u8> {
    let mut content = NOISE[..bytes].to_vec();
    content[..STAMP_BYTES].copy_from_slice(&stamp(number, bytes as u64));
    content
}

fn stamp(number: u64, index: u64) -> [u8; STAMP_BYTES] {
    let mut stamp = [0; STAMP_BYTES];
    stamp[..8].copy_from_slice(&number.to_le_bytes());
    stamp[8..].copy_from_slice(&index.to_le_bytes());
    stamp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_what_its_digest_says_and_differs_from_every_other() {
        let content = Content::new(1, 2 * MIB);
        let mut bytes = Vec::new();
        content
            .each_block(|block| {
                bytes.extend_from_slice(block);
                Ok(())
            })
            .unwrap();
        assert_eq!(e2e::client::digest(&bytes), content.digest);
        assert_ne!(Content::new(2, 2 * MIB).digest, content.digest);
        assert_ne!(bytes[..1 << 20], bytes[1 << 20..]);
        assert_ne!(small(1, 64), small(2, 64));
    }
}
