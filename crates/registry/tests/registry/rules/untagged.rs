//! Untagged manifests are seen from the first second of a server, and the schedule says for what it waits.

use registry::{Clock as _, GcWait};

use super::*;

const MINUTE: i64 = 60 * 1000;

fn untagged(days: u64) -> WrittenRules {
    retention([RetentionSpec {
        untagged: Some(Untagged::OlderSeconds(days * 86_400)),
        ..spec("leftovers")
    }])
}

async fn push_untagged(registry: &Registry, seed: u64) -> Digest {
    let config = digest_of(format!("{{\"n\":{seed}}}").as_bytes());
    let image = digest_of(&image(&config, &[digest_of(&noise(seed, 20_000))]));
    push_image(registry, &format!("a@{image}"), seed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_reviewed_yet_is_seen_and_what_stays_is_told() {
    let house = House::new();
    let registry = house.open_with(rules(untagged(2))).await;
    let old = push_untagged(&registry, 1).await;
    house.clock.advance(2 * DAY);
    let young = push_untagged(&registry, 2).await;
    house.clock.advance(HOUR);
    // The collector has not looked at either.
    let told = plan(&registry, 1).await;
    let told: Vec<_> = told
        .iter()
        .map(|one| (one.digest.clone(), one.verdict.clone()))
        .collect();
    let rule = "leftovers".to_owned();
    assert_eq!(
        told,
        [
            (old.clone(), Verdict::Goes(vec![rule.clone()])),
            (young.clone(), Verdict::Stays(Reason::Young { rule })),
        ]
    );
    let totals = registry.retention_totals(None).await.unwrap();
    assert_eq!((totals.untagged_removed, totals.freed.manifests), (1, 1));
    let report = registry.retention_run(None, "bee").await.unwrap();
    assert_eq!((report.manifests, report.following, report.changed), (1, 0, 0));
    assert!(!leads(&registry, &format!("a@{old}")).await && leads(&registry, &format!("a@{young}")).await);
    let pulled = registry.manifest(&pull("a"), &Reference::Digest(old)).await;
    let gone = pulled.err().unwrap();
    assert!(
        gone.to_string()
            .contains("was removed by retention rule leftovers"),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_keeps_for_good_is_told_with_its_reason() {
    let house = House::new();
    let written = retention([RetentionSpec {
        untagged: Some(Untagged::Keep),
        ..spec("all")
    }]);
    let registry = house.open_with(rules(written)).await;
    push_untagged(&registry, 1).await;
    house.clock.advance(30 * DAY);
    let told = plan(&registry, 10).await;
    assert!(
        matches!(&told[..], [one] if matches!(one.verdict, Verdict::Stays(Reason::Untagged { .. }))),
        "{told:?}"
    );
    assert_eq!(registry.retention_run(None, "bee").await.unwrap().manifests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_schedule_waits_it_says_until_when_and_why() {
    let house = House::new();
    let registry = house.open_with(rules(untagged(2))).await;
    house.clock.advance(DAY);
    registry.retention_when_due().await.unwrap().unwrap();
    let next = registry.retention_next().await.unwrap();
    assert!(next.at.is_some() && next.waits.is_none(), "{next:?}");
    registry.close().await;
    drop(registry);
    // A run is missed, and the server has just started.
    house.clock.advance(2 * DAY);
    let slow = Rules {
        gc_start_delay_ms: 10 * MINUTE,
        ..rules(untagged(2))
    };
    let registry = house.open_with(slow).await;
    assert_eq!(registry.retention_when_due().await.unwrap(), None);
    let next = registry.retention_next().await.unwrap();
    let until = house.clock.now_ms() + 10 * MINUTE;
    assert_eq!(
        (next.at, next.waits),
        (Some(until), Some(GcWait::Started { until }))
    );
    house.clock.advance(10 * MINUTE);
    assert!(registry.retention_when_due().await.unwrap().is_some());
    registry.set_rules(Rules {
        read_only: true,
        ..rules(untagged(2))
    });
    let next = registry.retention_next().await.unwrap();
    assert_eq!((next.at, next.waits), (None, Some(GcWait::ReadOnly)));
}
