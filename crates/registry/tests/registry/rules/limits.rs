//! Immutable tags, quotas, and read-only by command.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn immutable_tags_are_refused_and_kept_by_retention() {
    let house = House::new();
    let all_go = RetentionSpec {
        keep_matching: vec!["none".into()],
        ..spec("all")
    };
    let registry = house.open_with(rules(retention([all_go]))).await;
    push_image(&registry, "a:v1", 1).await;
    let locked = ImmutableSpec {
        repositories: "**".into(),
        tags: vec!["v*".into()],
        except: vec![],
    };
    registry.set_immutable(&locked, "bee").await.unwrap();
    let config = push_in_parts(&registry, "a", b"{}").await.unwrap();
    let moved = push_manifest(&registry, "a:v1", image(&config, &[])).await;
    assert!(
        matches!(&moved, Err(Error::TagImmutable { rule, .. }) if &**rule == "**"),
        "{moved:?}"
    );
    // What is there already may be pushed again: a client that tries again must not fail.
    push_image(&registry, "a:v1", 1).await;
    push_image(&registry, "a:latest", 2).await;
    let latest = registry::MoveTo::Reference("latest".parse().unwrap());
    let rolled = registry
        .move_tag(&push("a"), &"v1".parse().unwrap(), latest, false)
        .await;
    assert!(matches!(rolled, Err(Error::TagImmutable { .. })), "{rolled:?}");
    let deleted = registry
        .delete_manifest(&delete("a"), &"v1".parse().unwrap())
        .await;
    assert!(matches!(deleted, Err(Error::TagImmutable { .. })));
    house.clock.advance(DAY);
    assert_eq!(
        registry.retention_run(None, "bee").await.unwrap().tags,
        1,
        "latest"
    );
    assert!(leads(&registry, "a:v1").await);
    registry
        .remove_policy(PolicyKind::Immutable, "**", "bee")
        .await
        .unwrap();
    assert_eq!(registry.retention_run(None, "bee").await.unwrap().tags, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_refuses_before_the_bytes_come_and_says_what_is_biggest() {
    let house = House::new();
    let quota = QuotaSpec {
        repositories: "team/".into(),
        bytes: Some(50_000),
        tags: None,
    };
    let written = WrittenRules {
        quotas: vec![QuotaRule::new(quota).unwrap()],
        ..WrittenRules::default()
    };
    let registry = house.open_with(rules(written)).await;
    push_image(&registry, "team/big:x", 1).await;
    push_image(&registry, "other/a:x", 1).await;
    let large = noise(9, 40_000);
    let refused = registry
        .push_blob(&push("team/b"), digest_of(&large), Some(40_000), body(&[]))
        .await;
    let Err(error @ Error::OverQuota(_)) = refused else {
        panic!("{refused:?}")
    };
    let words = error.to_string();
    assert!(
        words.contains("team/ may have 50.0 kB; 20.0 kB are used"),
        "{words}"
    );
    assert!(words.contains("biggest: team/big (20.0 kB)"), "{words}");
    // Without a length it is found out at the end, and nothing is left behind.
    let refused = registry
        .push_blob(&push("team/b"), digest_of(&large), None, body(&large))
        .await;
    assert!(matches!(refused, Err(Error::OverQuota(_))), "{refused:?}");
    // What the repository has already costs nothing, however full it is.
    let there = noise(1, 20_000);
    registry
        .push_blob(&push("team/big"), digest_of(&there), Some(20_000), body(&there))
        .await
        .unwrap();
    registry
        .push_blob(&push("other/a"), digest_of(&large), Some(40_000), body(&large))
        .await
        .unwrap();
    let session = registry
        .begin_upload(&push("team/b"), oci::Algorithm::Sha256)
        .await
        .unwrap();
    let chunk = registry::Chunk {
        at: None,
        length: Some(40_000),
    };
    let refused = registry
        .append(&push("team/b"), session.id, chunk, body(&large))
        .await;
    assert!(matches!(refused, Err(Error::OverQuota(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_by_command_holds_over_a_restart_and_ends_by_command() {
    let house = House::new();
    let registry = house.open().await;
    push_image(&registry, "a:x", 1).await;
    registry
        .set_mode(true, Some("moving the disks"), "bee")
        .await
        .unwrap();
    registry.close().await;
    drop(registry);
    let registry = house.open().await;
    let refused = push_in_parts(&registry, "a", b"more").await;
    let Err(error @ Error::ReadOnlyMode { .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(error.to_string().contains("moving the disks (bee)"), "{error}");
    assert!(leads(&registry, "a:x").await);
    assert!(matches!(
        registry.retention_run(None, "bee").await,
        Err(Error::ReadOnlyMode { .. })
    ));
    registry.set_mode(false, None, "bee").await.unwrap();
    push_in_parts(&registry, "a", b"more").await.unwrap();
    // The setting holds as well.
    registry.set_rules(Rules {
        read_only: true,
        ..Rules::default()
    });
    assert!(registry.mode().by_setting);
    assert!(matches!(
        push_in_parts(&registry, "a", b"much more").await,
        Err(Error::ReadOnly)
    ));
}
