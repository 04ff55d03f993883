//! A run of retention removes what its dry run says, on any catalog and with any rules.

use super::*;

/// One rule out of small numbers, so that rules meet.
fn some_rule() -> impl Strategy<Value = RetentionSpec> {
    let tags = proptest::option::of(0..3_u8);
    let keeps = (
        proptest::option::of(1..4_u32),
        proptest::option::of(1..6_u64),
        proptest::option::of(0..3_u8),
        proptest::option::of(1..6_u64),
    );
    (tags, keeps, proptest::bool::ANY, 0..3_u8).prop_map(
        |(tags, (last, newer, matching, pulled), untagged, name)| RetentionSpec {
            name: format!("rule-{name}"),
            repositories: "**".to_owned(),
            tags: tags
                .map(|n| format!("{}*", ["a", "b", "c"][usize::from(n)]))
                .into_iter()
                .collect(),
            keep_last: last,
            keep_newer_seconds: newer.map(|days| days * 86_400),
            keep_matching: matching.map(|n| format!("*{n}")).into_iter().collect(),
            keep_pulled_seconds: pulled.map(|days| days * 86_400),
            untagged: untagged.then_some(Untagged::OlderSeconds(86_400)),
        },
    )
}

#[derive(Clone, Debug)]
enum Do {
    Push { tag: u8, number: u8, image: u8 },
    Index { tag: u8, of: u8 },
    Untag { tag: u8, number: u8 },
    Wait(i64),
    Collect,
}

fn some_step() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => (0..3_u8, 0..4_u8, 0..6_u8).prop_map(|(tag, number, image)| Do::Push { tag, number, image }),
        2 => (0..3_u8, 0..6_u8).prop_map(|(tag, of)| Do::Index { tag, of }),
        1 => (0..3_u8, 0..4_u8).prop_map(|(tag, number)| Do::Untag { tag, number }),
        3 => (1..50_i64).prop_map(|hours| Do::Wait(hours * HOUR)),
        2 => Just(Do::Collect),
    ]
}

async fn build(house: &House, registry: &Registry, steps: &[Do]) {
    let name = |tag: u8| ["a", "b", "c"][usize::from(tag)];
    for step in steps {
        match *step {
            Do::Push { tag, number, image } => {
                let config = push_in_parts(registry, "r", format!("{{\"n\":{image}}}").as_bytes())
                    .await
                    .unwrap();
                let at = format!("r:{}{number}", name(tag));
                push_manifest(registry, &at, crate::house::image(&config, &[]))
                    .await
                    .unwrap();
            }
            Do::Index { tag, of } => {
                let config = digest_of(format!("{{\"n\":{of}}}").as_bytes());
                let child = digest_of(&crate::house::image(&config, &[]));
                let index = serde_json::json!({
                    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                    "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child.to_string(), "size": 1}],
                });
                // Refused where the child is not there: fine.
                let _ = push_manifest(
                    registry,
                    &format!("r:{}i", name(tag)),
                    serde_json::to_vec(&index).unwrap(),
                )
                .await;
            }
            Do::Untag { tag, number } => {
                let reference = format!("{}{number}", name(tag)).parse().unwrap();
                let _ = registry.delete_manifest(&delete("r"), &reference).await;
            }
            Do::Wait(ms) => house.clock.advance(ms),
            Do::Collect => drop(registry.gc_run().await.unwrap()),
        }
    }
}

/// On any catalog and with any rules: a run removes exactly what the dry run says, in pages of any size; nothing that a
/// rule keeps goes; every image that a tag leads to is whole; and no more room is made than was said.
#[test]
fn a_dry_run_says_what_a_run_does() {
    let cases = std::env::var("PROPTEST_CASES").map_or(40, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = proptest::collection::vec(some_step(), 1..40);
    let specs = proptest::collection::vec(some_rule(), 1..4);
    let outcome = runner.run(&(steps, specs, 1..9_usize), |(steps, specs, page)| {
        let mut names = std::collections::BTreeSet::new();
        let made = specs.into_iter().filter(|spec| names.insert(spec.name.clone()));
        let made: Vec<_> = made
            .filter_map(|spec| RetentionRule::new(spec, 86_400).ok())
            .collect();
        runtime.block_on(async {
            let house = House::new();
            let written = WrittenRules {
                retention: made,
                ..WrittenRules::default()
            };
            let registry = house.open_with(rules(written)).await;
            build(&house, &registry, &steps).await;
            let before = plan(&registry, page).await;
            assert_eq!(
                going(&before),
                going(&plan(&registry, 1000).await),
                "pages change nothing"
            );
            let totals = registry.retention_totals(None).await.unwrap();
            let report = registry.retention_run(None, "bee").await.unwrap();
            assert_eq!((report.tags, report.changed), (totals.tags_removed, 0));
            for one in &before {
                let Some(tag) = &one.tag else {
                    let goes = matches!(one.verdict, Verdict::Goes(_));
                    assert_eq!(leads(&registry, &format!("r@{}", one.digest)).await, !goes);
                    continue;
                };
                let goes = matches!(one.verdict, Verdict::Goes(_));
                assert_eq!(leads(&registry, &format!("r:{tag}")).await, !goes, "{one:?}");
            }
            let stays: Vec<_> = before
                .iter()
                .filter(|one| !matches!(one.verdict, Verdict::Goes(_)))
                .collect();
            for _ in 0..12 {
                house.clock.advance(2 * DAY);
                registry.gc_run().await.unwrap();
            }
            for one in stays {
                assert!(
                    leads(&registry, &format!("r@{}", one.digest)).await,
                    "{one:?} was kept"
                );
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
