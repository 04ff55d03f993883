//! Manifests: whole or not at all, and they keep what they name.

use catalog::{Edge, EdgeKind, NewManifest, PutManifest, ReferrersWanted, Unlinked};
use oci::{Algorithm, Digest, Reference};

use crate::harness::{House, KEEP, UNDO, digest, edge, page_of_referrers, referrers_of, repo, story};

story!(
    a_manifest_comes_back_as_it_was_pushed_by_tag_and_by_digest,
    async |house: &House| {
        let image = house.push_image("a", "layer", &["latest"]).await;
        let now = house.now();
        for reference in ["latest".to_owned(), image.to_string()] {
            let reference: Reference = reference.parse().unwrap();
            let find =
                move |tx: &mut catalog::Tx<'_>| catalog::find_manifest(tx, &repo("a"), &reference, now, KEEP);
            let (record, body) = house.read(find).await.unwrap();
            assert_eq!(body, b"image of layer");
            assert_eq!((record.digest, record.size), (image.clone(), 14));
            assert_eq!(record.media_type, "application/vnd.oci.image.manifest.v1+json");
        }
        assert_eq!(house.find("b", "latest").await, None);
        assert_eq!(house.find("a", "other").await, None);
    }
);

story!(
    every_missing_blob_is_named_and_nothing_is_kept,
    async |house: &House| {
        let there = house.push_blob("elsewhere", "there").await;
        let missing = [digest("config"), digest("layer"), there];
        let mut image = house.manifest("a", "image", &["latest"]);
        image.blobs = missing
            .iter()
            .zip(0..)
            .map(|(digest, ord)| edge(ord, digest))
            .collect();
        image.blobs.push(edge(3, &digest("layer")));
        let PutManifest::Missing(mut named) = house.put(image).await else {
            panic!("it was taken")
        };
        named.sort();
        let mut expected = missing.to_vec();
        expected.sort();
        assert_eq!(
            named, expected,
            "each once, and a blob of another repository is missing here"
        );
        assert!(!house.read(|tx| catalog::repo_exists(tx, &repo("a"))).await);
    }
);

story!(a_push_of_the_same_bytes_changes_nothing, async |house: &House| {
    house.push_image("a", "layer", &["latest"]).await;
    let mut again = house.manifest("a", "image of layer", &["latest"]);
    again.blobs = vec![edge(0, &digest("layer"))];
    assert_eq!(house.put(again).await, PutManifest::Stored { created: false });
    let usage = house
        .read(|tx| catalog::usage(tx, &catalog::Scope::Everything))
        .await;
    assert_eq!((usage.manifests, usage.tags, usage.blobs), (1, 1, 1));
});

story!(
    one_repository_cannot_change_the_type_that_another_serves,
    async |house: &House| {
        house.put_stored(house.manifest("mine", "document", &["x"])).await;
        let typed = NewManifest {
            media_type: "text/html".to_owned(),
            ..house.manifest("theirs", "document", &["x"])
        };
        house.put_stored(typed).await;
        let now = house.now();
        for (name, expected) in [
            ("mine", "application/vnd.oci.image.manifest.v1+json"),
            ("theirs", "text/html"),
        ] {
            let reference: Reference = "x".parse().unwrap();
            let stat = move |tx: &mut catalog::Tx<'_>| {
                catalog::stat_manifest(tx, &repo(name), &reference, now, KEEP)
            };
            assert_eq!(house.read(stat).await.unwrap().media_type, expected);
        }
    }
);

story!(
    the_same_bytes_under_both_digests_are_two_manifests,
    async |house: &House| {
        let wide = Digest::from_raw(Algorithm::Sha512, &[7; 64]).unwrap();
        let narrow = house
            .put_stored(house.manifest("a", "document", &["narrow"]))
            .await;
        house
            .put_stored(NewManifest {
                digest: wide.clone(),
                ..house.manifest("a", "document", &["wide"])
            })
            .await;
        assert_eq!(house.find("a", "narrow").await, Some(narrow));
        assert_eq!(house.find("a", "wide").await, Some(wide));
    }
);

story!(
    an_index_needs_its_children_as_manifests_or_as_blobs,
    async |house: &House| {
        let image = house.push_image("a", "layer", &[]).await;
        let cache = house.push_blob("a", "cache").await;
        let nowhere = digest("nowhere");
        let index = house.index("a", "index", &["latest"], &[&image, &cache, &nowhere]);
        assert_eq!(
            house.put(index.clone()).await,
            PutManifest::Missing(vec![nowhere.clone()])
        );
        let mut sparse = index;
        sparse.children[2].required = false;
        assert_eq!(house.put(sparse).await, PutManifest::Stored { created: true });

        // What the index holds cannot be deleted under it.
        let (index, now) = (digest("index"), house.now());
        let trash = {
            let image = image.clone();
            move |tx: &mut catalog::Tx<'_>| catalog::trash_manifest(tx, &repo("a"), &image, now, UNDO, None)
        };
        assert_eq!(
            house.write(trash).await,
            catalog::Trashed::ListedBy(vec![index.clone()])
        );
        let unlink =
            move |tx: &mut catalog::Tx<'_>| catalog::unlink_blob(tx, &repo("a"), &cache, now, UNDO, None);
        assert_eq!(
            house.write(unlink).await,
            Unlinked::Referenced {
                by: vec![index.clone()]
            }
        );

        // The child that was missing is held from its arrival on.
        house.put_stored(house.manifest("a", "nowhere", &[])).await;
        let trash = move |tx: &mut catalog::Tx<'_>| {
            catalog::trash_manifest(tx, &repo("a"), &nowhere, now, UNDO, None)
        };
        assert_eq!(house.write(trash).await, catalog::Trashed::ListedBy(vec![index]));
    }
);

story!(
    a_layer_that_was_let_missing_is_held_from_its_arrival_on,
    async |house: &House| {
        let mut image = house.manifest("a", "image", &["latest"]);
        let foreign = Edge {
            required: false,
            kind: EdgeKind::Layer,
            ..edge(0, &digest("foreign"))
        };
        image.blobs = vec![foreign];
        let image = house.put_stored(image).await;
        let now = house.now();
        let unlink = move |tx: &mut catalog::Tx<'_>| {
            catalog::unlink_blob(tx, &repo("a"), &digest("foreign"), now, UNDO, None)
        };
        assert_eq!(house.write(unlink).await, Unlinked::Unknown);
        house.push_blob("a", "foreign").await;
        assert_eq!(
            house.write(unlink).await,
            Unlinked::Referenced { by: vec![image] }
        );
    }
);

story!(
    a_child_that_a_pusher_saw_is_kept_until_its_index_comes,
    async |house: &House| {
        let image = house.push_image("a", "layer", &[]).await;
        house.pass(KEEP / 2 + 1);
        let renew = async || {
            let (reference, now) = (Reference::Digest(image.clone()), house.now());
            house
                .read(move |tx| catalog::stat_manifest(tx, &repo("a"), &reference, now, KEEP))
                .await
                .unwrap()
                .renew
        };
        assert!(renew().await);
        let (touched, now) = (image.clone(), house.now());
        assert!(
            house
                .write(move |tx| catalog::touch_manifest(tx, &repo("a"), &touched, now, KEEP))
                .await
        );
        assert!(!renew().await);
        assert!(
            !house
                .write(move |tx| catalog::touch_manifest(tx, &repo("a"), &digest("none"), now, KEEP))
                .await
        );
    }
);

story!(
    texts_that_one_engine_cannot_keep_are_kept_alike_by_both,
    async |house: &House| {
        let subject = digest("subject");
        let new = NewManifest {
            subject: Some(subject.clone()),
            artifact_type: Some("a\0b".to_owned()),
            annotations: Some(r#"{"k":"ü\u0000"}"#.to_owned()),
            ..house.manifest("a", "signature", &[])
        };
        house.put_stored(new).await;
        let wanted = ReferrersWanted {
            types: vec!["a\0b".to_owned()],
            ..referrers_of(&subject)
        };
        let list = move |tx: &mut catalog::Tx<'_>| page_of_referrers(tx, "a", &wanted);
        let page = house.read(list).await;
        assert_eq!(page.entries[0].artifact_type.as_deref(), Some("ab"));
        assert_eq!(page.entries[0].annotations.as_deref(), Some(r#"{"k":"ü\u0000"}"#));
    }
);

story!(
    two_pushes_that_share_layers_in_any_order_both_succeed,
    async |house: &House| {
        let layers: Vec<Digest> = {
            let mut layers = Vec::new();
            for n in 0..8 {
                layers.push(house.push_blob("a", &format!("layer {n}")).await);
            }
            layers
        };
        let pushes = (0..16).map(|n| {
            let mut image = house.manifest("a", &format!("image {n}"), &[&format!("t{}", n % 3), "latest"]);
            let mut order: Vec<_> = layers.iter().collect();
            if n % 2 == 0 {
                order.reverse();
            }
            image.blobs = order
                .into_iter()
                .zip(0..)
                .map(|(layer, ord)| edge(ord, layer))
                .collect();
            let catalog = house.catalog.clone();
            tokio::spawn(async move { catalog.write(move |tx| catalog::put_manifest(tx, &image)).await })
        });
        for push in pushes.collect::<Vec<_>>() {
            assert!(matches!(
                push.await.unwrap(),
                Ok(PutManifest::Stored { created: true })
            ));
        }
    }
);
