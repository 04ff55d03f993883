//! Any sequence of chunks, checkpoints, lost owners and restarts, against a byte string.

use bytes::Bytes;
use oci::Algorithm;
use proptest::prelude::*;
use store::Checkpoint;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::*;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn chunks_follow_the_model(steps in steps(), running in 0_usize..2, asked in 0_usize..2) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).max_blocking_threads(2).enable_all().build().unwrap();
        runtime.block_on(follow(&steps, Algorithm::ALL[running], Algorithm::ALL[asked]));
    }
}
