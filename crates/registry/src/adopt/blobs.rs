//! The large content of a source: looked at, believed or hashed, and brought to where we keep it.
//!
//! A small blob is read, hashed and goes into the catalog. A large one gets one more name, or a clone, or a copy; then it is
//! hashed if nothing is to be believed. Without a registry to bring it to, it is only looked at.
//! Fails: what is wrong with the source is a `Found`; a full or failing disk of ours is an `Error`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use catalog::{AdoptedBlob, Place};
use oci::Digest;
use store::{Brought, Forecast, InFlight, Trust};

use super::Verify;
use super::report::Found;
use crate::hashing::hash_all;
use crate::{Error, Registry};

/// A blob that is to be brought.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) digest: Digest,
    /// Where its content lies.
    pub(super) data: PathBuf,
    /// Whether the content is named after another digest.
    pub(super) is_alias: bool,
    /// The size that a manifest gives.
    pub(super) size: Option<u64>,
    pub(super) verify: Verify,
}

/// A blob that was brought, or could be.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) size: u64,
    /// What to tell the catalog; none without a registry.
    pub(super) row: Option<(AdoptedBlob, Option<InFlight>)>,
    /// How it came, or without a registry would come.
    pub(super) how: Option<Brought>,
}

/// Looks at a blob, and brings it to `registry` if there is one; else says by `forecast` how it would come.
pub(super) async fn bring(
    registry: Option<&Registry>,
    forecast: Option<(Arc<Forecast>, u64)>,
    wanted: Wanted,
) -> Result<Result<Arrival, Found>, Error> {
    let size = match look(&wanted).await? {
        Ok(size) => size,
        Err(found) => return Ok(Err(found)),
    };
    let everything = wanted.verify == Verify::Full || wanted.is_alias;
    let Some(registry) = registry else {
        return blocking(move || {
            if everything {
                check(&wanted)?;
            }
            let how = forecast.map(|(forecast, inline_bytes_max)| {
                if size > inline_bytes_max && forecast.links(&wanted.data) {
                    Brought::Linked
                } else {
                    Brought::Copied
                }
            });
            Ok(Arrival { size, row: None, how })
        })
        .await;
    };
    if size <= registry.rules().inline_bytes_max {
        return bring_small(wanted, size).await;
    }
    let trust = if everything { Trust::Nothing } else { Trust::Name };
    let taken = registry
        .inner
        .store
        .take_in(&wanted.data, wanted.digest.clone(), trust)
        .await;
    let (published, how) = match taken {
        Ok(taken) => taken,
        Err(store::Error::DigestMismatch { expected, .. }) => {
            return Ok(Err(Found::WrongHash {
                digest: expected.to_string(),
            }));
        }
        // The source's file cannot be read, or a name of ours that shares it.
        Err(store::Error::Io {
            doing: "open" | "read",
            source,
            ..
        }) => return Ok(Err(Found::unreadable(&source))),
        Err(error) => return Err(error.into()),
    };
    let row = AdoptedBlob {
        digest: wanted.digest,
        size: published.size,
        place: Some(Place::File(published.location.to_string())),
        verified: everything,
    };
    Ok(Ok(Arrival {
        size: published.size,
        row: Some((row, Some(published.guard))),
        how: Some(how),
    }))
}

async fn bring_small(wanted: Wanted, size: u64) -> Result<Result<Arrival, Found>, Error> {
    blocking(move || {
        let bytes = match fs::read(&wanted.data) {
            Ok(bytes) => bytes,
            Err(error) => return Err(Found::unreadable(&error)),
        };
        if store::Hasher::digest(wanted.digest.algorithm(), &bytes) != wanted.digest {
            return Err(Found::WrongHash {
                digest: wanted.digest.to_string(),
            });
        }
        let row = AdoptedBlob {
            digest: wanted.digest,
            size,
            place: Some(Place::Inline(bytes)),
            verified: true,
        };
        Ok(Arrival {
            size,
            row: Some((row, None)),
            how: Some(Brought::Copied),
        })
    })
    .await
}

/// What can be known without reading the content: its size.
async fn look(wanted: &Wanted) -> Result<Result<u64, Found>, Error> {
    let wanted = wanted.clone();
    blocking(move || {
        let digest = || wanted.digest.to_string();
        let size = match fs::metadata(&wanted.data) {
            Ok(data) if data.is_file() => data.len(),
            Ok(_) => return Err(Found::Foreign),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Found::missing(&wanted.digest));
            }
            Err(error) => return Err(Found::unreadable(&error)),
        };
        if size == 0 && store::Hasher::digest(wanted.digest.algorithm(), &[]) != wanted.digest {
            return Err(Found::EmptyData { digest: digest() });
        }
        match wanted.size {
            Some(expected) if expected != size && wanted.verify != Verify::Deferred => {
                Err(Found::WrongSize {
                    digest: digest(),
                    expected,
                    actual: size,
                })
            }
            _ => Ok(size),
        }
    })
    .await
}

/// Hashes the content.
fn check(wanted: &Wanted) -> Result<(), Found> {
    let found = fs::File::open(&wanted.data)
        .and_then(|mut file| hash_all(&mut file, wanted.digest.algorithm(), |_| Ok(())));
    let (found, _) = found.map_err(|error| Found::unreadable(&error))?;
    if found == wanted.digest {
        Ok(())
    } else {
        Err(Found::WrongHash {
            digest: wanted.digest.to_string(),
        })
    }
}

/// Runs `work` where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|failed| Error::Interrupted(failed.to_string()))
}
