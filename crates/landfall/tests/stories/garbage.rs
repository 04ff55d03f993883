//! Garbage goes by itself. Whoever wonders sees what waits and until when, hurries it, or makes it wait.
//!
//! Source: docs/space.md.

use crate::harness::{Image, Landfall, wait_until};

/// A server whose collector works from its first second on.
fn collecting() -> Landfall {
    Landfall::start()
}

#[test]
fn what_was_deleted_is_seen_waiting_and_until_when() {
    let landfall = collecting();
    let image = Image::new("deleted").layer(vec![7; 100_000]);
    let manifest = landfall.push("team/app", "v1", &image);
    let bytes: usize = image.blobs.iter().map(Vec::len).sum();
    let before = landfall.done_json(&["gc", "status"]);
    assert_eq!(before["schema"], "landfall.gc.status/1");
    assert_eq!(before["pending"]["trash"]["count"], 0);
    assert_eq!(before["pending"]["trash"]["gone_by"], serde_json::Value::Null);
    landfall
        .delete_manifest("team/app", &manifest.digest())
        .expect(202);
    let after = landfall.done_json(&["gc", "status"]);
    let trash = &after["pending"]["trash"];
    assert_eq!(trash["count"], 1);
    assert_eq!(trash["bytes"], bytes);
    let at = |key: &str| trash[key].as_str().unwrap().to_owned();
    assert!(
        at("first_at") < at("gone_by") && at("gone_by").ends_with('Z'),
        "{trash}"
    );
    let text = landfall.done(&["gc", "status"]);
    assert!(
        text.contains("trash") && text.contains("in 7 d") && text.contains("in 9 d"),
        "{text}"
    );
    assert!(text.contains("the server has just started"), "{text}");
}

#[test]
fn a_pause_is_known_by_who_asked_for_it_and_ends_on_request() {
    let landfall = collecting();
    assert_eq!(landfall.done(&["gc", "resume"]), "there was no pause\n");
    let paused = landfall.done(&["gc", "pause"]);
    assert!(paused.contains("landfall gc resume"), "{paused}");
    // Over a restart too.
    let landfall = landfall.restart();
    let run = landfall.done_json(&["gc", "run"]);
    assert_eq!(run["schema"], "landfall.gc.run/1");
    assert_eq!(run["waiting"]["reason"], "paused");
    assert!(
        run["waiting"]["by"].as_str().unwrap().starts_with("local:"),
        "{run}"
    );
    assert_eq!(landfall.done(&["gc", "resume"]), "collection goes on\n");
    assert_eq!(landfall.done_json(&["gc", "resume"])["was_paused"], false);
    wait_until("the collector has had a look", || {
        landfall.done_json(&["gc", "status"])["waiting"]["reason"] == "started"
    });
}

#[test]
fn who_needs_space_at_once_ends_the_trash_of_a_repository_after_a_plan_and_a_yes() {
    let landfall = collecting();
    let (image, other) = (Image::new("gone"), Image::new("stays"));
    let bytes: usize = image.blobs.iter().map(Vec::len).sum();
    for (repo, one) in [("team/app", &image), ("other", &other)] {
        let manifest = landfall.push(repo, "v1", one);
        landfall.delete_manifest(repo, &manifest.digest()).expect(202);
    }
    let plan = landfall.done(&["gc", "run", "--urgent", "team/app", "--dry-run"]);
    assert!(
        plan.contains("team/app: 1 manifest in the trash could never be restored"),
        "{plan}"
    );
    let plan = landfall.done_json(&["gc", "run", "--urgent", "team/app", "--dry-run"]);
    assert_eq!(
        (&plan["urgent"][0]["bytes"], &plan["purged"]),
        (&bytes.into(), &0.into())
    );
    // Nobody said yes.
    let asked = landfall.does(&["gc", "run", "--urgent", "team/app"]);
    assert!(
        asked.code == Some(2) && asked.stderr.contains("--yes"),
        "{asked:?}"
    );
    assert!(
        asked.stderr.contains("could never be restored"),
        "the plan comes first: {asked:?}"
    );
    // A name that is not there ends nothing anywhere.
    let unknown = landfall.does(&["gc", "run", "--urgent", "team/app", "no/such", "--yes"]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
    landfall.done(&["gc", "pause"]);
    let paused = landfall.does(&["gc", "run", "--urgent", "team/app", "--yes"]);
    assert!(
        paused.code == Some(6) && paused.stderr.contains("paused by local:"),
        "{paused:?}"
    );
    landfall.done(&["gc", "resume"]);
    assert_eq!(
        landfall.done_json(&["gc", "status"])["pending"]["trash"]["count"],
        2
    );
    let ended = landfall.done_json(&["gc", "run", "--urgent", "team/app", "--yes"]);
    assert_eq!(ended["purged"], 1);
    let status = landfall.done_json(&["gc", "status"]);
    assert_eq!(status["pending"]["trash"]["count"], 1, "{status}");
    assert_eq!(status["pending"]["leased"]["bytes"], bytes, "{status}");
    let text = landfall.done(&["gc", "status"]);
    let leased = text.lines().find(|line| line.starts_with("leased")).unwrap();
    // The lease ends in an hour, and the bytes go an hour later.
    assert!(
        leased.contains("in 60 min") && leased.ends_with("in 120 min"),
        "{text}"
    );
    landfall.push("team/app", "v1", &image);
    landfall.expect_image("team/app", "v1", &image);
    // A deleted repository is trash as a whole, and the refusal says what ends that.
    landfall.done(&["repo", "delete", "team/app", "--yes"]);
    let refused = landfall.does(&["gc", "run", "--urgent", "team/app", "--yes"]);
    assert!(
        refused.code == Some(6) && refused.stderr.contains("`landfall trash empty --repo team/app`"),
        "{refused:?}"
    );
    landfall.done(&["trash", "empty", "--repo", "team/app", "--yes"]);
    let refused = landfall.does(&["trash", "restore", "team/app"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
}

#[test]
fn an_order_that_makes_no_sense_is_refused() {
    let landfall = collecting();
    assert_eq!(landfall.does(&["gc", "run", "--dry-run"]).code, Some(2));
    let bad = |body: &str, word: &str| {
        let message = landfall
            .admin("POST", "/api/v1/gc/run", body)
            .expect_problem(400, "LF-API-001");
        assert!(message.contains(word), "{message}");
    };
    bad("{\"urgnt\":[]}", "no field `urgnt`");
    bad("{\"urgent\":\"team/app\"}", "a list");
    bad("{\"urgent\":[\"No\"]}", "repository");
    bad("{\"dry_run\":true}", "name repositories");
    bad("not json", "JSON");
    bad("[1", "JSON");
}

#[test]
fn whoever_says_no_at_the_terminal_loses_nothing() {
    let landfall = collecting();
    let manifest = landfall.push("team/app", "v1", &Image::new("deleted"));
    landfall
        .delete_manifest("team/app", &manifest.digest())
        .expect(202);
    let data = landfall.how().data_dir().display().to_string();
    let line = format!("gc run --urgent team/app --data {data}");
    let waiting = || landfall.done_json(&["gc", "status"])["pending"]["trash"]["count"].clone();
    for no in ["n\n", "\n", "yes please\n"] {
        let (code, shown) = landfall.typed(&line, no);
        assert_eq!(code, Some(0), "{shown}");
        assert!(
            shown.contains("End it for good? [y/N]") && shown.contains("nothing was changed"),
            "{shown}"
        );
        assert_eq!(waiting(), 1);
    }
    let (code, shown) = landfall.typed(&line, "y\n");
    assert!(
        code == Some(0) && shown.contains("1 manifest is gone for good"),
        "{shown}"
    );
    assert_eq!(waiting(), 0);
}
