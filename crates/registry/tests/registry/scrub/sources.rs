//! Sources that heal what is damaged.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_source_heals_what_it_has_and_nothing_else_is_believed() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let mut layers = BTreeMap::new();
    for seed in 1..5 {
        let layer = push_image(&registry, &format!("team/app:{seed}"), seed, 300_000).await;
        flip(&file_of(&house, &layer), seed * 1000);
        layers.insert(seed, layer);
    }
    registry
        .scrub_run(ScrubWanted::default(), None, &never())
        .await
        .unwrap();
    assert_eq!(registry.scrub_numbers().1, 4);
    let source = tempfile::tempdir().unwrap();
    let place = |parts: [&str; 3], bytes: &[u8]| {
        let path = source.path().join(parts.join("/"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let hex = |seed: u64| digest_of(&layers[&seed]).hex();
    // An OCI layout, a CNCF registry, one of ours; and one that lies.
    place(["blobs/sha256", "", &hex(1)], &layers[&1]);
    let cncf = format!("{}/{}/data", &hex(2)[..2], hex(2));
    place(["docker/registry/v2/blobs", "sha256", &cncf], &layers[&2]);
    let ours = format!("{}/{}.0123", &hex(3)[..3], hex(3));
    place(["blobs", "sha256", &ours], &layers[&3]);
    place(["blobs/sha256", "", &hex(4)], &layers[&1]);
    let folder = FolderSource::open(source.path()).unwrap();
    for (seed, layer) in &layers {
        let digest = digest_of(layer);
        let found = folder.find(&digest).unwrap().unwrap();
        let healed = registry.heal(&digest, found).await;
        if *seed < 4 {
            healed.unwrap();
            assert_eq!(read(&registry, "team/app", &digest).await.unwrap(), *layer);
        } else {
            assert!(matches!(healed, Err(Error::DigestMismatch { .. })), "{healed:?}");
            assert!(is_damaged(&registry, "team/app", layer).await);
        }
    }
    assert!(folder.find(&digest_of(b"nowhere")).unwrap().is_none());
    let last = digest_of(&layers[&4]);
    let cut = registry.heal(&last, cut_body(&layers[&4][..1000])).await;
    assert!(matches!(cut, Err(Error::BodyCut)), "{cut:?}");
    registry.heal(&last, body(&layers[&4])).await.unwrap();
    let again = registry.heal(&last, body(&layers[&4])).await;
    assert!(matches!(again, Err(Error::NotDamaged(_))), "{again:?}");
    assert_eq!(check(&registry, DEEP).await.1, []);
    registry.close().await;
    assert!(walk(&house.path().join("landfall/uploads")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_a_copy_of_a_data_folder_are_sources_too() {
    let house = House::new();
    let registry = house.open_with(rules()).await;
    let layers = [
        push_image(&registry, "team/app:1", 1, 300_000).await,
        push_image(&registry, "team/app:2", 2, 300_000).await,
    ];
    let copies = tempfile::tempdir().unwrap();
    registry
        .backup(copies.path(), None, |_| {}, &never())
        .await
        .unwrap();
    let stored = file_of(&house, &layers[1]);
    let below = stored.strip_prefix(house.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let to = data.path().join(below);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(&stored, &to).unwrap();
    for layer in &layers {
        std::fs::remove_file(file_of(&house, layer)).unwrap();
    }
    let here = FolderSource::named(data.path().to_str().unwrap()).unwrap();
    let run = registry
        .scrub_run(ScrubWanted::default(), Some(&*here), &never())
        .await
        .unwrap();
    assert_eq!((run.found, run.healed, run.not_healed), (2, 1, 1));
    let backup = FolderSource::named(copies.path().to_str().unwrap()).unwrap();
    let only_heal = ScrubWanted {
        sample: 0,
        rate: None,
    };
    let run = registry
        .scrub_run(only_heal, Some(&*backup), &never())
        .await
        .unwrap();
    assert_eq!((run.files, run.healed, run.not_healed), (0, 1, 0));
    assert_eq!(check(&registry, DEEP).await.1, []);
}
