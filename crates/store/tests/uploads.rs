//! Bytes go in by any path and come out the same: memory, file, restart, both algorithms.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest};
use proptest::prelude::*;
use sha2::Digest as _;
use store::{BlobFile, Checkpoint, Error, FsOptions, FsStore, HostFiles, Inlined, Plan, Published};
use tempfile::TempDir;
use uuid::Uuid;

const SMALL: FsOptions = FsOptions {
    allow_network: false,
    buffers: 4,
    buffer_bytes: 64 * 1024,
    inline_max: 4096,
    direct: true,
};

fn open(root: &Path, options: FsOptions) -> FsStore {
    FsStore::open(root, Arc::new(HostFiles), options).unwrap()
}

fn plan(algorithm: Algorithm) -> Plan {
    Plan {
        algorithm,
        size_hint: None,
    }
}

fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::Sha256(sha2::Sha256::digest(bytes).into()),
        Algorithm::Sha512 => Digest::Sha512(Box::new(sha2::Sha512::digest(bytes).into())),
    }
}

/// Bytes that repeat nowhere near a buffer's size.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64)
        .flat_map(|i| ((i * 0x9e37_79b9) >> 7).to_le_bytes())
        .take(len)
        .collect()
}

async fn read(blob: &BlobFile) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = blob.read_at(all.len() as u64, 300_000).await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

async fn push(store: &FsStore, plan: Plan, bytes: &[u8], chunk: usize) -> Published {
    let mut upload = store.begin(Uuid::new_v4(), plan).await.unwrap();
    for chunk in bytes.chunks(chunk) {
        upload.append(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    let verified = upload.verify(&digest(plan.algorithm, bytes)).await.unwrap();
    store.publish(verified).await.unwrap()
}

fn files_under(folder: &Path) -> Vec<String> {
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

fn part_files(store: &FsStore) -> usize {
    files_under(&store.folder().join("uploads")).len()
}

/// Files are removed in the background when an owner vanishes.
async fn until_no_parts(store: &FsStore) {
    for _ in 0..3000 {
        if part_files(store) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!(
        "a part stayed: {:?}",
        files_under(&store.folder().join("uploads"))
    );
}

#[tokio::test]
async fn any_size_comes_out_as_it_went_in() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    for size in [0, 1, 4095, 16_384, 16_385, 100_000, 3 << 20, (9 << 20) + 77] {
        for algorithm in Algorithm::ALL {
            let bytes = pattern(size);
            let size_hint = (size % 2 == 0).then_some(size as u64 + 5000);
            let published = push(&store, Plan { algorithm, size_hint }, &bytes, 50_021).await;
            assert_eq!(published.size, size as u64);
            assert_eq!(published.digest, digest(algorithm, &bytes));
            assert!(store.is_in_flight(&published.location));
            let blob = store.open_blob(&published.location, size as u64).await.unwrap();
            assert!(read(&blob).await == bytes, "{size} bytes differ");
            assert_eq!(blob.file().unwrap().metadata().unwrap().len(), size as u64);
            let location = published.location.clone();
            drop(published);
            assert!(!store.is_in_flight(&location));
        }
    }
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn a_small_blob_never_touches_the_disk() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    let before = files_under(dir.path());
    for size in [0, 1, 16_384] {
        let bytes = pattern(size);
        let mut upload = store
            .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
            .await
            .unwrap();
        for chunk in bytes.chunks(1000) {
            upload.append(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        // Another algorithm than announced is no matter in memory.
        let verified = upload.verify(&digest(Algorithm::Sha512, &bytes)).await.unwrap();
        let Inlined::Inline(inline) = verified.into_inline(16_384).await.unwrap() else {
            panic!("too large")
        };
        assert_eq!(inline, bytes);
    }
    assert_eq!(files_under(dir.path()), before);
}

#[tokio::test]
async fn a_small_blob_that_came_in_two_requests_can_be_inline_too() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), FsOptions::default());
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    upload.append(Bytes::from_static(b"hello ")).await.unwrap();
    upload.checkpoint().await.unwrap();
    assert_eq!(part_files(&store), 1);
    upload.append(Bytes::from_static(b"world")).await.unwrap();
    let verified = upload
        .verify(&digest(Algorithm::Sha256, b"hello world"))
        .await
        .unwrap();
    let Inlined::Large(verified) = verified.into_inline(10).await.unwrap() else {
        panic!("over the limit")
    };
    let Inlined::Inline(bytes) = verified.into_inline(11).await.unwrap() else {
        panic!("too large")
    };
    assert_eq!(bytes, b"hello world");
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn the_wrong_digest_takes_the_bytes_with_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    for size in [10, 200_000] {
        let bytes = pattern(size);
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(bytes.clone())).await.unwrap();
        let at = upload.checkpoint().await.unwrap();
        let expected = digest(Algorithm::Sha256, b"something else");
        match upload.verify(&expected).await {
            Err(Error::DigestMismatch { actual, .. }) => {
                assert_eq!(actual, digest(Algorithm::Sha256, &bytes))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(part_files(&store), 0);
        assert!(matches!(
            store.resume(id, at).await,
            Err(Error::UploadGone { .. })
        ));
    }
}

#[tokio::test]
async fn two_uploads_of_one_digest_get_two_places() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(150_000);
    let one = push(&store, plan(Algorithm::Sha256), &bytes, 7000);
    let two = push(&store, plan(Algorithm::Sha256), &bytes, 9000);
    let (one, two) = tokio::join!(one, two);
    assert_ne!(one.location, two.location);
    store.remove(vec![one.location.clone()]).await.unwrap();
    store.remove(vec![one.location.clone()]).await.unwrap(); // gone already: fine
    assert!(matches!(
        store.open_blob(&one.location, 150_000).await,
        Err(Error::Missing { .. })
    ));
    assert_eq!(
        read(&store.open_blob(&two.location, 150_000).await.unwrap()).await,
        bytes
    );
}

#[tokio::test]
async fn a_damaged_file_is_never_a_short_answer() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let published = push(&store, plan(Algorithm::Sha256), &pattern(100_000), 7000).await;
    let path = store.folder().join("blobs").join(published.location.to_string());
    let open_before = store.open_blob(&published.location, 100_000).await.unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(50_000)
        .unwrap();
    assert!(matches!(
        open_before.read_at(40_000, 20_000).await,
        Err(Error::ShortFile { found: 50_000, .. })
    ));
    assert_eq!(open_before.read_at(40_000, 10_000).await.unwrap().len(), 10_000);
    drop(store);
    drop(open_before);
    let store = open(dir.path(), SMALL);
    let again = store.open_blob(&published.location, 100_000).await;
    assert!(matches!(
        again,
        Err(Error::ShortFile {
            expected: 100_000,
            found: 50_000,
            ..
        })
    ));
}

#[tokio::test]
async fn who_vanishes_leaves_nothing_unless_a_checkpoint_says_so() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(500_000);
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    upload.append(Bytes::from(bytes.clone())).await.unwrap();
    drop(upload);
    until_no_parts(&store).await;

    let id = Uuid::new_v4();
    let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
    upload
        .append(Bytes::from(bytes[..100_000].to_vec()))
        .await
        .unwrap();
    let at = upload.checkpoint().await.unwrap();
    upload
        .append(Bytes::from(bytes[100_000..].to_vec()))
        .await
        .unwrap();
    assert!(matches!(
        store.resume(id, at.clone()).await,
        Err(Error::UploadBusy { .. })
    ));
    drop(upload); // with a piece in flight: the next owner waits for it
    let mut upload = store.resume(id, at).await.unwrap();
    assert_eq!(upload.offset(), 100_000);
    upload
        .append(Bytes::from(bytes[100_000..].to_vec()))
        .await
        .unwrap();
    let verified = upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
    drop(verified); // never published
    until_no_parts(&store).await;
}

#[tokio::test]
async fn an_append_that_is_cut_off_keeps_what_it_took() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(2_000_000);
    let mut upload = store
        .begin(Uuid::new_v4(), plan(Algorithm::Sha256))
        .await
        .unwrap();
    let mut cuts = 0;
    while (upload.offset() as usize) < bytes.len() {
        let rest = Bytes::copy_from_slice(&bytes[upload.offset() as usize..]);
        // Polled once and dropped: cancelled at the first thing that it waits for.
        tokio::select! {
            biased;
            done = upload.append(rest) => done.unwrap(),
            () = std::future::ready(()) => cuts += 1,
        }
        tokio::task::yield_now().await;
    }
    assert!(cuts > 3, "nothing was cut off");
    let verified = upload.verify(&digest(Algorithm::Sha512, &bytes)).await.unwrap();
    let published = store.publish(verified).await.unwrap();
    let blob = store
        .open_blob(&published.location, published.size)
        .await
        .unwrap();
    assert!(read(&blob).await == bytes);
}

#[tokio::test]
async fn a_second_store_on_the_folder_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path(), SMALL);
    match FsStore::open(dir.path(), Arc::new(HostFiles), SMALL) {
        Err(Error::Held { pid, path }) => {
            assert_eq!(pid, Some(std::process::id()));
            assert_eq!(path, first.folder());
        }
        other => panic!("{other:?}"),
    }
    let id = first.store_id();
    drop(first);
    assert_eq!(open(dir.path(), SMALL).store_id(), id);
}

#[tokio::test]
async fn a_start_removes_what_nobody_knows() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let mut points = Vec::new();
    for _ in 0..6 {
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(pattern(9000))).await.unwrap();
        points.push((id, upload.checkpoint().await.unwrap()));
    }
    drop(store);
    let store = open(dir.path(), SMALL);
    let never_written = Uuid::new_v4();
    let known: HashSet<_> = points[..2]
        .iter()
        .map(|(id, _)| *id)
        .chain([never_written])
        .collect();
    let result = store.reconcile_uploads(known.clone()).await.unwrap();
    assert_eq!(result.removed, 4);
    assert!(result.found.len() == 2 && !result.found.contains(&never_written));
    assert_eq!(part_files(&store), 2);
    store.discard_upload(points[0].0).await.unwrap();
    store.discard_upload(points[0].0).await.unwrap(); // gone already: fine
    let upload = store.resume(points[1].0, points[1].1.clone()).await.unwrap();
    upload.discard().await;
    assert_eq!(part_files(&store), 0);
}

#[tokio::test]
async fn bytes_from_before_a_power_cut_are_read_back_before_they_are_trusted() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), SMALL);
    let bytes = pattern(200_000);
    for damage in [false, true] {
        let id = Uuid::new_v4();
        let mut upload = store.begin(id, plan(Algorithm::Sha256)).await.unwrap();
        upload.append(Bytes::from(bytes.clone())).await.unwrap();
        let mut at = upload.checkpoint().await.unwrap();
        drop(upload);
        at.boot_id.0[0] ^= 1; // as if the machine had been off since
        if damage {
            let file = files_under(&store.folder().join("uploads")).remove(0);
            let file = std::fs::File::options().write(true).open(file).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 8192).unwrap();
            assert!(matches!(
                store.resume(id, at).await,
                Err(Error::UploadGone { .. })
            ));
            assert_eq!(part_files(&store), 0);
        } else {
            let upload = store.resume(id, at).await.unwrap();
            upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
        }
        until_no_parts(&store).await;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Checkpoint,
    Resume,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_usize..5000).prop_map(Step::Append),
        4 => (1_usize..200_000).prop_map(Step::Append),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Resume),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..25)
}

/// The model: a byte string, and its length at the last checkpoint.
async fn follow(steps: &[Step], running: Algorithm, asked: Algorithm) {
    let dir = TempDir::new().unwrap();
    let mut store = open(dir.path(), SMALL);
    let all = pattern(5_000_000);
    let id = Uuid::new_v4();
    let mut upload = store.begin(id, plan(running)).await.unwrap();
    let mut last: Option<Checkpoint> = None;
    for step in steps {
        let offset = usize::try_from(upload.offset()).unwrap();
        match step {
            Step::Append(len) => {
                upload
                    .append(Bytes::copy_from_slice(&all[offset..offset + len]))
                    .await
                    .unwrap();
                assert_eq!(upload.offset(), (offset + len) as u64);
            }
            Step::Checkpoint => {
                let at = upload.checkpoint().await.unwrap();
                assert_eq!((at.offset, at.algorithm), (upload.offset(), running));
                last = Some(at);
            }
            Step::Resume | Step::Restart => {
                drop(upload);
                if matches!(step, Step::Restart) {
                    drop(store);
                    store = reopened(dir.path()).await;
                }
                upload = match &last {
                    Some(at) => store.resume(id, at.clone()).await.unwrap(),
                    None => store
                        .begin(id, plan(running))
                        .await
                        .unwrap_or_else(|error| panic!("{error}")),
                };
                assert_eq!(upload.offset(), last.as_ref().map_or(0, |at| at.offset));
            }
        }
    }
    let bytes = &all[..usize::try_from(upload.offset()).unwrap()];
    let verified = upload.verify(&digest(asked, bytes)).await.unwrap();
    let published = store.publish(verified).await.unwrap();
    assert_eq!(published.digest, digest(asked, bytes));
    let blob = store
        .open_blob(&published.location, bytes.len() as u64)
        .await
        .unwrap();
    assert!(read(&blob).await == bytes);
    assert_eq!(part_files(&store), 0);
}

/// The last store goes with its last write, which may still be under way.
async fn reopened(root: &Path) -> FsStore {
    for _ in 0..3000 {
        match FsStore::open(root, Arc::new(HostFiles), SMALL) {
            Err(Error::Held { .. }) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the last store never ended");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn chunks_follow_the_model(steps in steps(), running in 0_usize..2, asked in 0_usize..2) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).max_blocking_threads(2).enable_all().build().unwrap();
        runtime.block_on(follow(&steps, Algorithm::ALL[running], Algorithm::ALL[asked]));
    }
}
