//! What the tests of the store share: stores, bytes, pushes, and looks at the folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::{Algorithm, Digest};
use sha2::Digest as _;
use store::{BlobFile, Error, FsOptions, FsStore, HostFiles, Plan, Published};
use uuid::Uuid;

pub(crate) const SMALL: FsOptions = FsOptions {
    allow_network: false,
    buffers: 4,
    buffer_bytes: 64 * 1024,
    inline_max: 4096,
    direct: true,
};

pub(crate) fn open(root: &Path, options: FsOptions) -> FsStore {
    FsStore::open(root, Arc::new(HostFiles), options).unwrap()
}

pub(crate) fn plan(algorithm: Algorithm) -> Plan {
    Plan {
        algorithm,
        size_hint: None,
    }
}

pub(crate) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::Sha256(sha2::Sha256::digest(bytes).into()),
        Algorithm::Sha512 => Digest::Sha512(Box::new(sha2::Sha512::digest(bytes).into())),
    }
}

/// Bytes that repeat nowhere near a buffer's size.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64)
        .flat_map(|i| ((i * 0x9e37_79b9) >> 7).to_le_bytes())
        .take(len)
        .collect()
}

pub(crate) async fn read(blob: &BlobFile) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = blob.read_at(all.len() as u64, 300_000).await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

pub(crate) async fn push(store: &FsStore, plan: Plan, bytes: &[u8], chunk: usize) -> Published {
    let mut upload = store.begin(Uuid::new_v4(), plan).await.unwrap();
    for chunk in bytes.chunks(chunk) {
        upload.append(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    let verified = upload.verify(&digest(plan.algorithm, bytes)).await.unwrap();
    store.publish(verified).await.unwrap()
}

pub(crate) fn files_under(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

pub(crate) fn part_files(store: &FsStore) -> usize {
    files_under(&store.folder().join("uploads")).len()
}

/// Files are removed in the background when an owner vanishes.
pub(crate) async fn until_no_parts(store: &FsStore) {
    for _ in 0..3000 {
        if part_files(store) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "a part stayed: {:?}",
        files_under(&store.folder().join("uploads"))
    );
}

/// The last store goes with its last write, which may still be under way.
pub(crate) async fn reopened(root: &Path) -> FsStore {
    for _ in 0..3000 {
        match FsStore::open(root, Arc::new(HostFiles), SMALL) {
            Err(Error::Held { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the last store never ended");
}
