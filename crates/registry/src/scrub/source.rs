//! Where right bytes can be had: a folder, or another registry. Which one is not known to whoever heals.
//!
//! Shape: [`Source::content`] gives the bytes of one damaged thing as a body, or nothing if it has none; they are hashed before
//! they are used. Fails: `SourceError`, which ends the asking; what breaks off in the middle counts as not had.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::{DamagedContent, FolderSource};
use crate::adopt::{Remote, RemoteError};
use crate::{Body, BodyCut};

/// A future in a box, so that a source can be a value.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somewhere that may have right bytes.
pub trait Source: Send + Sync {
    /// The bytes of what is damaged, if it has them.
    fn content<'a>(&'a self, wanted: &'a DamagedContent) -> Boxed<'a, Result<Option<Content>, SourceError>>;
}

/// Makes a source of what an operator wrote.
pub type Sources = dyn Fn(&SourceName) -> Result<Arc<dyn Source>, SourceError> + Send + Sync;

/// What an operator wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceName {
    /// A folder, or the address of a registry.
    pub place: String,
    /// A user and a password there.
    pub login: Option<(String, String)>,
}

/// Why a source cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder that is none, or that cannot be read.
    #[error("{place} cannot be read")]
    Folder {
        /// What was written.
        place: String,
        /// The disk's answer.
        source: io::Error,
    },
    /// A registry that does not answer as it should.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Bytes of a source, as they come.
pub struct Content(Box<dyn Pieces>);

/// A [`Body`] as a value.
trait Pieces: Send {
    fn piece(&mut self) -> Boxed<'_, Option<Result<Bytes, BodyCut>>>;
}

impl<B: Body> Pieces for B {
    fn piece(&mut self) -> Boxed<'_, Option<Result<Bytes, BodyCut>>> {
        Box::pin(self.next())
    }
}

impl Content {
    /// The bytes of `body`.
    #[must_use]
    pub fn new(body: impl Body) -> Self {
        Self(Box::new(body))
    }
}

impl Body for Content {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        self.0.piece().await
    }
}

impl FolderSource {
    /// The folder that an operator wrote.
    pub fn named(place: &str) -> Result<Arc<dyn Source>, SourceError> {
        match Self::open(place.as_ref()) {
            Ok(folder) => Ok(Arc::new(folder)),
            Err(source) => Err(SourceError::Folder {
                place: place.to_owned(),
                source,
            }),
        }
    }
}

impl Source for FolderSource {
    fn content<'a>(&'a self, wanted: &'a DamagedContent) -> Boxed<'a, Result<Option<Content>, SourceError>> {
        let (folder, digest) = (self.clone(), wanted.digest.clone());
        Box::pin(async move {
            let place = folder.place();
            let found = tokio::task::spawn_blocking(move || folder.find(&digest)).await;
            let found = found.unwrap_or_else(|died| Err(io::Error::other(died)));
            let found = found.map_err(|source| SourceError::Folder { place, source })?;
            Ok(found.map(Content::new))
        })
    }
}

/// A registry, asked over the network.
pub struct RemoteSource<R>(pub Arc<R>);

impl<R: Remote> Source for RemoteSource<R> {
    fn content<'a>(&'a self, wanted: &'a DamagedContent) -> Boxed<'a, Result<Option<Content>, SourceError>> {
        Box::pin(async move {
            // It is likely to have the same repositories.
            let names: BTreeSet<_> = wanted.needed_by.iter().map(|needs| &needs.repository).collect();
            for name in names {
                if wanted.is_manifest {
                    let fetched = self.0.manifest(name, &wanted.digest.to_string()).await?;
                    if let Some(fetched) = fetched {
                        return Ok(Some(Content::new(Whole(Some(fetched.body)))));
                    }
                } else if let Some(body) = self.0.blob(name, &wanted.digest, 0).await? {
                    return Ok(Some(Content::new(body)));
                }
            }
            Ok(None)
        })
    }
}

/// Bytes that are here already.
struct Whole(Option<Bytes>);

impl Body for Whole {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        self.0.take().map(Ok)
    }
}
