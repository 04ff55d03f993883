//! Repositories: deleted and brought back, renamed, with settings of their own.

use catalog::{Renamed, RepositorySettings, RestoreWish, Restored, Scope};
use oci::Digest;

use crate::harness::{DAY, House, KEEP, LEASE, UNDO, digest, repo, story, tag};

async fn delete(house: &House, name: &'static str) -> i64 {
    let now = house.now();
    house
        .write(move |tx| catalog::delete_repository(tx, &repo(name), now, UNDO, Some("ann")))
        .await
        .unwrap()
        .op
}

async fn restore(house: &House, op: i64, new_name: Option<&str>) -> Restored {
    let now = house.now();
    let wish = RestoreWish {
        as_repository: new_name.map(repo),
        ..RestoreWish::default()
    };
    house
        .write(move |tx| catalog::restore(tx, op, &wish, now, KEEP, None))
        .await
}

async fn rename(house: &House, old: &'static str, new: &'static str) -> Renamed {
    let now = house.now();
    house
        .write(move |tx| catalog::rename_repository(tx, &repo(old), &repo(new), now, None))
        .await
}

async fn steps(house: &House, name: &'static str) -> Vec<Option<Digest>> {
    let history = house
        .read(move |tx| catalog::tag_history(tx, &repo(name), &tag("latest"), None, 10))
        .await;
    history.into_iter().map(|event| event.new).collect()
}

story!(a_deleted_repository_comes_back_whole, async |house: &House| {
    let image = house.push_image("team/a", "layer", &["latest", "1.0"]).await;
    let op = delete(house, "team/a").await;
    assert_eq!(house.find("team/a", "latest").await, None);
    assert!(!house.serves("team/a", &digest("layer")).await);
    let names = house.read(|tx| catalog::list_repositories(tx, None, 10)).await;
    assert!(names.names.is_empty());
    house.pass(UNDO - 1);
    house.collect().await;
    assert_eq!(
        restore(house, op, None).await,
        Restored::Repository(repo("team/a"))
    );
    assert_eq!(house.find("team/a", "latest").await, Some(image.clone()));
    assert!(house.serves("team/a", &digest("layer")).await);
    assert_eq!(steps(house, "team/a").await, [Some(image)]);
    house.pass(UNDO + LEASE);
    house.collect().await;
    assert!(house.find("team/a", "1.0").await.is_some());
});

story!(
    a_repository_that_is_made_anew_has_a_history_of_its_own,
    async |house: &House| {
        let old = house.push_image("team/a", "old", &["latest"]).await;
        let op = delete(house, "team/a").await;
        let new = house.push_image("team/a", "new", &["latest"]).await;
        assert_eq!(steps(house, "team/a").await, [Some(new.clone())]);
        assert_eq!(house.find("team/a", &old.to_string()).await, None);
        assert_eq!(
            restore(house, op, None).await,
            Restored::NameTaken(repo("team/a"))
        );
        assert_eq!(
            restore(house, op, Some("other/a")).await,
            Restored::Repository(repo("other/a"))
        );
        assert_eq!(house.find("other/a", "latest").await, Some(old.clone()));
        assert_eq!(house.find("team/a", "latest").await, Some(new));
        assert_eq!(steps(house, "other/a").await, [Some(old)]);
        assert_eq!(restore(house, op, None).await, Restored::AlreadyUndone);
        let wrong = house.read(catalog::audit).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
);

story!(
    what_a_deleted_repository_held_goes_when_its_window_ends,
    async |house: &House| {
        let child = house.push_image("team/a", "layer", &[]).await;
        house
            .put_stored(house.index("team/a", "index", &["latest"], &[&child]))
            .await;
        house.push_file("team/a", "file", "here/file").await;
        for n in 0..10 {
            house
                .push_image("team/a", &format!("layer {n}"), &[&format!("t{n}")])
                .await;
        }
        house.push_image("team/b", "layer 3", &["latest"]).await;
        let op = delete(house, "team/a").await;
        house.pass(UNDO);
        house.collect().await;
        assert_eq!(restore(house, op, None).await, Restored::Gone);
        house.pass(LEASE);
        house.collect().await;
        let left = house
            .read(|tx| catalog::usage(tx, &Scope::Namespace("team".to_owned())))
            .await;
        assert_eq!(
            (left.manifests, left.tags, left.trashed, left.blobs),
            (1, 1, 0, 1)
        );
        assert!(house.serves("team/b", &digest("layer 3")).await);
        let all = house.read(|tx| catalog::usage(tx, &Scope::Everything)).await;
        assert_eq!((all.blobs, all.manifests), (1, 1));
        let wrong = house.read(catalog::audit).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
);

story!(
    an_operation_in_a_deleted_repository_waits_for_it,
    async |house: &House| {
        house.push_image("a", "layer", &["latest"]).await;
        let now = house.now();
        let untagged = house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
            .await
            .unwrap();
        let op = delete(house, "a").await;
        assert_eq!(
            restore(house, untagged.op, None).await,
            Restored::RepositoryDeleted(repo("a"))
        );
        restore(house, op, None).await;
        assert!(matches!(
            restore(house, untagged.op, None).await,
            Restored::Done { .. }
        ));
        assert!(house.find("a", "latest").await.is_some());
    }
);

story!(a_renamed_repository_keeps_everything, async |house: &House| {
    let image = house.push_image("team/a", "layer", &["latest"]).await;
    assert_eq!(rename(house, "nowhere", "x").await, Renamed::Unknown);
    house.push_image("taken", "other", &["latest"]).await;
    assert_eq!(rename(house, "team/a", "taken").await, Renamed::Taken);
    assert!(matches!(
        rename(house, "team/a", "prod/b").await,
        Renamed::Done { .. }
    ));
    assert_eq!(house.find("team/a", "latest").await, None);
    assert_eq!(house.find("prod/b", "latest").await, Some(image.clone()));
    assert_eq!(steps(house, "prod/b").await, [Some(image)]);
    for (namespace, manifests, bytes) in [("team", 0, 0), ("prod", 1, 5)] {
        let usage = house
            .read(move |tx| catalog::usage(tx, &Scope::Namespace(namespace.to_owned())))
            .await;
        assert_eq!((usage.manifests, usage.bytes), (manifests, bytes), "{namespace}");
    }
    let names = house.read(|tx| catalog::list_repositories(tx, None, 10)).await;
    assert_eq!(names.names, ["prod/b", "taken"]);
    let wrong = house.read(catalog::audit).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
});

story!(
    a_repository_may_have_an_undo_window_of_its_own,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest", "other"]).await;
        let settings = RepositorySettings {
            undo_window_ms: Some(30 * DAY),
        };
        assert!(
            house
                .write(move |tx| catalog::set_repository(tx, &repo("a"), settings))
                .await
        );
        let view = house
            .read(|tx| catalog::repository_view(tx, &repo("a")))
            .await
            .unwrap();
        assert_eq!(view.settings, settings);
        let now = house.now();
        let until = house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("other"), now, KEEP, UNDO, None))
            .await
            .unwrap()
            .until;
        assert_eq!(until, now + 30 * DAY);
        let wanted = image.clone();
        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &wanted, now, UNDO, None))
            .await;
        house.pass(29 * DAY);
        house.collect().await;
        let trash = house
            .read(move |tx| catalog::list_trash(tx, None, now, None, 10))
            .await;
        assert!(trash.items.iter().all(|entry| entry.until == now + 30 * DAY));
        let op = trash.items[0].op;
        assert!(matches!(restore(house, op, None).await, Restored::Done { .. }));
        assert_eq!(house.find("a", &image.to_string()).await, Some(image));
    }
);
