//! Entries of a tar file, one after the other; each failure is told apart: of the target, or of what is read.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use super::super::BundleError;

/// A tar file under way.
pub(super) struct Pen {
    tar: tar::Builder<BufWriter<File>>,
    path: PathBuf,
    time: u64,
}

/// What is read, with why it could not be.
struct Watched<'a> {
    source: &'a mut dyn Read,
    failed: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

impl Pen {
    pub(super) fn new(file: BufWriter<File>, path: &Path, now_ms: i64) -> Self {
        Self {
            tar: tar::Builder::new(file),
            path: path.to_owned(),
            time: u64::try_from(now_ms / 1000).unwrap_or(0),
        }
    }

    fn header(&self, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(self.time);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// A small file.
    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
        let mut header = self.header(bytes.len() as u64);
        self.tar
            .append_data(&mut header, name, bytes)
            .map_err(|error| BundleError::write(&self.path, error))
    }

    /// A file of exactly `size` bytes; what is wrong with its source.
    pub(super) fn stream(
        &mut self,
        name: &str,
        size: u64,
        source: &mut dyn Read,
    ) -> Result<Result<(), io::Error>, BundleError> {
        let mut header = self.header(size);
        let mut watched = Watched { source, failed: None };
        let put = self.tar.append_data(&mut header, name, &mut watched);
        match (put, watched.failed) {
            (_, Some(failed)) => Ok(Err(failed)),
            (Err(error), None) => Err(BundleError::write(&self.path, error)),
            (Ok(()), None) => Ok(Ok(())),
        }
    }

    /// One more name of a file that was put before.
    pub(super) fn link(&mut self, name: &str, first: &str) -> Result<(), BundleError> {
        let mut header = self.header(0);
        header.set_entry_type(tar::EntryType::Link);
        self.tar
            .append_link(&mut header, name, first)
            .map_err(|error| BundleError::write(&self.path, error))
    }

    /// The end of the file, which is not synced yet.
    pub(super) fn finish(self) -> Result<File, BundleError> {
        let refused = |error| BundleError::write(&self.path, error);
        let mut file = self.tar.into_inner().map_err(refused)?;
        file.flush().map_err(refused)?;
        file.into_inner().map_err(|error| refused(error.into_error()))
    }
}
