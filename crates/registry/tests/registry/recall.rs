//! What is answered from memory is never older than the last acknowledged write, however many read meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use oci::Reference;
use registry::Error;

use crate::house::{House, delete, digest_of, image, pull, push_in_parts, push_manifest, read};

const ROUNDS: u32 = 60;

/// Readers keep every answer warm while a tag is moved and deleted; who acknowledged it sees it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_moved_or_deleted_tag_is_seen_by_the_next_reader() {
    let house = House::new();
    let registry = house.open().await;
    let config = push_in_parts(&registry, "a", b"{}").await.unwrap();
    let tag = Reference::Tag("latest".parse().unwrap());
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (registry, tag, done) = (registry.clone(), tag.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let permit = pull("a");
                    if let Ok(manifest) = registry.manifest(&permit, &tag).await {
                        assert_eq!(digest_of(&manifest.body), manifest.stat.digest);
                    }
                    let _ = registry.stat_manifest(&permit, &tag).await;
                    let _ = registry.tags(&permit, None, Some(10)).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let layer = push_in_parts(&registry, "a", format!("layer {round}").as_bytes())
            .await
            .unwrap();
        let pushed = push_manifest(&registry, "a:latest", image(&config, &[layer]))
            .await
            .unwrap();
        let permit = pull("a");
        assert_eq!(
            registry.manifest(&permit, &tag).await.unwrap().stat.digest,
            pushed
        );
        assert_eq!(
            registry.stat_manifest(&permit, &tag).await.unwrap().digest,
            pushed
        );
        assert_eq!(
            registry.tags(&permit, None, Some(10)).await.unwrap().tags,
            ["latest"]
        );
        if round % 3 == 0 {
            registry.delete_manifest(&delete("a"), &tag).await.unwrap();
            let gone = registry.stat_manifest(&permit, &tag).await;
            assert!(matches!(gone, Err(Error::ManifestUnknown(_))), "{gone:?}");
            assert!(
                registry
                    .tags(&permit, None, Some(10))
                    .await
                    .unwrap()
                    .tags
                    .is_empty()
            );
        }
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// A look at a blob that was deleted, collected and pushed again tells what is true now.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_went_is_unknown_at_once_and_known_again_when_it_is_back() {
    let house = House::new();
    let registry = house.open().await;
    for bytes in [b"small".to_vec(), crate::house::noise(7, 50_000)] {
        let digest = push_in_parts(&registry, "a", &bytes).await.unwrap();
        for _ in 0..3 {
            assert!(read(&registry, "a", &digest).await.unwrap() == bytes);
            registry.delete_blob(&delete("a"), &digest).await.unwrap();
            let gone = registry.blob_size(&pull("a"), &digest).await;
            assert!(matches!(gone, Err(Error::BlobUnknown(_))), "{gone:?}");
            push_in_parts(&registry, "a", &bytes).await.unwrap();
        }
        assert!(read(&registry, "a", &digest).await.unwrap() == bytes);
    }
}
