//! Somebody deletes or overwrites what others need, and it comes back; whoever asks meanwhile is told how.
//!
//! Source: docs/history.md.

use crate::harness::{Image, Landfall};

const REPO: &str = "team/app";

#[test]
fn an_overwritten_tag_goes_back_and_its_history_says_who_did_what() {
    let landfall = Landfall::start();
    let good = landfall.push(REPO, "latest", &Image::new("good")).digest();
    let wrong = landfall.push(REPO, "latest", &Image::new("wrong")).digest();
    let plan = landfall.done(&["tag", "rollback", "team/app:latest", "--dry-run"]);
    assert!(plan.contains("->"), "{plan}");
    let moved = landfall.done_json(&["tag", "rollback", "team/app:latest", "--yes"]);
    assert_eq!(
        (&moved["from"], &moved["to"]),
        (&wrong.clone().into(), &good.clone().into())
    );
    let history = landfall.done_json(&["tag", "history", "team/app:latest"]);
    assert_eq!(history["schema"], "landfall.tag.history/1");
    let steps = history["items"].as_array().unwrap();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[0]["kind"], "rolled_back");
    assert!(
        steps[0]["by"].as_str().unwrap().starts_with("local:"),
        "{history}"
    );
    assert_eq!(steps[1]["from"], "127.0.0.1");
    let list = landfall.done_json(&["tag", "list", REPO]);
    assert_eq!(list["items"][0]["digest"], good);
    let seq = steps[1]["seq"].to_string();
    let moved = landfall.done_json(&["tag", "rollback", "team/app:latest", "--to", &seq, "--yes"]);
    assert_eq!(moved["to"], wrong);
}

#[test]
fn a_push_is_not_in_the_trash_and_no_number_takes_it_back() {
    let landfall = Landfall::start();
    landfall.push(REPO, "latest", &Image::new("good"));
    let pushed = landfall.push(REPO, "latest", &Image::new("better")).digest();
    for number in ["1", "2"] {
        for more in [&[][..], &["--force"], &["--dry-run"]] {
            let refused = landfall.does(&[&["trash", "restore", number], more].concat());
            assert_eq!(refused.code, Some(6), "{refused:?}");
            assert!(refused.stderr.contains("landfall tag rollback"), "{refused:?}");
        }
    }
    let list = landfall.done_json(&["tag", "list", REPO]);
    assert_eq!(list["items"][0]["digest"], pushed);
    let history = landfall.done_json(&["tag", "history", "team/app:latest"]);
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
}

#[test]
fn without_an_undo_window_deletes_are_for_good_and_the_start_says_so() {
    let builder = Landfall::builder().env("LANDFALL_TRASH__UNDO_WINDOW", "0");
    let landfall = builder.start();
    landfall
        .log()
        .expect_line(&["the trash brings nothing back", "for good"]);
    landfall.push(REPO, "latest", &Image::new("gone"));
    let said = landfall.done(&["tag", "delete", "team/app:latest", "--yes"]);
    assert_eq!(
        said,
        "team/app:latest is deleted; without an undo window the trash does not bring it back\n"
    );
    let restored = landfall.does(&["trash", "restore", "team/app:latest"]);
    assert_eq!(restored.code, Some(5), "{restored:?}");
    let plan = landfall.done(&["repo", "delete", REPO, "--dry-run"]);
    assert!(
        plan.contains("could not come back: its undo window is 0"),
        "{plan}"
    );
}

#[test]
fn what_was_set_since_stays_and_where_it_leads_is_said() {
    let landfall = Landfall::start();
    let old = landfall.push(REPO, "latest", &Image::new("old")).digest();
    landfall.done(&["tag", "delete", "team/app:latest", "--yes"]);
    let new = landfall.push(REPO, "latest", &Image::new("new")).digest();
    let refused = landfall.does(&["trash", "restore", "team/app:latest"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(
        refused.stderr.contains(&format!("leads to {new} by now")),
        "{refused:?}"
    );
    let also = landfall.push(REPO, "other", &Image::new("old")).digest();
    assert_eq!(also, old);
    landfall.delete_manifest(REPO, &old).expect(202);
    landfall.push(REPO, "other", &Image::new("new"));
    let document = landfall.done_json(&["trash", "restore", &format!("{REPO}@{old}")]);
    assert_eq!(document["taken"][0]["now"], new, "{document}");
    assert_eq!(document["taken"][0]["wanted"], old, "{document}");
}

#[test]
fn what_a_rule_took_says_which_rule_wherever_it_is_seen() {
    let landfall = Landfall::start();
    landfall.push(REPO, "old", &Image::new("old"));
    landfall.push(REPO, "new", &Image::new("new"));
    landfall.done(&["retention", "set", REPO, "--name", "rest", "--keep-last", "1"]);
    let plan = landfall.done_json(&["retention", "dry-run"]);
    assert_eq!(plan["schema"], "landfall.retention.plan/1", "{plan}");
    assert!(
        plan["next"].is_null() && plan["totals"]["tags_removed"] == 1,
        "{plan}"
    );
    landfall.done(&["retention", "run", "--yes"]);
    for list in [&["trash", "list"][..], &["tag", "history", "team/app:old"]] {
        let text = landfall.done(list);
        assert!(text.contains("rule rest"), "{text}");
        let document = landfall.done_json(list);
        assert_eq!(document["items"][0]["rule"], "rest", "{document}");
        assert_eq!(document["items"][0]["reason"], "retention run 1, rule rest");
    }
    let refused = landfall.get_manifest(REPO, "old").expect(404);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        text.contains("team/app:old was removed by retention rule rest"),
        "{text}"
    );
}

#[test]
fn a_pull_of_a_deleted_tag_says_how_to_bring_it_back() {
    let landfall = Landfall::start();
    let digest = landfall.push(REPO, "1.2", &Image::new("needed")).digest();
    landfall.done(&["tag", "delete", "team/app:1.2", "--yes"]);
    let refused = landfall.get_manifest(REPO, "1.2").expect(404);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        text.contains("team/app:1.2 was deleted") && text.contains("`landfall trash restore team/app:1.2`"),
        "{text}"
    );
    let trash = landfall.done_json(&["trash", "list"]);
    assert_eq!(trash["items"][0]["kind"], "tag");
    let restored = landfall.done_json(&["trash", "restore", "team/app:1.2"]);
    assert_eq!(restored["tags"][0], "1.2");
    landfall.get_manifest(REPO, "1.2").expect(200);
    landfall.delete_manifest(REPO, &digest).expect(202);
    let restored = landfall.done(&["trash", "restore", &format!("team/app@{digest}")]);
    assert!(restored.contains("team/app:1.2"), "{restored}");
    landfall.get_manifest(REPO, "1.2").expect(200);
}

#[test]
fn a_repository_is_deleted_restored_and_renamed() {
    let landfall = Landfall::start();
    landfall.push(REPO, "latest", &Image::new("app"));
    landfall.done(&["repo", "set", REPO, "--undo-window", "30d"]);
    assert!(landfall.done(&["repo", "show", REPO]).contains("30d"));
    let plan = landfall.done(&["repo", "delete", REPO, "--dry-run"]);
    assert!(plan.contains("1 tag and"), "{plan}");
    landfall.done(&["repo", "delete", REPO, "--yes"]);
    let refused = landfall.get_manifest(REPO, "latest").expect(404);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("`landfall trash restore team/app`"), "{text}");
    landfall.done(&["repo", "restore", REPO]);
    landfall.get_manifest(REPO, "latest").expect(200);
    landfall.done(&["repo", "rename", REPO, "prod/app", "--yes"]);
    landfall.get_manifest("prod/app", "latest").expect(200);
    let refused = landfall.get_manifest(REPO, "latest").expect(404);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("was renamed to prod/app"), "{text}");
    let list = landfall.done_json(&["repo", "list"]);
    assert_eq!(list["items"][0]["name"], "prod/app");
}

#[test]
fn what_was_deleted_is_named_by_the_digest_that_the_list_prints() {
    let landfall = Landfall::start();
    let digest = landfall.push(REPO, "latest", &Image::new("short")).digest();
    landfall.delete_manifest(REPO, &digest).expect(202);
    let printed = format!("{REPO}@{}", &digest[.."sha256:".len() + 12]);
    assert!(landfall.done(&["trash", "list"]).contains(&printed));
    landfall.done(&["repo", "rename", REPO, "new/app", "--yes"]);
    let by_the_old_name = landfall.done(&["trash", "list", REPO]);
    assert!(by_the_old_name.contains("new/app@sha256:"), "{by_the_old_name}");
    let beginning = format!("new/app@{}", &digest["sha256:".len()..][..12]);
    assert_eq!(
        landfall
            .does(&["trash", "restore", "new/app@sha256:0123456"])
            .code,
        Some(5)
    );
    landfall.done(&["trash", "restore", &beginning]);
    landfall.get_manifest("new/app", "latest").expect(200);
    let refused = landfall.does(&["tag", "set", "new/app:q", "nope", "--yes"]);
    assert!(
        refused.code == Some(5) && refused.stderr.contains("no nope in new/app"),
        "{refused:?}"
    );
}

#[test]
fn an_emptied_trash_gives_nothing_back_and_bad_words_are_refused() {
    let landfall = Landfall::start();
    let digest = landfall.push(REPO, "latest", &Image::new("gone")).digest();
    landfall.delete_manifest(REPO, &digest).expect(202);
    let plan = landfall.done(&["trash", "empty", "--dry-run"]);
    assert!(plan.contains("1 delete could"), "{plan}");
    landfall.done(&["trash", "empty", "--yes"]);
    assert_eq!(
        landfall.done_json(&["trash", "list"])["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let lost = landfall.does(&["tag", "rollback", "team/app:latest", "--yes"]);
    assert!(
        lost.code == Some(5) && lost.stderr.contains("gone for good"),
        "{lost:?}"
    );
    for (args, code) in [
        (vec!["trash", "restore", "team/app:other"], 5),
        (vec!["trash", "restore", "999"], 5),
        (vec!["trash", "restore", "Team/App"], 2),
        (vec!["trash", "empty", "--older-than", "soon"], 2),
        (vec!["trash", "empty"], 2),
        (vec!["trash", "list", "nosuch"], 5),
        (vec!["trash", "empty", "--repo", "nosuch", "--yes"], 5),
        (vec!["tag", "history", "team/app:never"], 5),
        (vec!["tag", "rollback", "team/app:never", "--yes"], 5),
        (vec!["tag", "rollback", "team/app", "--yes"], 2),
        (vec!["tag", "delete", "team/app:never", "--yes"], 5),
        (vec!["repo", "show", "nowhere"], 5),
        (vec!["repo", "rename", "nowhere", "x", "--yes"], 5),
    ] {
        let output = landfall.does(&args);
        assert_eq!(output.code, Some(code), "{args:?}: {output:?}");
    }
}

#[test]
fn a_plan_does_not_read_as_done() {
    let landfall = Landfall::start();
    landfall.push(REPO, "latest", &Image::new("app"));
    for args in [["tag", "delete", "team/app:latest"], ["repo", "delete", REPO]] {
        let asked = landfall.does(&args);
        assert_eq!(asked.code, Some(2), "{asked:?}");
        assert!(asked.stderr.contains("would be deleted"), "{asked:?}");
        assert!(!asked.stderr.contains(" is deleted"), "{asked:?}");
    }
    let refused = landfall.does(&["tag", "delete", "team/app:nope", "--yes"]);
    assert_eq!((refused.code, &*refused.stdout), (Some(5), ""), "{refused:?}");
    assert!(!refused.stderr.contains("deleted;"), "{refused:?}");
    let done = landfall.does(&["tag", "delete", "team/app:latest", "--yes"]);
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    assert!(done.stdout.contains("team/app:latest is deleted"), "{done:?}");
    let again = landfall.does(&["tag", "delete", "team/app:latest", "--dry-run"]);
    assert!(
        again.code == Some(5) && again.stderr.contains("deleted already"),
        "{again:?}"
    );
}
