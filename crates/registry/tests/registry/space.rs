//! Space with real files: what is said to be freed is what comes back, at the promised time, and at once where it is urgent.

use oci::{Digest, Reference, RepositoryName};
use registry::{Clock as _, GcWait, Registry, Rules};

use crate::house::{House, delete, image, noise, pull, push_in_parts, push_manifest, read, walk};

const HOUR: i64 = 3_600_000;

fn at_once() -> Rules {
    Rules {
        gc_start_delay_ms: 0,
        inline_bytes_max: 0,
        ..Rules::default()
    }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// An image of these layers, which are pushed first; its digest.
async fn push(registry: &Registry, at: &str, layers: &[u64]) -> Digest {
    let (repository, _) = at.split_once(':').unwrap();
    let mut digests = Vec::new();
    for seed in layers {
        digests.push(
            push_in_parts(registry, repository, &noise(*seed, 50_000))
                .await
                .unwrap(),
        );
    }
    let config = push_in_parts(registry, repository, format!("{{\"at\":\"{at}\"}}").as_bytes())
        .await
        .unwrap();
    push_manifest(registry, at, image(&config, &digests))
        .await
        .unwrap()
}

async fn trash(registry: &Registry, repository: &str, manifest: &Digest) {
    let reference = Reference::Digest(manifest.clone());
    registry
        .delete_manifest(&delete(repository), &reference)
        .await
        .unwrap();
}

fn stored(house: &House) -> u64 {
    let files = walk(&house.path().join("landfall/blobs"));
    files
        .iter()
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum()
}

/// What `du` says would be free is what the disk has more of, once the date that it names has come, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_to_be_freed_is_free_by_the_date_that_was_promised() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    push(&registry, "a:kept", &[1]).await;
    let gone = push(&registry, "a:gone", &[1, 2, 3]).await;
    push(&registry, "b:other", &[3]).await;
    let (tags, _) = registry.space_of_tags(&name("a"), None, 10).await.unwrap();
    let would_free = tags.iter().find(|one| one.digest == gone).unwrap().would_free;
    let asked = vec![(name("a"), gone.clone()), (name("a"), gone.clone())];
    assert_eq!(registry.freeable(asked).await.unwrap().freed_bytes, would_free);
    // Of what was uploaded twice one copy goes.
    house.clock.advance(2 * HOUR);
    registry.gc_run().await.unwrap();
    let before = stored(&house);
    trash(&registry, "a", &gone).await;
    let space = registry.space_of_repository(&name("a")).await.unwrap();
    assert_eq!(space.sums.trash, would_free);
    let hours = (space.trash_gone_by.unwrap() - house.clock.now_ms()) / HOUR;
    for _ in 0..hours {
        house.clock.advance(HOUR - 1);
        registry.gc_run().await.unwrap();
    }
    assert_eq!(stored(&house), before, "too early");
    // A server looks each half minute, this story each hour: once to purge, to review and to sweep.
    for _ in 0..3 {
        house.clock.advance(HOUR);
        registry.gc_run().await.unwrap();
    }
    assert_eq!(stored(&house), before - would_free);
    let (largest, _) = registry.space_of_repositories(None, 10).await.unwrap();
    let whole: u64 = largest.iter().map(|one| one.sums.unique + one.sums.shared).sum();
    assert_eq!(whole, stored(&house));
    assert_eq!(registry.space().await.unwrap().bytes, stored(&house));
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_space_comes_in_two_hours_of_the_named_repository_alone() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    let kept = push(&registry, "a:kept", &[1]).await;
    let gone = push(&registry, "a:gone", &[2]).await;
    let other = push(&registry, "b:gone", &[3]).await;
    trash(&registry, "a", &gone).await;
    trash(&registry, "b", &other).await;
    // A push under way: its layer is here, its manifest is not.
    let early = push_in_parts(&registry, "a", &noise(4, 50_000)).await.unwrap();
    let before = stored(&house);
    let (manifests, bytes, gone_by) = registry.urgent_plan(&name("a")).await.unwrap();
    assert_eq!((manifests, gone_by - house.clock.now_ms()), (1, 2 * HOUR));
    let pause = registry.gc_pause("bee").await.unwrap();
    assert_eq!(registry.gc_urgent(&name("a")).await.unwrap(), 0, "paused");
    assert_eq!(registry.gc_wait().await.unwrap(), Some(GcWait::Paused(pause)));
    registry.gc_resume().await.unwrap();
    assert_eq!(registry.gc_urgent(&name("a")).await.unwrap(), 1);
    house.clock.advance(HOUR - 1);
    registry.gc_run().await.unwrap();
    // Who was told less than an hour ago that it is here finds it here.
    let image = image(&early, std::slice::from_ref(&early));
    push_manifest(&registry, "a:late", image).await.unwrap();
    for _ in 0..2 {
        house.clock.advance(HOUR);
        registry.gc_run().await.unwrap();
    }
    // All that was said but the layer that was named after all.
    assert_eq!(stored(&house), before - (bytes - 50_000));
    for (repository, seed) in [("a", 1), ("a", 4)] {
        let layer = crate::house::digest_of(&noise(seed, 50_000));
        assert_eq!(
            read(&registry, repository, &layer).await.unwrap(),
            noise(seed, 50_000)
        );
    }
    let trash = registry.gc_status().await.unwrap().trash;
    assert_eq!(trash.count, 1, "the other repository's can still be restored");
    assert!(registry.why_kept(&kept).await.unwrap().manifests.len() == 1);
    assert!(registry.space_of_repository(&name("no/such")).await.is_err());
}

/// The trap: an answer that is kept in memory says that no lease needs renewing, and the lease has changed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_that_a_blob_is_here_may_count_on_it_also_after_its_lease_was_cut() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    push(&registry, "a:kept", &[1]).await;
    let loose = push_in_parts(&registry, "a", &noise(2, 50_000)).await.unwrap();
    registry.blob_size(&pull("a"), &loose).await.unwrap();
    registry.gc_urgent(&name("a")).await.unwrap();
    house.clock.advance(HOUR - 1);
    registry.blob_size(&pull("a"), &loose).await.unwrap();
    house.clock.advance(HOUR - 2);
    registry.gc_run().await.unwrap();
    push_manifest(&registry, "a:late", image(&loose, std::slice::from_ref(&loose)))
        .await
        .unwrap();
}

/// The same where the last manifest that named it goes for good.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_that_a_blob_is_here_may_count_on_it_also_after_its_last_image_went() {
    let house = House::new();
    let registry = house.open_with(at_once()).await;
    push(&registry, "a:kept", &[1]).await;
    let gone = push(&registry, "a:gone", &[2]).await;
    let layer = crate::house::digest_of(&noise(2, 50_000));
    // The edge holds it by now, and no lease runs.
    house.clock.advance(25 * HOUR);
    registry.gc_run().await.unwrap();
    registry.blob_size(&pull("a"), &layer).await.unwrap();
    trash(&registry, "a", &gone).await;
    house.clock.advance(7 * 24 * HOUR);
    assert_eq!(registry.gc_run().await.unwrap().purged, 1);
    house.clock.advance(24 * HOUR - 1);
    registry.blob_size(&pull("a"), &layer).await.unwrap();
    house.clock.advance(HOUR);
    registry.gc_run().await.unwrap();
    push_manifest(&registry, "a:again", image(&layer, std::slice::from_ref(&layer)))
        .await
        .unwrap();
}
