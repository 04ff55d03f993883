//! Rules about repositories and tags: a dry run says what a run does, quotas say what is biggest, and read-only by command
//! holds over a restart.

mod agree;
mod limits;
mod quotas;
mod untagged;

use oci::{Digest, Reference};
use policy::{
    ImmutableSpec, QuotaRule, QuotaSpec, Reason, RetentionRule, RetentionSpec, Schedule, Untagged, Verdict,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registry::{
    Decision, Error, PolicyKind, Registry, RestoreWish, Restored, RuleError, Rules, WrittenRules,
};

use crate::house::{House, body, delete, digest_of, image, noise, pull, push, push_in_parts, push_manifest};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn rules(written: WrittenRules) -> Rules {
    Rules {
        gc_start_delay_ms: 0,
        written,
        ..Rules::default()
    }
}

fn spec(name: &str) -> RetentionSpec {
    RetentionSpec {
        name: name.to_owned(),
        repositories: "**".to_owned(),
        ..RetentionSpec::default()
    }
}

fn retention(specs: impl IntoIterator<Item = RetentionSpec>) -> WrittenRules {
    let rule = |spec| RetentionRule::new(spec, 86_400).unwrap();
    WrittenRules {
        schedule: Some(Schedule::new("0 4 * * *").unwrap()),
        retention: specs.into_iter().map(rule).collect(),
        ..WrittenRules::default()
    }
}

async fn push_image(registry: &Registry, at: &str, seed: u64) -> Digest {
    let (repository, _) = at.split_once([':', '@']).unwrap();
    let layer = push_in_parts(registry, repository, &noise(seed, 20_000))
        .await
        .unwrap();
    let config = push_in_parts(registry, repository, format!("{{\"n\":{seed}}}").as_bytes())
        .await
        .unwrap();
    push_manifest(registry, at, image(&config, &[layer]))
        .await
        .unwrap()
}

async fn leads(registry: &Registry, at: &str) -> bool {
    let (repository, reference) = at.split_once([':', '@']).unwrap();
    registry
        .stat_manifest(&pull(repository), &reference.parse::<Reference>().unwrap())
        .await
        .is_ok()
}

/// Everything that a run would do and leave, page by page.
async fn plan(registry: &Registry, page: usize) -> Vec<Decision> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let step = registry.retention_plan(None, next, page).await.unwrap();
        all.extend(step.decisions);
        match step.next {
            None => return all,
            // As it travels through the API.
            Some(cursor) => {
                next = Some(serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap());
            }
        }
    }
}

fn going(decisions: &[Decision]) -> Vec<String> {
    let goes = decisions
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Goes(_)));
    goes.map(|one| match &one.tag {
        Some(tag) => format!("{}:{tag}", one.repository),
        None => format!("{}@{}", one.repository, one.digest),
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_what_the_dry_run_said_and_it_can_be_undone() {
    let house = House::new();
    let written = retention([RetentionSpec {
        tags: vec!["pr-*".into()],
        keep_last: Some(1),
        untagged: Some(Untagged::OlderSeconds(2 * 86_400)),
        ..spec("pr")
    }]);
    let registry = house.open_with(rules(written)).await;
    let old = push_image(&registry, "a:pr-1", 1).await;
    house.clock.advance(HOUR);
    push_image(&registry, "a:pr-2", 2).await;
    push_image(&registry, "a:main", 3).await;
    let loose = push_image(
        &registry,
        &format!("a@{}", {
            let layer = digest_of(&noise(4, 20_000));
            let config = digest_of(b"{\"n\":4}");
            digest_of(&image(&config, &[layer]))
        }),
        4,
    )
    .await;
    let page = plan(&registry, 1).await;
    assert_eq!(going(&page), ["a:pr-1"]);
    let reasons: Vec<_> = page.iter().map(|one| one.verdict.clone()).collect();
    assert!(
        matches!(
            &reasons[..],
            [.., Verdict::Goes(_), Verdict::Stays(Reason::Young { .. })]
        ) && reasons.contains(&Verdict::NoRule),
        "{reasons:?}"
    );
    for _ in 0..4 {
        house.clock.advance(DAY);
        registry.gc_run().await.unwrap();
    }
    assert_eq!(
        going(&plan(&registry, 7).await),
        ["a:pr-1".to_owned(), format!("a@{loose}")]
    );
    let totals = registry.retention_totals(None).await.unwrap();
    assert_eq!(
        (totals.tags_examined, totals.tags_removed, totals.untagged_removed),
        (3, 1, 1)
    );
    assert_eq!((totals.freed.manifests, totals.freed.bytes), (2, 2 * 20_007));
    let report = registry.retention_run(None, "bee").await.unwrap();
    assert_eq!(
        (report.repositories, report.tags, report.manifests, report.changed),
        (1, 1, 2, 0)
    );
    assert!(!leads(&registry, "a:pr-1").await && !leads(&registry, &format!("a@{loose}")).await);
    assert!(
        leads(&registry, &format!("a@{old}")).await,
        "until its lease ends"
    );
    assert_eq!(going(&plan(&registry, 7).await), Vec::<String>::new());
    let history = registry.retention_history(None, 10).await.unwrap();
    assert_eq!(
        (history[0].actor.as_deref(), history[0].outcome.tags),
        (Some("bee"), 1)
    );
    for _ in 0..10 {
        house.clock.advance(DAY);
        registry.gc_run().await.unwrap();
    }
    assert!(!leads(&registry, &format!("a@{old}")).await);
    assert!(leads(&registry, "a:main").await && leads(&registry, "a:pr-2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_counts_what_follows_as_the_dry_run_does() {
    let house = House::new();
    let written = retention([RetentionSpec {
        keep_last: Some(1),
        ..spec("last")
    }]);
    let registry = house.open_with(rules(written)).await;
    let child = push_image(&registry, "a:child", 1).await;
    for tag in ["one", "two"] {
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"n": tag},
            "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child.to_string(), "size": 1}],
        });
        push_manifest(
            &registry,
            &format!("a:{tag}"),
            serde_json::to_vec(&index).unwrap(),
        )
        .await
        .unwrap();
    }
    house.clock.advance(HOUR);
    push_image(&registry, "a:new", 2).await;
    let totals = registry.retention_totals(None).await.unwrap();
    assert_eq!((totals.tags_removed, totals.freed.manifests), (3, 3));
    let report = registry.retention_run(None, "bee").await.unwrap();
    assert_eq!((report.tags, report.manifests, report.following), (3, 3, 3));
    let history = registry.retention_history(None, 1).await.unwrap();
    assert_eq!(history[0].outcome.manifests, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_took_is_in_the_trash_with_its_name_and_comes_back() {
    let house = House::new();
    let written = retention([RetentionSpec {
        keep_last: Some(1),
        ..spec("short")
    }]);
    let registry = house.open_with(rules(written)).await;
    for (seed, tag) in [(1, "a:one"), (2, "a:two"), (3, "a:three")] {
        push_image(&registry, tag, seed).await;
        house.clock.advance(HOUR);
    }
    registry.retention_run(None, "bee").await.unwrap();
    house.clock.advance(2 * DAY);
    registry.gc_run().await.unwrap();
    let everything = access::Caller::anybody().may_list_catalog();
    let trash = registry
        .list_trash(&everything, None, None, 10)
        .await
        .unwrap()
        .items;
    let targets: Vec<&str> = trash.iter().map(|entry| entry.target.as_str()).collect();
    assert!(
        targets.len() == 2 && targets.contains(&"one") && targets.contains(&"two"),
        "{targets:?}"
    );
    for entry in trash {
        assert_eq!(entry.reason.as_deref(), Some("retention run 1, rule short"));
        let wish = RestoreWish::default();
        let restored = registry.restore(&push("a"), entry.op, wish, None).await.unwrap();
        assert!(matches!(restored, Restored::Done { .. }), "{restored:?}");
        assert!(leads(&registry, &format!("a:{}", entry.target)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_runs_it_once_and_not_while_the_clock_is_in_doubt() {
    let house = House::new();
    let written = retention([RetentionSpec {
        keep_newer_seconds: Some(3 * 86_400),
        ..spec("new")
    }]);
    let registry = house.open_with(rules(written)).await;
    push_image(&registry, "a:x", 1).await;
    assert_eq!(
        registry.retention_when_due().await.unwrap(),
        None,
        "not yet four o'clock"
    );
    house.clock.advance(DAY);
    let first = registry.retention_when_due().await.unwrap().unwrap();
    assert_eq!((first.repositories, first.tags), (1, 0));
    assert_eq!(registry.retention_when_due().await.unwrap(), None);
    // Somebody sets the clock a year ahead: everything would be old.
    house.clock.set(365 * DAY);
    assert_eq!(registry.retention_when_due().await.unwrap(), None);
    assert!(matches!(
        registry.retention_run(None, "bee").await,
        Err(Error::RetentionWaits(_))
    ));
    assert!(leads(&registry, "a:x").await);
    house.clock.set(-365 * DAY);
    registry.gc_run().await.unwrap();
    registry.gc_resume().await.unwrap();
    house.clock.advance(DAY);
    assert_eq!(registry.retention_when_due().await.unwrap().unwrap().tags, 0);
    house.clock.advance(3 * DAY);
    assert_eq!(registry.retention_when_due().await.unwrap().unwrap().tags, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_something_needs_stays_whatever_the_rules_say() {
    let house = House::new();
    let all_go = RetentionSpec {
        keep_matching: vec!["nothing-is-called-so".into()],
        untagged: Some(Untagged::OlderSeconds(86_400)),
        ..spec("all")
    };
    let registry = house.open_with(rules(retention([all_go]))).await;
    let child = push_image(&registry, "a:child", 1).await;
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child.to_string(), "size": 1}],
    });
    push_manifest(
        &registry,
        "a:nothing-is-called-so",
        serde_json::to_vec(&index).unwrap(),
    )
    .await
    .unwrap();
    let hex = child.to_string().replace(':', "-");
    push_image(&registry, &format!("a:{hex}.sig"), 2).await;
    house.clock.advance(DAY);
    let report = registry.retention_run(None, "bee").await.unwrap();
    assert_eq!(
        (report.tags, report.manifests),
        (1, 0),
        "the tag of the child alone"
    );
    for _ in 0..20 {
        house.clock.advance(DAY);
        registry.gc_run().await.unwrap();
        registry.retention_run(None, "bee").await.unwrap();
    }
    assert!(leads(&registry, &format!("a@{child}")).await && leads(&registry, &format!("a:{hex}.sig")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_by_command_hold_beside_those_of_the_file_and_over_a_restart() {
    let house = House::new();
    let of_file = || {
        rules(retention([RetentionSpec {
            keep_last: Some(1),
            ..spec("file")
        }]))
    };
    let registry = house.open_with(of_file()).await;
    let mine = RetentionSpec {
        keep_last: Some(5),
        ..spec("mine")
    };
    assert!(registry.set_retention(&mine, "bee").await.unwrap());
    assert!(!registry.set_retention(&mine, "bee").await.unwrap());
    let taken = RetentionSpec {
        keep_last: Some(5),
        ..spec("file")
    };
    assert!(matches!(
        registry.set_retention(&taken, "bee").await,
        Err(Error::Rule(RuleError::OfFile(_)))
    ));
    let bad = RetentionSpec {
        untagged: Some(Untagged::OlderSeconds(60)),
        ..spec("bad")
    };
    assert!(matches!(
        registry.set_retention(&bad, "bee").await,
        Err(Error::Rule(RuleError::Bad(_)))
    ));
    registry.close().await;
    drop(registry);
    let registry = house.open_with(of_file()).await;
    let names: Vec<_> = registry
        .retention_rules()
        .into_iter()
        .map(|rule| rule.name)
        .collect();
    assert_eq!(names, ["file", "mine"]);
    for (name, error) in [
        ("file", RuleError::OfFile("file".into())),
        ("none", RuleError::Unknown("none".into())),
    ] {
        match registry.remove_policy(PolicyKind::Retention, name, "bee").await {
            Err(Error::Rule(found)) => assert_eq!(found, error),
            other => panic!("{other:?}"),
        }
    }
    registry
        .remove_policy(PolicyKind::Retention, "mine", "bee")
        .await
        .unwrap();
    assert_eq!(registry.retention_rules().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tag_goes_while_a_rule_cannot_be_used() {
    let house = House::new();
    let registry = house.open_with(rules(WrittenRules::default())).await;
    let short = RetentionSpec {
        keep_last: Some(1),
        untagged: Some(Untagged::OlderSeconds(86_400)),
        ..spec("mine")
    };
    registry.set_retention(&short, "bee").await.unwrap();
    // A longer lease makes `older` too short.
    registry.set_rules(Rules {
        lease_ms: 2 * DAY,
        ..rules(WrittenRules::default())
    });
    assert!(registry.retention_rules()[0].ignored.is_some());
    let broken = registry.retention_run(None, "bee").await;
    assert!(
        matches!(broken, Err(Error::Rule(RuleError::Broken(..)))),
        "{broken:?}"
    );
}
