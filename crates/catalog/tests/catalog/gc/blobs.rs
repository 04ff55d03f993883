//! Bytes: given back when nothing needs them, never before, whoever uploads, mounts or deletes meanwhile.

use catalog::{Hold, PutManifest, Restored, Unlinked};

use super::{long_after, push_image_file, restore, stored_blobs, trash, unlink};
use crate::harness::{DAY, GRACE, House, LEASE, UNDO, digest, edge, repo, story};

story!(
    a_deleted_image_gives_its_space_back_when_its_window_has_passed,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        push_image_file(house, "a", "other", "here/2", &["other"]).await;
        trash(house, &image).await;
        house.pass(UNDO - 1);
        assert!(house.collect().await.is_empty());
        house.pass(1);
        assert!(
            house.collect().await.is_empty(),
            "a client may have been told that the layer is here"
        );
        house.pass(LEASE);
        assert!(
            house.collect().await.is_empty(),
            "a reader may have been sent to the file"
        );
        house.pass(GRACE);
        assert_eq!(house.collect().await, ["here/1"]);
        let usage = house
            .read(|tx| catalog::usage(tx, &catalog::Scope::Repository(repo("a"))))
            .await;
        assert_eq!((usage.blobs, usage.manifests, usage.trashed), (1, 1, 0));
        assert!(long_after(house).await.is_empty());
        assert!(house.find("a", "other").await.is_some());
    }
);

story!(
    a_blob_that_no_manifest_ever_named_goes_after_its_lease,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        house.push_blob("a", "small").await;
        house.pass(LEASE - 1);
        house.collect().await;
        assert!(house.serves("a", &digest("layer")).await && house.serves("a", &digest("small")).await);
        assert_eq!(long_after(house).await, ["here/1"]);
        assert!(!house.serves("a", &digest("layer")).await && !house.serves("a", &digest("small")).await);
        assert_eq!(stored_blobs(house).await, 0);
    }
);

story!(
    one_of_two_uploads_of_a_digest_goes_and_the_other_stays,
    async |house: &House| {
        push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        house.push_file("a", "layer", "here/2").await;
        assert_eq!(long_after(house).await, ["here/2"]);
        assert!(house.serves("a", &digest("layer")).await);
    }
);

story!(
    an_upload_while_the_old_bytes_wait_for_the_sweeper_gets_a_place_of_its_own,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        house.pass(LEASE);
        house.collect().await;
        push_image_file(house, "a", "layer", "here/2", &["latest"]).await;
        assert_eq!(long_after(house).await, ["here/1"]);
        assert!(house.serves("a", &digest("layer")).await);
    }
);

story!(
    an_image_that_is_pushed_again_after_its_delete_stays_whole,
    async |house: &House| {
        for wait in [0, UNDO, UNDO + LEASE, UNDO + LEASE + GRACE] {
            let image = push_image_file(house, "a", "layer", &format!("here/{wait}"), &["latest"]).await;
            trash(house, &image).await;
            house.pass(wait);
            house.collect().await;
            push_image_file(house, "a", "layer", &format!("again/{wait}"), &["latest"]).await;
            long_after(house).await;
            assert_eq!(house.find("a", "latest").await, Some(image));
            assert!(house.serves("a", &digest("layer")).await);
        }
    }
);

story!(
    a_client_that_was_told_a_layer_is_here_has_its_lease_to_use_it,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        long_after(house).await;
        // While an edge holds the layer, a look at it writes nothing …
        assert!(house.serves("a", &digest("layer")).await);
        trash(house, &image).await;
        house.pass(UNDO);
        house.collect().await;
        house.pass(LEASE - 1);
        house.collect().await;
        // … and whoever looked just before the edge went is still right.
        let mut new = house.manifest("a", "another image", &["new"]);
        new.blobs = vec![edge(0, &digest("layer"))];
        house.put_stored(new).await;
        assert!(long_after(house).await.is_empty());

        house.push_file("a", "late", "here/2").await;
        house.pass(LEASE);
        house.collect().await;
        let mut late = house.manifest("a", "late image", &[]);
        late.blobs = vec![edge(0, &digest("late"))];
        assert_eq!(
            house.put(late).await,
            PutManifest::Missing(vec![digest("late")]),
            "refused, not lost"
        );
    }
);

story!(
    a_deleted_layer_stays_for_the_trashed_image_that_needs_it,
    async |house: &House| {
        let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
        house.pass(UNDO / 2);
        let op = trash(house, &image).await;
        assert_eq!(unlink(house, &digest("layer")).await, Unlinked::Hidden);
        house.pass(UNDO - 1);
        house.collect().await;
        restore(house, op).await;
        assert!(house.serves("a", &digest("layer")).await);
        trash(house, &image).await;
        unlink(house, &digest("layer")).await;
        assert_eq!(long_after(house).await, ["here/1"]);
        assert_eq!(stored_blobs(house).await, 0);
    }
);

story!(
    a_layer_that_is_mounted_elsewhere_stays_there,
    async |house: &House| {
        house.push_file("a", "layer", "here/1").await;
        house.pass(LEASE - 1);
        let now = house.now();
        let mount = move |tx: &mut catalog::Tx<'_>| {
            let source = catalog::MountSource::Repo(repo("a"));
            catalog::mount_blob(tx, &source, &repo("b"), &digest("layer"), now, LEASE)
        };
        assert!(house.write(mount).await);
        house.pass(LEASE - 1);
        house.collect().await;
        assert!(!house.serves("a", &digest("layer")).await && house.serves("b", &digest("layer")).await);
        let mut image = house.manifest("b", "image", &["latest"]);
        image.blobs = vec![edge(0, &digest("layer"))];
        house.put_stored(image).await;
        assert!(long_after(house).await.is_empty());
        assert!(house.serves("b", &digest("layer")).await);
    }
);

story!(holds_keep_the_trash_and_the_bytes, async |house: &House| {
    let image = push_image_file(house, "a", "layer", "here/1", &["latest"]).await;
    let other = push_image_file(house, "a", "other", "here/2", &["other"]).await;
    let held = image.clone();
    let keep = house
        .write(move |tx| catalog::place_hold(tx, &Hold::Manifest(repo("a"), held.clone()), "court", None))
        .await
        .unwrap();
    let op = trash(house, &image).await;
    trash(house, &other).await;
    let backup_until = house.now() + 60 * DAY;
    let sweep = house
        .write(move |tx| catalog::place_hold(tx, &Hold::Sweep, "backup", Some(backup_until)))
        .await
        .unwrap();
    assert!(long_after(house).await.is_empty());
    let ended = house.now();
    house.write(move |tx| catalog::renew_hold(tx, sweep, ended)).await;
    assert_eq!(house.collect().await, ["here/2"]);
    assert!(matches!(restore(house, op).await, Restored::Done { .. }));
    trash(house, &image).await;
    house.write(move |tx| catalog::release_hold(tx, keep)).await;
    assert_eq!(long_after(house).await, ["here/1"]);
    let nothing = house
        .write(|tx| catalog::place_hold(tx, &Hold::Repository(repo("none")), "", None))
        .await;
    assert_eq!(nothing, None);
});
