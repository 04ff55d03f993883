//! The digest of a stream that is read here and now. Blocks, as its source does.

use std::io::{self, Read};

use oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};

/// The step in which files are read.
pub(crate) const STEP: usize = 1024 * 1024;

/// A running hash.
pub(crate) enum Hashing {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hashing {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::Sha512(hasher) => Digest::Sha512(Box::new(hasher.finalize().into())),
        }
    }
}

/// The digest of all that `source` gives, and how many bytes that are; `seen` hears of each step, and may end it.
pub(crate) fn hash_all(
    source: &mut dyn Read,
    algorithm: Algorithm,
    mut seen: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(Digest, u64)> {
    let (mut hashing, mut buffer, mut bytes) = (Hashing::new(algorithm), vec![0; STEP], 0);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok((hashing.finish(), bytes)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hashing.update(&buffer[..read]);
        bytes += read as u64;
        seen(&buffer[..read])?;
    }
}
