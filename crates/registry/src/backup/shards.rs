//! The blobs of several backups, a small range of digests at a time: as many as lie in one folder, whatever their sum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use catalog::CatalogCopy;
use oci::{Algorithm, Digest};

use super::error::BackupError;
use super::vault::{BackupRecord, Vault};

/// Folders of blobs of one algorithm.
const SHARDS: u32 = 4096;

/// The catalogs of some backups.
pub(super) struct Catalogs(Vec<(String, CatalogCopy)>);

/// The blobs of one folder, their sizes, and the numbers of the backups that name them.
pub(super) type Named = BTreeMap<Digest, (u64, Vec<usize>)>;

impl Catalogs {
    /// Opens the catalogs of these backups.
    pub(super) fn open(vault: &Vault, records: &[BackupRecord]) -> Result<Self, BackupError> {
        let open = |record: &BackupRecord| {
            let path = vault.path(Vault::catalog(&record.time));
            let copy = CatalogCopy::open(&path).map_err(|error| catalog_error(&path, &error))?;
            Ok((record.time.clone(), copy))
        };
        records.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Calls `each` with every folder, below the vault's, and what backups name of it.
    pub(super) fn each(
        &self,
        vault: &Vault,
        mut each: impl FnMut(&Path, Named) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        for algorithm in Algorithm::ALL {
            for shard in 0..SHARDS {
                let mut named = Named::new();
                let (low, high) = bounds(algorithm, shard);
                for (number, (time, copy)) in self.0.iter().enumerate() {
                    let found = copy
                        .read(|tx| catalog::stored_blobs_between(tx, &low, &high))
                        .map_err(|error| catalog_error(&vault.path(Vault::catalog(time)), &error))?;
                    for blob in found {
                        named
                            .entry(blob.digest)
                            .or_insert((blob.size, Vec::new()))
                            .1
                            .push(number);
                    }
                }
                let folder: PathBuf = ["blobs", algorithm.name(), &format!("{shard:03x}")]
                    .iter()
                    .collect();
                each(&folder, named)?;
            }
        }
        Ok(())
    }
}

/// The keys of the digests that begin with these three hex digits.
fn bounds(algorithm: Algorithm, shard: u32) -> (Vec<u8>, Vec<u8>) {
    let tag = match algorithm {
        Algorithm::Sha256 => 1_u8,
        Algorithm::Sha512 => 2,
    };
    let key = |shard: u32| {
        let [_, _, high, low] = (shard << 4).to_be_bytes();
        // After the last shard comes what begins with the next tag.
        if shard == SHARDS {
            vec![tag + 1]
        } else {
            vec![tag, high, low]
        }
    };
    (key(shard), key(shard + 1))
}

/// A copy of a catalog that cannot be read, as a damage of the backup.
pub(super) fn catalog_error(path: &Path, error: &catalog::Error) -> BackupError {
    match error {
        catalog::Error::Newer { .. } => BackupError::Newer(path.to_owned()),
        other => {
            let cause = std::error::Error::source(other).map(ToString::to_string);
            BackupError::altered(path, cause.unwrap_or_else(|| other.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SHARDS, bounds};
    use oci::{Algorithm, Digest};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_digest_is_in_the_range_of_its_folder_and_in_no_other(raw: [u8; 32], wide in proptest::collection::vec(any::<u8>(), 64)) {
            for digest in [Digest::Sha256(raw), Digest::from_raw(Algorithm::Sha512, &wide).unwrap()] {
                let mine = u32::from_str_radix(&digest.hex()[..3], 16).unwrap();
                let key = digest.to_key();
                for algorithm in Algorithm::ALL {
                    for shard in [0, mine.saturating_sub(1), mine, (mine + 1).min(SHARDS - 1), SHARDS - 1] {
                        let (low, high) = bounds(algorithm, shard);
                        let expected = algorithm == digest.algorithm() && shard == mine;
                        prop_assert_eq!(low <= key && key < high, expected);
                    }
                }
            }
        }
    }
}
