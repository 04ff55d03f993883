//! Tags: moved, deleted, listed, and remembered.

use catalog::{EventKind, Precondition, PutManifest};

use crate::harness::{House, KEEP, UNDO, repo, story, tag};

story!(
    tags_are_listed_in_byte_order_and_every_page_tells_whether_there_is_more,
    async |house: &House| {
        house
            .push_image("a", "layer", &["1.10", "1.9", "A", "a", "_x"])
            .await;
        let page = |last: Option<&'static str>, limit| {
            house.read(move |tx| catalog::list_tags(tx, &repo("a"), last, limit))
        };
        let all = page(None, None).await;
        assert_eq!((all.known, all.more), (true, false));
        assert_eq!(all.tags, ["1.10", "1.9", "A", "_x", "a"]);
        let first = page(None, Some(2)).await;
        assert_eq!(
            (first.tags, first.more),
            (vec!["1.10".to_owned(), "1.9".to_owned()], true)
        );
        let rest = page(Some("1.9"), Some(3)).await;
        assert_eq!(
            (rest.tags.len(), rest.more),
            (3, false),
            "a full page that is the last one says so"
        );
        assert!(page(Some("zzz"), Some(3)).await.tags.is_empty());
        assert_eq!(
            page(Some("1.9\0/ü"), None).await.tags,
            ["A", "_x", "a"],
            "any text can be a place"
        );
        assert_eq!(page(None, Some(0)).await.tags, Vec::<String>::new());
        let weight = |of: &'static str, last| house.read(move |tx| catalog::weigh_tags(tx, &repo(of), last));
        assert_eq!(
            weight("a", None).await,
            "1.10,1.9,A,_x,a,".len() + 2 * all.tags.len()
        );
        assert_eq!(weight("a", Some("_x")).await, 1 + 3);
        assert_eq!((weight("a", Some("z")).await, weight("b", None).await), (0, 0));
        let unknown = house
            .read(|tx| catalog::list_tags(tx, &repo("b"), None, None))
            .await;
        assert!(!unknown.known);
    }
);

story!(
    a_repository_whose_last_tag_was_deleted_is_known_and_empty,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let now = house.now();
        let delete = move |tx: &mut catalog::Tx<'_>| {
            catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, Some("bee"))
        };
        assert!(house.write(delete).await.is_some());
        assert!(house.write(delete).await.is_none());
        let page = house
            .read(|tx| catalog::list_tags(tx, &repo("a"), None, None))
            .await;
        assert_eq!((page.known, page.tags.len()), (true, 0));
        assert_eq!(house.find("a", "latest").await, None);
        assert_eq!(
            house.find("a", &image.to_string()).await,
            Some(image),
            "the manifest stays, by digest"
        );
    }
);

story!(
    history_tells_where_a_tag_pointed_and_who_moved_it,
    async |house: &House| {
        let good = house.push_image("a", "good", &["latest"]).await;
        house.pass(1000);
        let wrong = house.push_image("a", "wrong", &["latest"]).await;
        house.push_image("a", "wrong", &["latest"]).await;
        house.pass(1000);
        let now = house.now();
        house
            .write(move |tx| catalog::delete_tag(tx, &repo("a"), &tag("latest"), now, KEEP, UNDO, None))
            .await;
        let history = house
            .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 10))
            .await;
        let told: Vec<_> = history
            .iter()
            .map(|event| {
                (
                    event.kind,
                    event.old.clone(),
                    event.new.clone(),
                    event.actor.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (EventKind::Deleted, Some(wrong.clone()), None, None),
                (EventKind::Set, Some(good.clone()), Some(wrong), Some("bee")),
                (EventKind::Set, None, Some(good), Some("bee")),
            ],
            "a push that changes nothing is no event"
        );
        let older = history[1].seq;
        let page = house
            .read(move |tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), Some(older), 10))
            .await;
        assert_eq!(page.len(), 1);
    }
);

story!(
    a_conditional_push_moves_the_tag_only_if_it_is_as_it_must_be,
    async |house: &House| {
        let first = house.push_image("a", "first", &["latest"]).await;
        let second = |precondition| catalog::NewManifest {
            precondition,
            ..house.manifest("a", "second", &["latest"])
        };
        assert_eq!(
            house.put(second(Precondition::TagAbsent)).await,
            PutManifest::PreconditionFailed
        );
        let other = crate::harness::digest("other");
        assert_eq!(
            house.put(second(Precondition::TagIs(other.clone()))).await,
            PutManifest::PreconditionFailed
        );
        assert_eq!(
            house
                .find("a", &second(Precondition::None).digest.to_string())
                .await,
            None,
            "nothing happened"
        );
        assert_eq!(house.find("a", "latest").await, Some(first.clone()));
        assert_eq!(
            house.put(second(Precondition::TagIs(first))).await,
            PutManifest::Stored { created: true }
        );
        let absent = catalog::NewManifest {
            precondition: Precondition::TagAbsent,
            ..house.manifest("b", "second", &["new"])
        };
        assert_eq!(house.put(absent).await, PutManifest::Stored { created: true });
        let gone = catalog::NewManifest {
            precondition: Precondition::TagIs(other),
            ..house.manifest("b", "second", &["none"])
        };
        assert_eq!(house.put(gone).await, PutManifest::PreconditionFailed);
    }
);

story!(
    two_pushes_to_one_tag_at_once_leave_the_last_one_and_both_manifests,
    async |house: &House| {
        let pushes = (0..20).map(|n| {
            let image = house.manifest("a", &format!("image {n}"), &["latest"]);
            let catalog = house.catalog.clone();
            tokio::spawn(async move {
                catalog
                    .write(move |tx| catalog::put_manifest(tx, &image))
                    .await
                    .unwrap()
            })
        });
        for push in pushes.collect::<Vec<_>>() {
            push.await.unwrap();
        }
        let history = house
            .read(|tx| catalog::tag_history(tx, &repo("a"), &tag("latest"), None, 100))
            .await;
        assert_eq!(history.len(), 20);
        assert_eq!(
            house.find("a", "latest").await,
            history[0].new,
            "the tag is what its last event says"
        );
        for pair in history.windows(2) {
            assert_eq!(
                pair[0].old, pair[1].new,
                "each event begins where the one before ended"
            );
        }
    }
);
