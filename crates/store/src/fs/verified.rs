//! A complete blob whose digest is proven, not yet published.
//!
//! Small ones lie in memory and may go into the catalog (`into_inline`), without a file operation; the others wait in
//! their `.part` file for `FsStore::publish`. Dropping a `Verified` drops the bytes.

use std::sync::Arc;

use oci::Digest;

use super::blocking;
use super::part::Part;
use super::pool::Buffer;
use crate::error::Error;

/// See the file. Made by `Upload::verify` alone.
#[derive(Debug)]
pub struct Verified {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) body: Option<Body>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Body {
    /// In memory (none: there are no bytes); `part` is where they go if they must.
    Memory {
        head: Option<Buffer>,
        part: Arc<Part>,
    },
    File(Arc<Part>),
}

/// The answer of `Verified::into_inline`.
#[derive(Debug)]
pub enum Inlined {
    /// All the bytes: nothing is left in the store.
    Inline(Vec<u8>),
    /// Too large: publish it.
    Large(Verified),
}

impl Verified {
    pub(super) fn new(digest: Digest, size: u64, body: Body) -> Self {
        Self {
            digest,
            size,
            body: Some(body),
        }
    }

    /// The digest that was proven.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Bytes in the blob.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes themselves, if there are at most `max`.
    pub async fn into_inline(mut self, max: u64) -> Result<Inlined, Error> {
        if self.size > max {
            return Ok(Inlined::Large(self));
        }
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        match self.body.take() {
            None => Ok(Inlined::Inline(Vec::new())),
            Some(Body::Memory { head, .. }) => Ok(Inlined::Inline(
                head.map_or_else(Vec::new, |head| head.bytes().to_vec()),
            )),
            Some(Body::File(part)) => blocking(move || read_whole(&part, size))
                .await
                .map(Inlined::Inline),
        }
    }
}

/// Reads the file of a small blob and removes it.
fn read_whole(part: &Part, size: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; size];
    let read = part
        .file()?
        .read_full_at(&mut bytes, 0)
        .map_err(|error| Error::io("read", part.path(), error))?;
    part.remove()?;
    if read < size {
        return Err(Error::UploadGone { id: part.seat().id() });
    }
    Ok(bytes)
}

impl Drop for Verified {
    fn drop(&mut self) {
        if let Some(Body::Memory { part, .. } | Body::File(part)) = self.body.take() {
            part.keep(false);
        }
    }
}
