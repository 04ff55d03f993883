//! Bundles and what happened on either side meanwhile: tags that were moved, images that were deleted, rules of the site.

use std::path::Path;

use oci::{Digest, Reference};
use policy::{ImmutableRule, ImmutableSpec, QuotaRule, QuotaSpec};
use registry::bundle::{BundleError, Imported, Since, Written};
use registry::{Error, Registry, Rules, WrittenRules};
use tokio_util::sync::CancellationToken;

use crate::backup::{expect_whole, push_image};
use crate::house::{House, delete, pull, push_in_parts, push_manifest};

async fn write(registry: &Registry, target: &Path, since: Option<Since>) -> Result<Written, Error> {
    let stop = CancellationToken::new();
    registry.write_bundle(target, &[], since, |_| {}, &stop).await
}

pub(crate) async fn import(registry: &Registry, path: &Path) -> Result<Imported, Error> {
    registry
        .import_bundle(path, Some("bee".to_owned()), |_| {}, &CancellationToken::new())
        .await
}

pub(crate) async fn led(registry: &Registry, repository: &str, tag: &str) -> Option<Digest> {
    let reference: Reference = tag.parse().unwrap();
    let found = registry.manifest(&pull(repository), &reference).await;
    found.ok().map(|found| found.stat.digest)
}

pub(crate) fn left(imported: &Imported) -> Vec<&str> {
    imported.tags_left.iter().map(|left| left.tag.as_str()).collect()
}

#[tokio::test]
async fn an_earlier_bundle_or_the_same_again_moves_no_tag_back() {
    let (house, other, place) = (House::new(), House::new(), tempfile::tempdir().unwrap());
    let (here, there) = (house.open().await, other.open().await);
    let [b1, b2, b3] = ["1", "2", "3"].map(|name| place.path().join(name));
    push_image(&here, "a:moves", 1).await;
    push_image(&here, "a:goes", 2).await;
    push_image(&here, "a:stays", 3).await;
    write(&here, &b1, None).await.unwrap();
    house.clock.advance(1000);
    push_image(&here, "a:moves", 4).await;
    here.delete_manifest(&delete("a"), &"goes".parse().unwrap())
        .await
        .unwrap();
    write(&here, &b2, Some(Since::Last)).await.unwrap();
    assert_eq!(import(&there, &b1).await.unwrap().tags, 3);
    let brought = import(&there, &b2).await.unwrap();
    assert_eq!((brought.tags, brought.tags_removed), (1, 1), "{brought:?}");

    let earlier = import(&there, &b1).await.unwrap();
    assert_eq!((earlier.tags, earlier.tags_removed), (0, 0));
    assert_eq!(left(&earlier), ["a:goes", "a:moves"]);
    assert!(earlier.tags_left[0].why.contains("older"), "{earlier:?}");
    assert_eq!(led(&there, "a", "moves").await, led(&here, "a", "moves").await);
    assert_eq!(led(&there, "a", "goes").await, None);

    // Set by hand at the site, even to where it was once: the same bundle again lets it be, and so does a later one, unless
    // it leads where the source once had it.
    push_image(&there, "a:moves", 1).await;
    push_image(&there, "a:stays", 9).await;
    let again = import(&there, &b2).await.unwrap();
    assert_eq!((again.tags, left(&again)), (0, vec!["a:moves"]));
    house.clock.advance(1000);
    push_image(&here, "a:moves", 5).await;
    push_image(&here, "a:new", 5).await;
    write(&here, &b3, None).await.unwrap();
    let whole = import(&there, &b3).await.unwrap();
    assert_eq!((whole.tags, left(&whole)), (2, vec!["a:stays"]), "{whole:?}");
    assert_eq!(led(&there, "a", "moves").await, led(&here, "a", "moves").await);
    expect_whole(&there, "a").await;
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn what_was_deleted_is_in_no_bundle_and_what_comes_back_is_in_the_next() {
    let (house, other, place) = (House::new(), House::new(), tempfile::tempdir().unwrap());
    let (here, there) = (house.open().await, other.open().await);
    let [b1, b2] = ["1", "2"].map(|name| place.path().join(name));
    push_image(&here, "a:1", 1).await;
    push_image(&here, "a:2", 2).await;
    push_in_parts(&here, "a", &crate::house::noise(7, 70_000))
        .await
        .unwrap();
    let gone = led(&here, "a", "2").await.unwrap();
    let body = here
        .manifest(&pull("a"), &"2".parse().unwrap())
        .await
        .unwrap()
        .body;
    here.delete_manifest(&delete("a"), &Reference::Digest(gone))
        .await
        .unwrap();
    let written = write(&here, &b1, None).await.unwrap();
    assert_eq!((written.manifests, written.blobs), (1, 3), "{written:?}");
    import(&there, &b1).await.unwrap();
    push_manifest(&here, "a:2", body.to_vec()).await.unwrap();
    let written = write(&here, &b2, Some(Since::Last)).await.unwrap();
    assert_eq!((written.manifests, written.blobs), (1, 3), "{written:?}");
    import(&there, &b2).await.unwrap();
    assert_eq!(expect_whole(&there, "a").await, 6);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn a_change_that_was_never_made_is_nothing_to_continue() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let here = house.open().await;
    push_image(&here, "a:1", 1).await;
    for seq in [-1, 999_999] {
        let refused = write(&here, &place.path().join("b"), Some(Since::Change(seq))).await;
        assert!(
            matches!(refused, Err(Error::Bundle(BundleError::NoChange { .. }))),
            "{refused:?}"
        );
    }
    write(&here, &place.path().join("b"), Some(Since::Change(0)))
        .await
        .unwrap();
    here.close().await;
}

#[tokio::test]
async fn rules_of_the_site_hold_for_a_bundle() {
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let here = house.open().await;
    push_image(&here, "b/a:1", 1).await;
    push_image(&here, "a:v1", 1).await;
    let [b1, b2] = ["1", "2"].map(|name| place.path().join(name));
    write(&here, &b1, None).await.unwrap();
    push_image(&here, "a:v1", 2).await;
    write(&here, &b2, None).await.unwrap();
    let with = |bytes: u64| {
        let quota = QuotaSpec {
            repositories: "b/".into(),
            bytes: Some(bytes),
            tags: None,
        };
        let fixed = ImmutableSpec {
            repositories: "**".into(),
            tags: vec!["v*".into()],
            except: Vec::new(),
        };
        Rules {
            written: WrittenRules {
                quotas: vec![QuotaRule::new(quota).unwrap()],
                immutable: vec![ImmutableRule::new(fixed).unwrap()],
                ..WrittenRules::default()
            },
            ..Rules::default()
        }
    };
    for is_here in [false, true] {
        let other = House::new();
        let there = other.open_with(with(50_000)).await;
        if is_here {
            push_image(&there, "c:1", 1).await; // the bytes cost nothing, the link does
        }
        let refused = import(&there, &b1).await;
        assert!(matches!(refused, Err(Error::OverQuota(_))), "{refused:?}");
        assert_eq!(led(&there, "b/a", "1").await, None);
        there.close().await;
    }
    let other = House::new();
    let there = other.open_with(with(90_000)).await;
    import(&there, &b1).await.unwrap();
    let kept = import(&there, &b2).await.unwrap();
    assert_eq!((kept.tags, left(&kept)), (0, vec!["a:v1"]));
    assert!(kept.tags_left[0].why.contains("immutable"), "{kept:?}");
    here.close().await;
    there.close().await;
}
