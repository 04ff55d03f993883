//! The digest of a stream that is read here and now. Blocks, as its source does.

use std::io::{self, Read};

use oci::{Algorithm, Digest};
use store::Hasher;

/// The step in which files are read.
pub(crate) const STEP: usize = 1024 * 1024;

/// The digest of all that `source` gives, and how many bytes that are; `seen` hears of each step, and may end it.
pub(crate) fn hash_all(
    source: &mut dyn Read,
    algorithm: Algorithm,
    mut seen: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut buffer, mut bytes) = (Hasher::new(algorithm), vec![0; STEP], 0);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), bytes)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        seen(&buffer[..read])?;
    }
}
