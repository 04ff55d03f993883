//! Looking at what is on disk without reading it: for whoever checks that it is what the catalog says.
//!
//! Units: bytes. Nothing is changed. Fails: `Io`.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::{FsStore, Inner, blocking, part};
use crate::error::Error;
use crate::files::Access;
use crate::location::Location;

/// What a look at the name of a blob found.
#[derive(Debug)]
pub enum Seen {
    /// A file of so many bytes.
    File(u64),
    /// Nothing.
    Nothing,
    /// The disk does not tell.
    Unreadable(Error),
}

/// The file of an upload that is not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UploadFile {
    /// Which upload.
    pub id: Uuid,
    /// Bytes in it.
    pub size: u64,
}

impl FsStore {
    /// Looks at the files of these blobs, without reading them; in their order.
    pub async fn look_at(&self, locations: Vec<Location>) -> Result<Vec<Seen>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || {
            let look = |location: &Location| {
                let path = location.path(&store.blobs);
                let opened = store.files.open(&path, Access::Read);
                match opened.and_then(|file| file.size()) {
                    Ok(size) => Seen::File(size),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Nothing,
                    Err(error) => Seen::Unreadable(Error::io("open", &path, error)),
                }
            };
            Ok(locations.iter().map(look).collect())
        })
        .await
    }

    /// The folders of uploads that are not finished.
    pub async fn upload_folders(&self) -> Result<Vec<OsString>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || store.names(&store.uploads)).await
    }

    /// The files in one of these folders; what is not named as we name them is left out.
    pub async fn list_uploads(&self, folder: OsString) -> Result<Vec<UploadFile>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || {
            let mut files = Vec::new();
            for name in store.names(&store.uploads.join(folder))? {
                let id = name.to_str().and_then(|name| name.strip_suffix(".part"));
                if let Some(id) = id.and_then(|id| Uuid::try_parse(id).ok())
                    && let Some(size) = store.upload_size(id)?
                {
                    files.push(UploadFile { id, size });
                }
            }
            Ok(files)
        })
        .await
    }

    /// Bytes in the file of an upload; none if it has no file.
    pub async fn upload_size(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let store = Arc::clone(&self.inner);
        blocking(move || store.upload_size(id)).await
    }

    /// Whether anybody may be writing an upload now.
    #[must_use]
    pub fn is_uploading(&self, id: Uuid) -> bool {
        self.inner.sessions.contains(id)
    }
}

impl Inner {
    fn upload_size(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let path = part::path_of(self, id);
        let opened = self.files.open(&path, Access::Read);
        match opened.and_then(|file| file.size()) {
            Ok(size) => Ok(Some(size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("measure", &path, error)),
        }
    }
}
