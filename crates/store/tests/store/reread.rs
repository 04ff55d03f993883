//! Reading stored bytes back: what changed is found, what did not is not accused, and the page cache stays as it was.

use std::io::IoSliceMut;
use std::sync::Arc;

use oci::Algorithm;
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};
use store::testing::{Failure, FaultyFiles, Op};
use store::{Error, FsOptions, FsStore, HostFiles, Location, Step, Verdict};

use crate::support::{SMALL, pattern, plan, push, read};

async fn read_back(store: &FsStore, location: &Location, size: u64) -> Result<(Verdict, u64), Error> {
    let mut reading = store.reread(location, size).await?;
    let mut all = 0;
    loop {
        match reading.step().await? {
            Step::More(more, bytes) => {
                all += bytes;
                reading = *more;
            }
            Step::End(verdict, bytes) => return Ok((verdict, all + bytes)),
        }
    }
}

fn open(root: &std::path::Path, direct: bool) -> (FsStore, FaultyFiles) {
    let disk = FaultyFiles::new(Arc::new(HostFiles));
    let options = FsOptions { direct, ..SMALL };
    let store = FsStore::open(root, Arc::new(disk.clone()), options).unwrap();
    (store, disk)
}

#[tokio::test]
async fn every_size_is_read_to_its_end_and_every_changed_byte_is_found() {
    for direct in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path(), direct);
        for len in [0, 1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1, 3_000_123] {
            for algorithm in Algorithm::ALL {
                let bytes = pattern(len);
                let published = push(&store, plan(algorithm), &bytes, 100_000).await;
                let found = read_back(&store, &published.location, published.size)
                    .await
                    .unwrap();
                assert_eq!(found, (Verdict::Whole, len as u64), "{len}");
                let path = store.folder().join("blobs").join(published.location.to_string());
                if len > 0 {
                    let mut changed = bytes.clone();
                    changed[len - 1] ^= 1;
                    std::fs::write(&path, &changed).unwrap();
                    let found = read_back(&store, &published.location, published.size)
                        .await
                        .unwrap();
                    assert!(matches!(found.0, Verdict::Changed { .. }), "{len}");
                }
                std::fs::write(&path, pattern(len + 1)).unwrap();
                let found = read_back(&store, &published.location, published.size)
                    .await
                    .unwrap();
                let more = Verdict::WrongSize {
                    found: len as u64 + 1,
                };
                assert_eq!(found.0, more);
                std::fs::remove_file(&path).unwrap();
                let gone = read_back(&store, &published.location, published.size).await;
                assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_told_from_one_that_cannot_read_directly() {
    let folder = tempfile::tempdir().unwrap();
    let (store, disk) = open(folder.path(), true);
    let published = push(&store, plan(Algorithm::Sha256), &pattern(3_000_000), 100_000).await;
    disk.fail(Op::Read, 1, 1, Failure::Refused);
    let found = read_back(&store, &published.location, published.size)
        .await
        .unwrap();
    assert_eq!(
        found,
        (Verdict::Whole, 3_000_000),
        "it goes on through the page cache"
    );
    disk.heal();
    disk.fail(Op::Read, 1, 1, Failure::Broken);
    let failed = read_back(&store, &published.location, published.size)
        .await
        .unwrap_err();
    assert!(failed.is_damage(), "{failed:?}");
}

#[tokio::test]
async fn the_page_cache_stays_as_it_was() {
    for direct in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = open(folder.path(), direct);
        let published = push(&store, plan(Algorithm::Sha256), &pattern(3_000_123), 100_000).await;
        let (location, size) = (&published.location, published.size);
        let blob = store.open_blob(location, size).await.unwrap();
        blob.file().unwrap().sync_all().unwrap();
        let forget = || fadvise(blob.file().unwrap(), 0, None, Advice::DontNeed).unwrap();
        // A look brings the page that it misses: so it is one page for each, and none is looked at twice.
        let path = store.folder().join("blobs").join(location.to_string());
        let look = std::fs::File::open(path).unwrap();
        fadvise(&look, 0, None, Advice::Random).unwrap();
        let is_there = |at| {
            let mut byte = [0];
            let read = preadv2(
                &look,
                &mut [IoSliceMut::new(&mut byte)],
                at,
                ReadWriteFlags::NOWAIT,
            );
            read == Ok(1)
        };
        forget();
        if is_there(0) {
            continue; // a file system in memory has nowhere else to keep it
        }
        forget();
        read_back(&store, location, size).await.unwrap();
        // Not at the first byte, which the look above has just asked for.
        for at in (64 * 1024..size).step_by(64 * 1024) {
            assert!(!is_there(at), "byte {at} was left there, direct: {direct}");
        }
        read(&blob).await;
        read_back(&store, location, size).await.unwrap();
        for at in (0..size).step_by(4096) {
            assert!(
                is_there(at),
                "byte {at} of what a pull had is gone, direct: {direct}"
            );
        }
    }
}

#[tokio::test]
async fn who_could_not_be_sent_a_blob_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (store, disk) = open(folder.path(), true);
    let published = push(&store, plan(Algorithm::Sha256), &pattern(100_000), 100_000).await;
    let blob = store
        .open_blob(&published.location, published.size)
        .await
        .unwrap();
    disk.fail(Op::Read, 0, 1, Failure::Broken);
    blob.read_at(0, 100).await.unwrap_err();
    assert_eq!(store.next_suspect().await, published.location);
}
