//! Content by digest in a folder: a CNCF registry's root, an OCI layout, a data folder of ours or a backup of one.
//!
//! Which of them it is need not be said: each place where a digest would lie is looked at. What is found is only believed to be
//! what its name says; whoever uses it hashes it. Files are opened for reading only.
//! Fails: a file that cannot be read ends the body early.
//! Source: OCI image layout, "Blobs"; the layout of the CNCF registry's filesystem driver; `store::Location`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oci::Digest;

use crate::{Body, BodyCut};

/// What is read at once.
const STEP: usize = 1024 * 1024;

/// A folder that may hold content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderSource(PathBuf);

/// The bytes of a file, as a body.
#[derive(Debug)]
pub struct FileBody(Option<File>);

impl FolderSource {
    /// The folder at `path`. Fails if it is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn place(&self) -> String {
        self.0.display().to_string()
    }

    /// The content of a digest; none if it is nowhere in the folder. Blocks for a moment.
    pub fn find(&self, digest: &Digest) -> io::Result<Option<FileBody>> {
        for path in self.places(digest)? {
            match File::open(&path) {
                Ok(file) if file.metadata()?.is_file() => return Ok(Some(FileBody(Some(file)))),
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Where the content of a digest may lie.
    fn places(&self, digest: &Digest) -> io::Result<Vec<PathBuf>> {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        let below = |parts: &[&str]| {
            let mut path = self.0.clone();
            path.extend(parts);
            path
        };
        let cncf = [algorithm, &hex[..2], &hex, "data"];
        let mut places = vec![
            below(&["docker", "registry", "v2", "blobs"]).join(PathBuf::from_iter(cncf)),
            below(&["blobs"]).join(PathBuf::from_iter(cncf)),
            below(&["blobs", algorithm, &hex]),
            below(&[algorithm, &hex]),
        ];
        for root in [below(&["landfall", "blobs"]), below(&["blobs"]), below(&[])] {
            let shard = root.join(algorithm).join(&hex[..3]);
            places.push(shard.join(&hex)); // of a backup
            // In a data folder they have a unique ending, so it is looked through.
            match fs::read_dir(&shard) {
                Ok(entries) => {
                    for entry in entries {
                        let entry = entry?;
                        let name = entry.file_name();
                        let ours = name.to_str().and_then(|name| name.split_once('.'));
                        if ours.is_some_and(|(digest, uid)| digest == hex && uid != "part") {
                            places.push(entry.path());
                        }
                    }
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(places)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

impl Body for FileBody {
    async fn next(&mut self) -> Option<Result<Bytes, BodyCut>> {
        let mut file = self.0.take()?;
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; STEP];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, io::Error>((file, piece))
        });
        match read.await {
            Ok(Ok((_, piece))) if piece.is_empty() => None,
            Ok(Ok((file, piece))) => {
                self.0 = Some(file);
                Some(Ok(piece.into()))
            }
            Ok(Err(_)) | Err(_) => Some(Err(BodyCut)),
        }
    }
}
