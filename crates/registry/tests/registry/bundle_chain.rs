//! Bundles one after the other: what each continues, what it says of repositories that went or got another name, and what is
//! refused where one of them is missing.

use std::path::PathBuf;

use policy::{ImmutableRule, ImmutableSpec};
use registry::bundle::{BundleError, Imported, Since, Written};
use registry::{Error, Registry, Rules, WrittenRules};
use tokio_util::sync::CancellationToken;

use crate::backup::{expect_whole, push_image};
use crate::bundle_rules::{import, led, left};
use crate::house::{House, delete, pull, push};

/// A source, a site, and a place for the bundles between them.
struct Way {
    house: House,
    _other: House,
    here: Registry,
    there: Registry,
    place: tempfile::TempDir,
}

impl Way {
    async fn new() -> Self {
        Self::to(Rules::default()).await
    }

    /// To a site with these rules.
    async fn to(rules: Rules) -> Self {
        let (house, other) = (House::new(), House::new());
        let (here, there) = (house.open().await, other.open_with(rules).await);
        Self {
            house,
            _other: other,
            here,
            there,
            place: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    async fn write(&self, name: &str, scope: &[&str], since: Option<Since>) -> Written {
        self.house.clock.advance(1000);
        let scope: Vec<_> = scope.iter().map(|name| name.parse().unwrap()).collect();
        let stop = CancellationToken::new();
        let target = self.file(name);
        let written = self.here.write_bundle(&target, &scope, since, |_| {}, &stop);
        written.await.unwrap()
    }

    async fn import(&self, name: &str) -> Imported {
        import(&self.there, &self.file(name)).await.unwrap()
    }

    async fn refused(&self, name: &str) -> BundleError {
        match import(&self.there, &self.file(name)).await {
            Err(Error::Bundle(error)) => error,
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn untag(&self, repository: &str, tag: &str) {
        let tag = tag.parse().unwrap();
        self.here
            .delete_manifest(&delete(repository), &tag)
            .await
            .unwrap();
    }

    async fn close(self) {
        self.here.close().await;
        self.there.close().await;
    }
}

#[tokio::test]
async fn a_bundle_of_some_repositories_does_not_drop_what_changed_in_others() {
    let way = Way::new().await;
    push_image(&way.here, "a/a:1", 1).await;
    push_image(&way.here, "b/b:1", 2).await;
    way.write("1", &[], None).await;
    way.import("1").await;
    push_image(&way.here, "a/a:2", 3).await;
    push_image(&way.here, "b/b:2", 4).await;
    way.write("2", &["b/b"], Some(Since::Last)).await;
    way.import("2").await;
    assert_eq!(led(&way.there, "a/a", "2").await, None);
    push_image(&way.here, "a/a:3", 5).await;
    let third = way.write("3", &[], Some(Since::Last)).await;
    assert_eq!((third.repositories, third.manifests), (1, 2), "{third:?}");
    way.import("3").await;
    for tag in ["1", "2", "3"] {
        assert!(led(&way.there, "a/a", tag).await.is_some(), "{tag}");
    }
    expect_whole(&way.there, "a/a").await;
    // What a whole bundle of some left out comes whole.
    push_image(&way.here, "a/a:4", 6).await;
    way.write("4", &["b/b"], None).await;
    way.import("4").await;
    way.write("5", &[], Some(Since::Last)).await;
    way.import("5").await;
    assert!(led(&way.there, "a/a", "4").await.is_some());
    way.close().await;
}

#[tokio::test]
async fn a_bundle_whose_predecessor_was_not_brought_is_refused_and_names_it() {
    let way = Way::new().await;
    push_image(&way.here, "a:1", 1).await;
    push_image(&way.here, "b:1", 2).await;
    way.write("1", &[], None).await;
    push_image(&way.here, "a:2", 3).await;
    let second = way.write("2", &[], Some(Since::Last)).await;
    push_image(&way.here, "b:2", 4).await;
    let third = way.write("3", &[], Some(Since::Last)).await;
    push_image(&way.here, "a:3", 5).await;
    way.write("4", &[], Some(Since::Last)).await;

    let error = way.refused("4").await;
    assert!(error.to_string().contains(&third.id), "{error}");
    assert!(
        way.there.tags(&pull("a"), None, None).await.is_err(),
        "nothing is written"
    );
    way.import("1").await;
    let error = way.refused("3").await;
    assert!(error.to_string().contains(&second.id), "{error}");
    assert!(error.to_string().contains("a (up to change"), "{error}");
    for name in ["2", "3", "4"] {
        way.import(name).await;
    }
    assert_eq!(led(&way.there, "b", "2").await, led(&way.here, "b", "2").await);

    // Whoever took a newer whole bundle has what an earlier one brings, and goes on after it.
    let site = House::new();
    let newer = site.open().await;
    way.write("5", &[], None).await;
    import(&newer, &way.file("5")).await.unwrap();
    push_image(&way.here, "a:5", 6).await;
    way.write("6", &[], Some(Since::Bundle(way.file("4")))).await;
    let known = import(&newer, &way.file("4")).await.unwrap();
    assert!(known.brought_before, "{known:?}");
    assert_eq!((known.tags, known.blobs_brought), (0, 0));
    let brought = import(&newer, &way.file("6")).await.unwrap();
    assert!(!brought.brought_before);
    assert!(import(&newer, &way.file("6")).await.unwrap().brought_before);
    assert_eq!(led(&newer, "a", "5").await, led(&way.here, "a", "5").await);
    newer.close().await;
    way.close().await;
}

#[tokio::test]
async fn what_one_source_brought_is_no_predecessor_for_another() {
    let way = Way::new().await;
    let (house, place) = (House::new(), tempfile::tempdir().unwrap());
    let second = house.open().await;
    push_image(&way.here, "a:1", 1).await;
    push_image(&second, "a:x", 2).await;
    way.write("1", &[], None).await;
    way.import("1").await;
    let (first, next) = (place.path().join("1"), place.path().join("2"));
    let stop = CancellationToken::new();
    second
        .write_bundle(&first, &[], None, |_| {}, &stop)
        .await
        .unwrap();
    push_image(&second, "a:y", 3).await;
    let since = Some(Since::Last);
    second
        .write_bundle(&next, &[], since, |_| {}, &stop)
        .await
        .unwrap();
    let refused = import(&way.there, &next).await;
    assert!(
        matches!(refused, Err(Error::Bundle(BundleError::Gap { .. }))),
        "{refused:?}"
    );
    import(&way.there, &first).await.unwrap();
    import(&way.there, &next).await.unwrap();
    // The repository goes at one source: what came from the other stays.
    way.here.delete_repository(&delete("a")).await.unwrap();
    push_image(&way.here, "b:1", 1).await;
    way.write("2", &[], Some(Since::Last)).await;
    let brought = way.import("2").await;
    assert_eq!(brought.tags_removed, 1, "{brought:?}");
    assert_eq!(left(&brought), ["a:x", "a:y"]);
    second.close().await;
    way.close().await;
}

#[tokio::test]
async fn a_repository_that_was_deleted_goes_to_the_trash_of_the_site() {
    let way = Way::new().await;
    for at in ["a:1", "b/b:1", "b/b:2", "c:1"] {
        push_image(&way.here, at, 1).await;
    }
    way.write("1", &[], None).await;
    way.import("1").await;
    way.here.delete_repository(&delete("b/b")).await.unwrap();
    way.here.delete_repository(&delete("c")).await.unwrap();
    push_image(&way.there, "c:ours", 9).await;
    let written = way.write("2", &[], Some(Since::Last)).await;
    assert_eq!((written.repositories, written.repositories_deleted), (0, 2));
    let brought = way.import("2").await;
    assert_eq!(brought.repositories_deleted, ["b/b"]);
    assert_eq!((brought.tags_removed, left(&brought)), (1, vec!["c:ours"]));
    assert_eq!(led(&way.there, "b/b", "1").await, None);
    assert!(led(&way.there, "c", "ours").await.is_some());
    // It was told, and is not told again; the same bundle again takes nothing.
    push_image(&way.there, "b/b:ours", 9).await;
    assert_eq!(
        way.write("3", &[], Some(Since::Last)).await.repositories_deleted,
        0
    );
    assert_eq!(left(&way.import("2").await), ["b/b:ours", "c:ours"]);
    way.import("3").await;
    assert!(led(&way.there, "b/b", "ours").await.is_some());
    // What is there again comes whole.
    push_image(&way.here, "b/b:3", 3).await;
    way.write("4", &["b/b"], Some(Since::Last)).await;
    way.import("4").await;
    assert!(led(&way.there, "b/b", "3").await.is_some());
    way.close().await;
}

#[tokio::test]
async fn a_repository_that_was_renamed_has_its_new_name_at_the_site_only() {
    let way = Way::new().await;
    push_image(&way.here, "a/a:1", 1).await;
    push_image(&way.here, "b:1", 2).await;
    push_image(&way.here, "b:2", 3).await;
    way.write("1", &[], None).await;
    way.import("1").await;
    // One gets a new name, and another takes its old one.
    assert!(
        way.here
            .rename_repository(&delete("a/a"), &push("a/z"))
            .await
            .unwrap()
    );
    assert!(
        way.here
            .rename_repository(&delete("b"), &push("a/a"))
            .await
            .unwrap()
    );
    way.untag("a/a", "2").await;
    way.write("2", &[], Some(Since::Last)).await;
    let brought = way.import("2").await;
    assert_eq!(brought.repositories_deleted, ["b"], "{brought:?}");
    assert_eq!(left(&brought), Vec::<&str>::new());
    for (repository, tag) in [("a/z", "1"), ("a/a", "1"), ("a/a", "2"), ("b", "1")] {
        let (here, there) = (&way.here, &way.there);
        assert_eq!(
            led(there, repository, tag).await,
            led(here, repository, tag).await,
            "{repository}"
        );
    }
    expect_whole(&way.there, "a/z").await;
    expect_whole(&way.there, "a/a").await;
    // And back: the bundle that was made before knows nothing of it, and brings it whole.
    assert!(
        way.here
            .rename_repository(&delete("a/a"), &push("b"))
            .await
            .unwrap()
    );
    way.write("3", &[], Some(Since::Bundle(way.file("1")))).await;
    way.import("3").await;
    assert_eq!(led(&way.there, "b", "1").await, led(&way.here, "b", "1").await);
    assert_eq!(led(&way.there, "a/a", "1").await, None);
    way.close().await;
}

#[tokio::test]
async fn since_a_number_everything_that_was_there_by_then_is_continued() {
    let way = Way::new().await;
    for (at, seed) in [("a:1", 1), ("b:1", 2), ("c:1", 3)] {
        push_image(&way.here, at, seed).await;
    }
    way.house.clock.advance(1000);
    push_image(&way.here, "a:2", 4).await;
    let first = way.write("1", &[], None).await;
    way.import("1").await;
    push_image(&way.here, "a:3", 5).await;
    push_image(&way.here, "new:1", 6).await;
    way.here.delete_repository(&delete("b")).await.unwrap();
    assert!(
        way.here
            .rename_repository(&delete("c"), &push("d"))
            .await
            .unwrap()
    );
    let second = way.write("2", &[], Some(Since::Change(first.seq))).await;
    assert_eq!(
        (second.repositories, second.repositories_deleted),
        (3, 2),
        "{second:?}"
    );
    assert_eq!(second.manifests, 3, "of `a` only what came since");
    let brought = way.import("2").await;
    assert_eq!(brought.repositories_deleted, ["b", "c"]);
    for (repository, tag) in [("a", "2"), ("a", "3"), ("new", "1"), ("d", "1"), ("c", "1")] {
        let (here, there) = (&way.here, &way.there);
        assert_eq!(
            led(there, repository, tag).await,
            led(here, repository, tag).await,
            "{repository}"
        );
    }
    way.close().await;
}

#[tokio::test]
async fn a_whole_bundle_takes_away_what_a_lost_one_would_have() {
    let way = Way::new().await;
    push_image(&way.here, "a:1", 1).await;
    push_image(&way.here, "a:2", 2).await;
    push_image(&way.here, "b:1", 3).await;
    way.write("1", &[], None).await;
    way.import("1").await;
    way.untag("a", "2").await;
    way.here.delete_repository(&delete("b")).await.unwrap();
    way.write("lost", &[], Some(Since::Last)).await;
    way.write("3", &[], None).await;
    let brought = way.import("3").await;
    assert_eq!((brought.tags_removed, left(&brought)), (1, vec![]));
    assert_eq!(brought.repositories_deleted, ["b"]);
    way.close().await;
}

#[tokio::test]
async fn a_repository_with_a_tag_that_is_immutable_at_the_site_stays() {
    let fixed = ImmutableSpec {
        repositories: "**".into(),
        tags: vec!["v*".into()],
        except: Vec::new(),
    };
    let way = Way::to(Rules {
        written: WrittenRules {
            immutable: vec![ImmutableRule::new(fixed).unwrap()],
            ..WrittenRules::default()
        },
        ..Rules::default()
    })
    .await;
    push_image(&way.here, "a:v1", 1).await;
    push_image(&way.here, "a:2", 2).await;
    way.write("1", &[], None).await;
    way.import("1").await;
    way.here.delete_repository(&delete("a")).await.unwrap();
    way.write("2", &[], Some(Since::Last)).await;
    let brought = way.import("2").await;
    assert_eq!(
        (brought.tags_removed, left(&brought)),
        (1, vec!["a:v1"]),
        "{brought:?}"
    );
    assert!(brought.repositories_deleted.is_empty());
    way.close().await;
}
