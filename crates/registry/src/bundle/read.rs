//! Opening a bundle: its documents, and where in the file everything lies. A file that was cut off is known as such here, before
//! anything is brought. Blocks.
//!
//! Nothing of a bundle is believed: names are parsed, sizes are bounded, and what is read is hashed by who reads it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use oci::Algorithm;

use super::BundleError;
use super::record::{BundleEnd, BundleRecord, FIRST, FORMAT, LAST, content_at};
use crate::hashing::hash_all;

/// The largest document of a bundle.
const DOCUMENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What is said of a file that is something else.
const NOT_ONE: &str = "a file that `landfall export --layout bundle` wrote was expected, which is a tar file that begins with \
     BUNDLE.json";

/// A bundle whose parts are known.
#[derive(Debug)]
pub(super) struct Bundle {
    path: PathBuf,
    pub(super) record: BundleRecord,
    /// Content: where its bytes begin, and how many they are.
    places: HashMap<String, (u64, u64)>,
}

/// What a bundle says of itself. Blocks.
pub fn describe(path: &Path) -> Result<BundleRecord, BundleError> {
    Bundle::open(path).map(|bundle| bundle.record)
}

impl Bundle {
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(|error| BundleError::read(path, error))?;
        let length = file
            .metadata()
            .map_err(|error| BundleError::read(path, error))?
            .len();
        let mut archive = tar::Archive::new(BufReader::new(file));
        let mut places = HashMap::new();
        let (mut record, mut digest, mut end) = (None, String::new(), None);
        for entry in archive
            .entries_with_seek()
            .map_err(|error| broken(path, false, error))?
        {
            let begun = record.is_some();
            let broken = |error: std::io::Error| broken(path, begun, error);
            let mut entry = entry.map_err(broken)?;
            let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
            if record.is_none() && name != FIRST {
                return Err(BundleError::damaged(path, NOT_ONE));
            }
            let (at, size) = (entry.raw_file_position(), entry.size());
            if at.saturating_add(size) > length {
                return Err(BundleError::damaged(path, format!("it was cut off in {name}")));
            }
            match &*name {
                FIRST if record.is_none() => {
                    let text = document(&mut entry, size).map_err(broken)?;
                    record = Some(parse(path, &text)?);
                    digest = store::Hasher::digest(Algorithm::Sha256, &text).to_string();
                }
                LAST => {
                    let text = document(&mut entry, size).map_err(broken)?;
                    let found: BundleEnd = serde_json::from_slice(&text)
                        .map_err(|error| BundleError::damaged(path, not_json(LAST, &error)))?;
                    end = Some(found);
                }
                _ if entry.header().entry_type() == tar::EntryType::Link => {
                    let first = entry.link_name().map_err(broken)?.unwrap_or_default();
                    let first = first.to_string_lossy();
                    let place = places
                        .get(&*first)
                        .copied()
                        .ok_or_else(|| BundleError::damaged(path, format!("{name} is a link to nothing")))?;
                    places.insert(name, place);
                }
                // The documents of the layout are for others.
                _ if content_at(&name).is_some() => drop(places.insert(name, (at, size))),
                _ => {}
            }
        }
        let Some(record) = record else {
            return Err(BundleError::damaged(
                path,
                if length == 0 { "it is empty" } else { NOT_ONE },
            ));
        };
        match end {
            None => Err(BundleError::damaged(path, "its end is missing: it was cut off")),
            Some(end) if end.id != record.id || end.record != digest => {
                Err(BundleError::damaged(path, format!("{FIRST} was changed")))
            }
            Some(_) => Ok(Self {
                path: path.to_owned(),
                record,
                places,
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that is content, in no order.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&str, u64)> {
        self.places.iter().map(|(name, (_, size))| (name.as_str(), *size))
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The bytes of one piece of content.
    pub(super) fn reader(&self, name: &str) -> Result<std::io::Take<File>, BundleError> {
        let (at, size) = self
            .places
            .get(name)
            .copied()
            .ok_or_else(|| BundleError::damaged(&self.path, format!("{name} is not in it")))?;
        let read = |error| BundleError::read(&self.path, error);
        let mut file = File::open(&self.path).map_err(read)?;
        file.seek(SeekFrom::Start(at)).map_err(read)?;
        Ok(file.take(size))
    }

    /// Hashes one piece of content, and keeps its bytes where they are at most `keep`.
    pub(super) fn prove(&self, name: &str, digest: &oci::Digest, keep: u64) -> Result<Vec<u8>, BundleError> {
        let mut reader = self.reader(name)?;
        let keeps = reader.limit() <= keep;
        let mut kept = Vec::new();
        let (actual, _) = hash_all(&mut reader, digest.algorithm(), |bytes| {
            if keeps {
                kept.extend_from_slice(bytes);
            }
            Ok(())
        })
        .map_err(|error| BundleError::read(&self.path, error))?;
        if actual != *digest {
            return Err(BundleError::damaged(
                &self.path,
                format!("the bytes of {name} are those of {actual}"),
            ));
        }
        Ok(kept)
    }
}

/// What is wrong with a file that cannot be read as a bundle. The parser's own words would show bytes of it.
fn broken(path: &Path, begun: bool, error: std::io::Error) -> BundleError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof
        | std::io::ErrorKind::InvalidData
        | std::io::ErrorKind::InvalidInput
        | std::io::ErrorKind::Other => BundleError::damaged(
            path,
            if begun {
                "it was cut off or changed"
            } else {
                NOT_ONE
            },
        ),
        _ => BundleError::read(path, error),
    }
}

/// Where a document is wrong; never what stands there.
fn not_json(name: &str, error: &serde_json::Error) -> String {
    format!(
        "{name} is not what it should be, at its line {} column {}",
        error.line(),
        error.column()
    )
}

fn document(entry: &mut impl Read, size: u64) -> std::io::Result<Vec<u8>> {
    if size > DOCUMENT_BYTES_MAX {
        return Err(std::io::Error::other(
            "a document is larger than any that is written",
        ));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    Ok(text)
}

fn parse(path: &Path, text: &[u8]) -> Result<BundleRecord, BundleError> {
    let bad = |error: serde_json::Error| BundleError::damaged(path, not_json(FIRST, &error));
    let value: serde_json::Value = serde_json::from_slice(text).map_err(bad)?;
    if value["format"]
        .as_u64()
        .is_some_and(|format| format > u64::from(FORMAT))
    {
        return Err(BundleError::Newer(path.to_owned()));
    }
    serde_json::from_value(value).map_err(bad)
}
