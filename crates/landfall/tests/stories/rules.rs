//! Rules about repositories and tags: retention with its dry run, quotas, immutable tags, and read-only mode.
//!
//! Source: docs/retention.md, docs/limits.md.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Image, Landfall};

const REPO: &str = "team/app";

fn message(answer: &crate::harness::Response, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{answer}");
    let json = answer.json();
    assert_eq!(json["errors"][0]["code"], code, "{answer}");
    json["errors"][0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_rule_is_tried_before_it_is_applied_and_a_run_does_what_was_said() {
    let landfall = Landfall::start();
    for (number, tag) in ["pr-1", "pr-2", "pr-3", "main"].into_iter().enumerate() {
        let image = Image::new(tag).layer(vec![u8::try_from(number).unwrap(); 30_000]);
        landfall.push(REPO, tag, &image);
    }
    let made = landfall.done(&[
        "retention",
        "set",
        "team/**",
        "--name",
        "pr-images",
        "--tags",
        "pr-*",
        "--keep-last",
        "1",
    ]);
    assert!(
        made.contains("rule pr-images is made") && made.contains("dry-run"),
        "{made}"
    );
    let plan = landfall.done(&["retention", "dry-run", REPO]);
    for line in [
        "goes   team/app:pr-1  pr-images",
        "stays  team/app:pr-3  pr-images: number 1 of the last 1",
        "stays  team/app:main  no rule is about it",
    ] {
        assert!(plan.contains(line), "{line} in\n{plan}");
    }
    let plan = landfall.done_json(&["retention", "dry-run"]);
    assert_eq!(
        (&plan["totals"]["tags_examined"], &plan["totals"]["tags_removed"]),
        (&4.into(), &2.into()),
        "{plan}"
    );
    assert!(
        plan["totals"]["bytes_freed"].as_u64().unwrap() >= 60_000,
        "{plan}"
    );
    // Nobody said yes.
    let asked = landfall.does(&["retention", "run"]);
    assert!(
        asked.code == Some(2) && asked.stderr.contains("goes  team/app:pr-2"),
        "{asked:?}"
    );
    assert_eq!(landfall.tags(REPO).len(), 4);
    let run = landfall.done_json(&["retention", "run", "--yes"]);
    assert_eq!((&run["tags"], &run["manifests"]), (&2.into(), &2.into()), "{run}");
    assert_eq!(landfall.tags(REPO), ["main", "pr-3"]);
    let history = landfall.done_json(&["retention", "history"]);
    assert_eq!(history["items"][0]["tags"], 2);
    assert!(
        history["items"][0]["actor"]
            .as_str()
            .unwrap()
            .starts_with("local:"),
        "{history}"
    );
    let again = landfall.done(&["retention", "dry-run", REPO]);
    assert!(again.contains("0 of 2 tags"), "{again}");
}

#[test]
fn rules_of_the_file_and_rules_by_command_are_listed_together() {
    let config = "retention: {rules: [{name: of-file, match: '**', keep_last: 5}]}\n";
    let landfall = Landfall::builder().config(config).start();
    landfall.done(&[
        "retention",
        "set",
        "a/*",
        "--keep-newer",
        "30d",
        "--untagged",
        "14d",
    ]);
    let list = landfall.done(&["retention", "list"]);
    assert!(list.contains("of-file") && list.contains("the file"), "{list}");
    assert!(
        list.contains("newer than 30d, untagged for 14d") && list.contains("local:"),
        "{list}"
    );
    assert!(list.contains("schedule 0 4 * * * (UTC), next run in"), "{list}");
    let landfall = landfall.restart();
    assert!(landfall.done(&["retention", "show", "a"]).contains("a/*"));
    for (args, code, words) in [
        (
            &["retention", "rm", "of-file"][..],
            6,
            "configuration file: change or remove it there",
        ),
        (&["retention", "set", "a", "--keep-last", "1"], 6, "--name"),
        (
            &["retention", "set", "x", "--name", "of-file", "--keep-last", "1"],
            6,
            "configuration file",
        ),
        (&["retention", "rm", "nothing"], 5, "nothing"),
        (&["retention", "show", "nothing"], 5, "nothing"),
        (&["retention", "set", "x"], 2, "keeps nothing"),
        (
            &["retention", "set", "Team/*", "--keep-last", "1"],
            2,
            "lower-case",
        ),
        (
            &["retention", "set", "x", "--keep-matching", "regex:("],
            2,
            "regular expression",
        ),
        (&["retention", "set", "x", "--untagged", "1h"], 2, "gc.lease"),
        (
            &["retention", "set", "x", "--keep-newer", "30"],
            2,
            "expected a time",
        ),
        (&["retention", "dry-run", "no/where"], 5, "no/where"),
        (&["quota", "set", "x"], 2, "limits nothing"),
        (&["quota", "rm", "x"], 5, "x"),
        (
            &["immutable", "set", "x", "--tags", "v*", "--except", "v*"],
            2,
            "matches nothing",
        ),
    ] {
        let refused = landfall.does(args);
        assert!(
            refused.code == Some(code) && refused.stderr.contains(words),
            "{args:?}: {refused:?}"
        );
    }
    landfall.done(&["retention", "rm", "a"]);
    assert_eq!(
        landfall.done_json(&["retention", "list"])["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_broken_rule_in_the_file_stops_the_start_and_a_reload_keeps_the_old_ones() {
    let good = "immutable_tags: [{match: '**', tags: [v*]}]\n";
    let builder = Landfall::builder().config(good);
    let landfall = builder.start();
    landfall.push(REPO, "v1", &Image::new("one"));
    builder.file(
        "landfall.yaml",
        "immutable_tags: [{match: '**', tags: [v*], except: ['*']}]\n",
    );
    let pid = i32::try_from(landfall.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    landfall.log().expect_line(&["the old one stays in force"]);
    assert_eq!(landfall.delete_manifest(REPO, "v1").status, 403);
    let builder = landfall.stop();
    builder
        .start_refused()
        .expect_invalid_configuration(&["landfall.yaml:1:", "excepts every tag"]);
}

#[test]
fn an_immutable_tag_is_set_once() {
    let landfall = Landfall::start();
    let (first, second) = (Image::new("first"), Image::new("second"));
    landfall.push(REPO, "v1", &first);
    landfall.done(&["immutable", "set", "**", "--tags", "v*", "--except", "v*-rc*"]);
    landfall.push_blobs(REPO, &second);
    let refused = landfall.put_manifest(REPO, "v1", &second.manifest());
    let said = message(&refused, 403, "DENIED");
    assert!(
        said.contains("tag v1 is immutable") && said.contains(&first.manifest().digest()),
        "{said}"
    );
    let said = message(&landfall.delete_manifest(REPO, "v1"), 403, "DENIED");
    assert!(said.contains("immutable"), "{said}");
    let said = message(
        &landfall.delete_manifest(REPO, &first.manifest().digest()),
        403,
        "DENIED",
    );
    assert!(said.contains("v1"), "{said}");
    // The same image again is no change, and other tags are free.
    landfall.push(REPO, "v1", &first);
    landfall.push(REPO, "v2-rc1", &first);
    landfall.push(REPO, "v2-rc1", &second);
    landfall.expect_image(REPO, "v1", &first);
    assert!(landfall.done(&["immutable", "list"]).contains("v*-rc*"));
    let kept = landfall.does(&["tag", "delete", &format!("{REPO}:v1"), "--yes"]);
    assert!(
        kept.code == Some(6) && kept.stderr.contains("landfall immutable rm '**'"),
        "{kept:?}"
    );
    // Nor does it go with its repository, or by way of another name; a look says so too.
    for args in [
        &["repo", "delete", REPO, "--dry-run"][..],
        &["repo", "delete", REPO, "--yes"],
    ] {
        let kept = landfall.does(args);
        assert!(
            kept.code == Some(6) && kept.stderr.contains("must stay as") && kept.stderr.contains("v1"),
            "{kept:?}"
        );
    }
    landfall.done(&[
        "immutable",
        "set",
        "team/**",
        "--tags",
        "v*",
        "--except",
        "v*-rc*",
    ]);
    landfall.done(&["immutable", "rm", "**"]);
    for how in ["--dry-run", "--yes"] {
        let kept = landfall.does(&["repo", "rename", REPO, "free/app", how]);
        assert!(
            kept.code == Some(6) && kept.stderr.contains("landfall immutable rm"),
            "{kept:?}"
        );
    }
    landfall.done(&["repo", "rename", REPO, "team/other", "--yes"]);
    landfall.done(&["repo", "rename", "team/other", REPO, "--yes"]);
    landfall.done(&["immutable", "rm", "team/**"]);
    landfall
        .log()
        .expect_line(&["a rule was removed", "team/**", "local:"]);
    landfall.push(REPO, "v1", &second);
}

#[test]
fn over_quota_a_push_is_told_what_is_used_and_what_is_biggest() {
    let config = "quotas: [{match: team/, bytes: 100kB}, {match: 'small/*', tags: 2}]\n";
    let landfall = Landfall::builder().config(config).start();
    landfall.push(REPO, "big", &Image::new("big").layer(vec![1; 80_000]));
    let location = landfall.begin_upload("team/other");
    let refused = landfall.patch(&location).body(vec![2; 40_000]).send();
    let said = message(&refused, 403, "DENIED");
    for words in [
        "over quota: all of team/ may have 100.0 kB",
        "needs 40.0 kB more",
        "biggest: team/app (80.",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(refused.json()["errors"][0]["detail"]["limit"], 100_000);
    landfall.push("elsewhere/app", "x", &Image::new("free").layer(vec![2; 40_000]));
    let image = Image::new("small");
    for tag in ["pr-1", "pr-2"] {
        landfall.push("small/app", tag, &image);
    }
    let said = message(
        &landfall.put_manifest("small/app", "pr-3", &image.manifest()),
        403,
        "DENIED",
    );
    assert!(
        said.contains("may have 2 tags; 2 tags are used") && said.contains("pr-* (2 tags)"),
        "{said}"
    );
    landfall.delete_manifest("small/app", "pr-1").expect(202);
    landfall.push("small/app", "pr-3", &image);
    let moved = landfall.does(&["tag", "set", "small/app:zz", "pr-2"]);
    assert!(moved.stderr.contains("biggest: pr-* (2 tags)"), "{moved:?}");
    let list = landfall.done(&["quota", "list"]);
    assert!(
        list.contains("100.0 kB") && list.contains("2 in small/app"),
        "{list}"
    );
    let json = landfall.done_json(&["quota", "list"]);
    assert_eq!(json["items"][0]["used"]["tags_in"], "small/app");
    landfall.done(&["repo", "delete", REPO, "--yes"]);
    assert!(landfall.done(&["du"]).contains("deleted repositories  80."));
    assert!(landfall.done(&["gc", "status"]).contains("deleted repositories"));
    let renamed = landfall.does(&["repo", "rename", "elsewhere/app", "team/more", "--yes"]);
    assert!(
        renamed.stderr.contains("biggest: deleted team/app (80."),
        "{renamed:?}"
    );
}

#[test]
fn a_limit_that_is_not_given_stays() {
    let landfall = Landfall::start();
    landfall.done(&["quota", "set", "qq", "--bytes", "5MB"]);
    let said = landfall.done(&["quota", "set", "qq", "--tags", "3"]);
    assert_eq!(said, "the quota of qq is changed: 5.0 MB, 3 tags\n");
    let list = landfall.done_json(&["quota", "list"]);
    assert_eq!(
        list["items"][0]["rule"]["quota"],
        serde_json::json!({"match": "qq", "bytes": 5_000_000, "tags": 3})
    );
    assert_eq!(landfall.does(&["quota", "set", "qq"]).code, Some(2));
}

#[test]
fn read_only_by_command_says_why_and_outlives_a_restart() {
    let landfall = Landfall::start();
    let image = Image::new("there");
    landfall.push(REPO, "x", &image);
    assert_eq!(landfall.done(&["mode"]), "read-write\n");
    let said = landfall.done(&["mode", "read-only", "--reason", "moving to new disks"]);
    assert!(
        said.contains("read-only, by local:") && said.contains("moving to new disks"),
        "{said}"
    );
    let landfall = landfall.restart();
    let said = message(
        &landfall.post(&format!("/v2/{REPO}/blobs/uploads/")).send(),
        405,
        "UNSUPPORTED",
    );
    assert!(
        said.contains("read-only") && said.contains("moving to new disks"),
        "{said}"
    );
    assert_eq!(landfall.delete_manifest(REPO, "x").status, 405);
    landfall.expect_image(REPO, "x", &image);
    let run = landfall.does(&["retention", "run", "--yes"]);
    assert!(
        run.code == Some(6) && run.stderr.contains("moving to new disks"),
        "{run:?}"
    );
    assert_eq!(landfall.done(&["mode", "read-write"]), "read-write\n");
    landfall.push(REPO, "y", &image);
    for args in [
        &["mode", "read-write", "--reason", "x"][..],
        &["mode", "readonly"],
        &["mode", "--reason", "x"],
    ] {
        assert_eq!(landfall.does(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn the_api_pages_its_lists_and_refuses_what_it_does_not_know() {
    let landfall = Landfall::start();
    for tag in ["a", "b", "c"] {
        landfall.push(REPO, tag, &Image::new(tag));
    }
    let rule = r#"{"retention": {"name": "all", "match": "**", "keep_last": 1}}"#;
    assert_eq!(landfall.admin("POST", "/api/v1/policies", rule).status, 200);
    let (mut path, mut tags) = ("/api/v1/retention/dry-run?limit=1".to_owned(), Vec::new());
    loop {
        let page = landfall.admin("GET", &path, "").json();
        assert_eq!(page["schema"], "landfall.retention.plan/1");
        tags.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["tag"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/retention/dry-run?limit=1&after={next}"),
            None => break,
        }
    }
    tags.sort();
    assert_eq!(tags, ["a", "b", "c"]);
    for (method, target, body) in [
        (
            "POST",
            "/api/v1/policies",
            r#"{"retention": {"name": "x", "match": "**", "keep_lst": 1}}"#,
        ),
        ("POST", "/api/v1/policies", r#"{"unknown": {}}"#),
        ("POST", "/api/v1/policies", "{}"),
        ("GET", "/api/v1/policies?kind=x", ""),
        ("GET", "/api/v1/retention/dry-run?after=x", ""),
        ("GET", "/api/v1/retention/dry-run?repository=A", ""),
        ("POST", "/api/v1/mode", r#"{"reason": "x"}"#),
        ("POST", "/api/v1/mode", r#"{"read_only": false, "reason": "x"}"#),
    ] {
        let message = landfall
            .admin(method, target, body)
            .expect_problem(400, "LF-API-001");
        assert!(!message.is_empty(), "{method} {target} {body}");
    }
    landfall
        .admin("DELETE", "/api/v1/policies/retention/none", "")
        .expect_problem(404, "LF-API-011");
    assert_eq!(
        landfall
            .admin("DELETE", "/api/v1/policies/retention/all", "")
            .status,
        200
    );
}
