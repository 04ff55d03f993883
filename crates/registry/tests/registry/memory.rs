//! What a push holds of the machine's memory, and until when.
//!
//! Bytes that count themselves stand for those that the server lends out with a seat in its room for manifests: while
//! they are alive, the seat is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use registry::{ManifestPush, Precondition, Rules};

use crate::house::{House, digest_of, image, push};

/// A document that counts how many of its kind are alive.
struct Counted {
    document: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.document
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

fn manifest(alive: &Arc<AtomicUsize>, n: usize) -> ManifestPush {
    alive.fetch_add(1, Ordering::SeqCst);
    let counted = Counted {
        document: image(&digest_of(format!("{n}").as_bytes()), &[]),
        alive: Arc::clone(alive),
    };
    ManifestPush {
        reference: format!("tag-{n}").parse().unwrap(),
        content_type: None,
        body: Bytes::from_owner(counted),
        tags: Vec::new(),
        precondition: Precondition::None,
    }
}

/// The trap: a copy of the document waited for its commit, while its room was already given to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_keeps_its_room_until_its_commit_is_answered() {
    const PUSHES: usize = 20;
    let house = House::new();
    let rules = Rules {
        references_checked: false,
        ..Rules::default()
    };
    let (registry, catalog) = house.open_beside(rules).await;
    let (begun, at_work) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let slow_disk = tokio::spawn({
        let catalog = catalog.clone();
        let mut begun = Some(begun);
        async move {
            catalog
                .write(move |_| {
                    begun.take().map(|begun| begun.send(()));
                    wait.recv().ok();
                    Ok(())
                })
                .await
        }
    });
    at_work.await.unwrap();
    let alive = Arc::new(AtomicUsize::new(0));
    let pushes: Vec<_> = (0..PUSHES)
        .map(|n| {
            let (registry, manifest) = (registry.clone(), manifest(&alive, n));
            tokio::spawn(async move { registry.push_manifest(&push("a"), manifest).await })
        })
        .collect();
    while catalog.waiting() < PUSHES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        alive.load(Ordering::SeqCst),
        PUSHES,
        "each document that waits for its commit still has its room"
    );
    go_on.send(()).unwrap();
    slow_disk.await.unwrap().unwrap();
    for pushed in pushes {
        pushed.await.unwrap().unwrap();
    }
    while alive.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    registry.close().await;
}
