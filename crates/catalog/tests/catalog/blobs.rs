//! Blobs: published once, mounted, kept while somebody counts on them, deleted without harm.

use catalog::{DamageCause, Health, MountSource, NewBlob, Place, Published, Unlinked, UploadRow};
use oci::Algorithm;
use uuid::Uuid;

use crate::harness::{DAY, GRACE, House, LEASE, UNDO, digest, repo, story, tag};

story!(
    a_published_blob_is_served_where_it_was_pushed_and_nowhere_else,
    async |house: &House| {
        let blob = house.push_blob("team/api", "layer").await;
        assert!(house.serves("team/api", &blob).await);
        assert!(!house.serves("team/web", &blob).await);
        let bytes = house.read(move |tx| catalog::inline_bytes(tx, &blob)).await;
        assert_eq!(bytes.as_deref(), Some(&b"layer"[..]));
    }
);

story!(
    the_slower_of_two_uploads_leaves_its_bytes_to_the_sweeper,
    async |house: &House| {
        assert_eq!(house.push_file("a", "layer", "here/1").await, Published::New);
        assert_eq!(house.push_file("b", "layer", "here/2").await, Published::Existing);
        assert!(house.serves("a", &digest("layer")).await && house.serves("b", &digest("layer")).await);
        let now = house.now();
        let due = house.due(now).await;
        assert_eq!(due, ["here/2"]);
        for (location, known) in [("here/1", true), ("here/2", true), ("here/3", false)] {
            assert_eq!(
                house.read(move |tx| catalog::known_location(tx, location)).await,
                known
            );
        }
        house.write(move |tx| catalog::finish_tombstones(tx, &due)).await;
        assert!(!house.read(|tx| catalog::known_location(tx, "here/2")).await);
    }
);

story!(
    the_same_publication_twice_buries_nothing,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        assert_eq!(house.push_file("a", "layer", "here/1").await, Published::Existing);
        assert!(house.due(i64::MAX).await.is_empty());
    }
);

story!(a_new_push_repairs_a_damaged_blob, async |house: &House| {
    house.push_file("a", "layer", "here/1").await;
    let blob = digest("layer");
    let marked = {
        let blob = blob.clone();
        let now = house.now();
        move |tx: &mut catalog::Tx<'_>| {
            catalog::mark_bad(tx, &blob, Some("here/1"), DamageCause::Missing, now)
        }
    };
    assert!(house.write(marked).await);
    assert_eq!(house.push_file("a", "layer", "here/2").await, Published::Repaired);
    let now = house.now();
    let found = house
        .read(move |tx| catalog::find_blob(tx, &repo("a"), &blob, now, LEASE))
        .await
        .unwrap();
    assert_eq!(
        (found.location.as_deref(), found.health),
        (Some("here/2"), Health::Good)
    );
    // Readers may still be sent to the old bytes for as long as the push says.
    assert!(house.due(now + GRACE - 1).await.is_empty());
    assert_eq!(house.due(now + GRACE).await, ["here/1"]);
});

story!(
    an_upload_that_was_cancelled_meanwhile_cannot_publish,
    async |house: &House| {
        let id = Uuid::new_v4();
        let late = NewBlob {
            upload: Some(id),
            ..house.blob("a", "layer")
        };
        let error = {
            let late = late.clone();
            house
                .catalog
                .write(move |tx| catalog::publish_blob(tx, &late))
                .await
        };
        assert!(matches!(error, Err(catalog::Error::UploadUnknown)), "{error:?}");
        assert!(!house.serves("a", &digest("layer")).await);

        let row = UploadRow {
            id,
            repo: repo("a"),
            actor: Some("bee".to_owned()),
            offset: 5,
            algorithm: Algorithm::Sha512,
            hash_state: vec![1, 2, 3],
            boot_id: [7; 16],
            created_at: house.now(),
            expires_at: i64::MAX,
        };
        let saved = row.clone();
        house.write(move |tx| catalog::save_checkpoint(tx, &row)).await;
        assert_eq!(
            house.read(move |tx| catalog::find_upload(tx, id)).await,
            Some(saved)
        );
        house.write(move |tx| catalog::publish_blob(tx, &late)).await;
        assert!(house.serves("a", &digest("layer")).await);
        assert!(house.read(catalog::list_upload_ids).await.is_empty());
    }
);

story!(an_upload_alone_makes_no_repository, async |house: &House| {
    let row = UploadRow {
        id: Uuid::new_v4(),
        repo: repo("only/begun"),
        actor: None,
        offset: 0,
        algorithm: Algorithm::Sha256,
        hash_state: vec![],
        boot_id: [0; 16],
        created_at: house.now(),
        expires_at: house.now() + DAY,
    };
    let id = row.id;
    house.write(move |tx| catalog::save_checkpoint(tx, &row)).await;
    assert!(
        !house
            .read(|tx| catalog::repo_exists(tx, &repo("only/begun")))
            .await
    );
    assert_eq!(house.read(|tx| catalog::uploads_of(tx, None, 10)).await, [id]);
    assert!(
        house
            .read(|tx| catalog::uploads_of(tx, Some("bee"), 10))
            .await
            .is_empty()
    );
    let now = house.now();
    assert!(
        house
            .read(move |tx| catalog::expired_uploads(tx, now, 10))
            .await
            .is_empty()
    );
    assert_eq!(
        house
            .read(move |tx| catalog::expired_uploads(tx, now + DAY, 10))
            .await,
        [id]
    );
    assert!(house.write(move |tx| catalog::delete_upload(tx, id)).await);
    assert!(!house.write(move |tx| catalog::delete_upload(tx, id)).await);
});

story!(
    a_blob_is_mounted_only_from_where_it_is_served,
    async |house: &House| {
        let blob = house.push_blob("from", "layer").await;
        let now = house.now();
        let mount = |source: MountSource, into: &'static str| {
            let blob = blob.clone();
            house.write(move |tx| catalog::mount_blob(tx, &source, &repo(into), &blob, now, LEASE))
        };
        assert!(!mount(MountSource::Repo(repo("elsewhere")), "into").await);
        assert!(!mount(MountSource::AnyOf(vec![repo("elsewhere")]), "into").await);
        assert!(
            !house.read(|tx| catalog::repo_exists(tx, &repo("into"))).await,
            "a refused mount makes nothing"
        );
        assert!(mount(MountSource::Repo(repo("from")), "into").await);
        assert!(house.serves("into", &blob).await);
        assert!(
            mount(
                MountSource::AnyOf(vec![repo("elsewhere"), repo("from")]),
                "second"
            )
            .await
        );

        for (from, gone) in [
            ("from", true),
            ("into", true),
            ("second", true),
            ("second", false),
        ] {
            let blob = blob.clone();
            let unlinked = house
                .write(move |tx| catalog::unlink_blob(tx, &repo(from), &blob, now, UNDO, None))
                .await;
            assert_eq!(unlinked == Unlinked::Hidden, gone, "{from}");
        }
        assert!(
            !mount(MountSource::Any, "into").await,
            "a hidden link is no source"
        );
    }
);

story!(
    a_damaged_blob_is_not_mounted_so_that_its_bytes_come_again,
    async |house: &House| {
        house.push_file("from", "layer", "here/1").await;
        house
            .write(|tx| catalog::mark_bad(tx, &digest("layer"), Some("here/1"), DamageCause::Changed, 0))
            .await;
        let now = house.now();
        let mount = move |tx: &mut catalog::Tx<'_>| {
            catalog::mount_blob(tx, &MountSource::Any, &repo("into"), &digest("layer"), now, LEASE)
        };
        assert!(!house.write(mount).await);
    }
);

story!(
    a_lease_is_renewed_when_half_of_it_is_over,
    async |house: &House| {
        let blob = house.push_blob("a", "layer").await;
        let renew = async || {
            let (blob, now) = (blob.clone(), house.now());
            house
                .read(move |tx| catalog::find_blob(tx, &repo("a"), &blob, now, LEASE))
                .await
                .unwrap()
                .renew
        };
        assert!(!renew().await);
        house.pass(LEASE / 2 + 1);
        assert!(renew().await);
        let (touched, now) = (blob.clone(), house.now());
        assert!(
            house
                .write(move |tx| catalog::touch_blob(tx, &repo("a"), &touched, now, LEASE))
                .await
        );
        assert!(!renew().await);
        assert!(
            !house
                .write(move |tx| catalog::touch_blob(tx, &repo("a"), &digest("other"), now, LEASE))
                .await
        );
    }
);

story!(
    a_blob_that_a_live_manifest_names_cannot_be_deleted,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let (blob, now) = (digest("layer"), house.now());
        let unlink = move |tx: &mut catalog::Tx<'_>| {
            catalog::unlink_blob(tx, &repo("a"), &digest("layer"), now, UNDO, Some("bee"))
        };
        assert_eq!(
            house.write(unlink).await,
            Unlinked::Referenced {
                by: vec![image.clone()]
            }
        );
        assert!(house.serves("a", &blob).await);

        house
            .write(move |tx| catalog::trash_manifest(tx, &repo("a"), &image, now, UNDO, None))
            .await;
        assert_eq!(house.write(unlink).await, Unlinked::Hidden);
        assert!(!house.serves("a", &blob).await);
        // The trashed manifest cannot come back by a push without its layer, and the layer comes back by a push.
        let mut again = house.manifest("a", "image of layer", &["latest"]);
        again.blobs = vec![crate::harness::edge(0, &blob)];
        assert_eq!(
            house.put(again.clone()).await,
            catalog::PutManifest::Missing(vec![blob.clone()])
        );
        house.push_blob("a", "layer").await;
        assert_eq!(
            house.put(again).await,
            catalog::PutManifest::Stored { created: true }
        );
        assert!(house.serves("a", &blob).await);
        assert!(house.find("a", "latest").await.is_some());
    }
);

story!(
    usage_counts_a_shared_blob_once_in_all_and_once_in_each_repository,
    async |house: &House| {
        house.push_image("team/a", "12345", &["x", "y"]).await;
        house.push_image("team/b", "12345", &["x"]).await;
        let scopes = [
            (catalog::Scope::Everything, (5, 1, 2, 3)),
            (catalog::Scope::Namespace("team".to_owned()), (10, 2, 2, 3)),
            (catalog::Scope::Repository(repo("team/a")), (5, 1, 1, 2)),
            (catalog::Scope::Repository(repo("team/none")), (0, 0, 0, 0)),
        ];
        for (scope, expected) in scopes {
            let asked = scope.clone();
            let usage = house.read(move |tx| catalog::usage(tx, &asked)).await;
            assert_eq!(
                (usage.bytes, usage.blobs, usage.manifests, usage.tags),
                expected,
                "{scope:?}"
            );
        }
        let now = house.now();
        house
            .write(move |tx| catalog::delete_tag(tx, &repo("team/a"), &tag("x"), now, 0, UNDO, None))
            .await;
        house
            .write(move |tx| {
                catalog::trash_manifest(tx, &repo("team/a"), &digest("image of 12345"), now, UNDO, None)
            })
            .await;
        let usage = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Repository(repo("team/a"))))
            .await;
        assert_eq!(
            (usage.bytes, usage.manifests, usage.tags, usage.trashed),
            (5, 0, 0, 1)
        );
    }
);

story!(a_large_inline_body_comes_back_as_it_was, async |house: &House| {
    let content: Vec<u8> = (0..16_384_u32).map(|n| (n % 251) as u8).collect();
    let blob = NewBlob {
        place: Place::Inline(content.clone()),
        size: 16_384,
        ..house.blob("a", "any")
    };
    let wanted = blob.digest.clone();
    house.write(move |tx| catalog::publish_blob(tx, &blob)).await;
    assert_eq!(
        house.read(move |tx| catalog::inline_bytes(tx, &wanted)).await,
        Some(content)
    );
});
