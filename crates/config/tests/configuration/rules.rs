//! Rules about repositories and tags: what is written is what holds, and what cannot hold is refused where it is written.

use crate::harness::{file, nothing};

const RULES: &str = "\
retention:
  schedule: 30 3 * * sun
  rules:
    - name: pr-images
      match: team/**
      tags: [pr-*, 'tmp-?']
      keep_last: 10
      keep_newer: 14d
      keep_matching: [pr-keep-*, 'semver:>=1.2', 'regex:pr-[0-9]+-final']
      keep_pulled: 30d
      untagged: {older: 7d}
    - {name: all-stay, match: '**', untagged: keep}
quotas:
  - {match: team/, bytes: 20GB}
  - {match: '**', tags: 1000, bytes: 5GiB}
immutable_tags:
  - {match: '**', tags: [v*], except: [v*-rc*]}
";

#[test]
fn what_is_written_is_what_holds() {
    let settings = file(RULES).load_clean();
    let [rule, stay] = settings.retention.rules.as_slice() else {
        panic!("{:?}", settings.retention)
    };
    assert_eq!(settings.retention.schedule.unwrap().text(), "30 3 * * sun");
    assert!(rule.is_about("team/a/b") && rule.has_tag("pr-1") && !rule.has_tag("latest"));
    assert_eq!(
        (rule.spec().keep_last, rule.spec().keep_newer_seconds),
        (Some(10), Some(14 * 86_400))
    );
    assert!(stay.is_about("x") && !stay.is_about_tags());
    assert_eq!(settings.quotas[0].spec().bytes, Some(20_000_000_000));
    assert!(settings.quotas[0].is_about("team/x") && settings.quotas[1].is_about("other"));
    assert!(settings.immutable_tags[0].has_tag("v1") && !settings.immutable_tags[0].has_tag("v1-rc1"));
}

#[test]
fn without_rules_nothing_is_removed_or_forbidden() {
    let settings = nothing().load_clean();
    assert!(
        settings.retention.rules.is_empty()
            && settings.quotas.is_empty()
            && settings.immutable_tags.is_empty()
    );
    assert_eq!(settings.retention.schedule.unwrap().text(), "0 4 * * *");
}

#[test]
fn rules_come_by_variables_too() {
    let settings = nothing()
        .env("LANDFALL_QUOTAS__0__MATCH", "team/")
        .env("LANDFALL_QUOTAS__0__BYTES", "1GB")
        .env("LANDFALL_IMMUTABLE_TAGS", "[{match: '**', tags: [v*]}]")
        .load_clean();
    assert_eq!(settings.quotas[0].spec().bytes, Some(1_000_000_000));
    assert_eq!(settings.immutable_tags.len(), 1);
}

#[test]
fn a_broken_rule_is_shown_where_it_is_broken() {
    let never = "retention:\n  rules:\n    - name: pr\n      match: team/*\n      tags: [pr-*]\n      keep_matching: [release-*]\n";
    insta::assert_snapshot!(file(never).problems(), @r#"
    error[LF-CFG-014]: a rule of `retention` cannot be used, because of its `keep_matching`
     ┌─ /config.yml:6:23
    6│       keep_matching: [release-*]
     │                       ^^^^^^^^^ "release-*" keeps nothing: no tag matches it and `tags`
     = see `landfall config explain retention`
    "#);
    let all = file("retention:\n  rules:\n    - {name: all, match: '**'}\n").problems();
    assert!(
        all.contains("/config.yml:3:7") && all.contains("it would remove every tag"),
        "{all}"
    );
    let early = "gc: {lease: 48h}\nretention: {rules: [{name: u, match: '**', untagged: {older: 24h}}]}\n";
    let early = file(early).problems();
    assert!(
        early.contains("/config.yml:2:") && early.contains("172800 s"),
        "{early}"
    );
}

#[test]
fn what_can_never_match_or_means_nothing_is_refused() {
    let rule = |rest: &str| {
        file(&format!(
            "retention: {{rules: [{{name: a, match: '**', {rest}}}]}}"
        ))
    };
    for bad in [
        "keep_last: 0",
        "keep_last: many",
        "keep_newer: 0s",
        "keep_newer: 30",
        "keep_matching: ['semver:latest']",
        "keep_matching: ['regex:(']",
        "keep_matching: ['']",
        "keep_last: 1, tags: ['']",
        "keep_last: 1, tags: []",
        "keep_last: 1, tags: [a/b]",
        "keep_last: 1, tags: pr-*",
        "untagged: drop",
        "untagged: {older: 7}",
        "untagged: {younger: 7d}",
        "untagged: {older: 7d}, tags: [x]",
    ] {
        assert!(!rule(bad).codes().is_empty(), "{bad}");
    }
    for bad in [
        "retention: {schedule: daily}",
        "retention: {schedule: 0 0 30 2 *}",
        "retention: {rules: [{match: '**', keep_last: 1}]}",
        "retention: {rules: [{name: a, keep_last: 1}]}",
        "retention: {rules: [{name: a, match: Team/*, keep_last: 1}]}",
        "retention: {rules: [{name: a, match: a, keep_lst: 1}]}",
        "retention: {rules: {name: a}}",
        "quotas: [{match: a}]",
        "quotas: [{bytes: 1GB}]",
        "quotas: [{match: a/b/, bytes: 1GB}]",
        "quotas: [{match: a, bytes: 1 parsec}]",
        "quotas: [{match: a, tags: -1}]",
        "immutable_tags: [{match: a, tags: [v*], except: ['*']}]",
        "immutable_tags: [{tags: [v*]}]",
        "immutable_tags: [{match: a, tag: [v*]}]",
    ] {
        assert!(!file(bad).codes().is_empty(), "{bad}");
    }
}

#[test]
fn a_name_exists_once() {
    let twice =
        "retention: {rules: [{name: a, match: '**', keep_last: 1}, {name: a, match: b, keep_last: 1}]}";
    assert_eq!(file(twice).codes(), ["LF-CFG-013"]);
    assert_eq!(
        file("quotas: [{match: a, tags: 1}, {match: a, bytes: 1}]").codes(),
        ["LF-CFG-013"]
    );
}
