//! The password file is the one that people have, made with Apache's program: one mistake in it locks nobody else out, and a
//! change to it counts at once.
//!
//! Source: the file as `htpasswd -B` writes it; RFC 7617 section 2 (realm).

use std::fs;

use crate::harness::passwords::{bcrypt_line, line_of_kind};
use crate::harness::{Client, Landfall, wait_until};

fn status_of(client: &Client) -> u16 {
    client.get("/v2/").send().status
}

#[test]
fn bcrypt_of_every_variant_is_read() {
    let line = bcrypt_line("y", "bee");
    let hash = line.strip_prefix("y:$2y$").unwrap();
    let (landfall, _) = Landfall::with_users(&format!("{line}\na:$2a${hash}\nb:$2b${hash}\n"));
    for user in ["y", "a", "b"] {
        assert_eq!(status_of(&landfall.as_user(user, "bee")), 200, "{user}");
        assert_eq!(status_of(&landfall.as_user(user, "wrong")), 401, "{user}");
    }
}

#[test]
fn one_bad_line_does_not_lock_everyone_out() {
    let good = bcrypt_line("busy", "bee");
    let apr1 = line_of_kind("-m", "apache", "secret1");
    let sha = line_of_kind("-s", "sha", "secret2");
    let plain = line_of_kind("-p", "plain", "secret3");
    let text = format!(
        "# a comment\r\n\r\nbroken line without separator\r\n{apr1}\r\n{sha}\r\n{plain}\r\n  {good}  \r\nempty:\r\n{}",
        bcrypt_line("last", "one")
    );
    let (landfall, _) = Landfall::with_users(&text);
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    assert_eq!(
        status_of(&landfall.as_user("last", "one")),
        200,
        "no newline at the end of the file is needed"
    );
    for (user, password) in [
        ("apache", "secret1"),
        ("sha", "secret2"),
        ("plain", "secret3"),
        ("empty", ""),
        ("broken line without separator", ""),
    ] {
        assert_eq!(status_of(&landfall.as_user(user, password)), 401, "{user}");
    }
    for line in [3, 4, 5, 6, 8] {
        let complaints = landfall.log().complaints();
        let named =
            |text: &String| text.contains(&format!("line {line}")) || text.contains(&format!("line={line}"));
        assert!(
            complaints.iter().any(named),
            "line {line} is named in:\n{}",
            complaints.join("\n")
        );
    }
    for secret in [
        "secret3",
        "$apr1$",
        "{SHA}",
        "$2y$",
        apr1.rsplit('$').next().unwrap(),
        sha.rsplit('}').next().unwrap(),
    ] {
        let told = landfall
            .log()
            .lines()
            .iter()
            .any(|line| line.contains(secret) && secret.len() > 6);
        assert!(!told, "the log tells {secret}:\n{}", landfall.log());
    }
}

#[test]
fn the_last_of_several_lines_for_a_user_counts() {
    let (landfall, _) = Landfall::with_users(&format!(
        "{}\n{}\n",
        bcrypt_line("busy", "old"),
        bcrypt_line("busy", "new")
    ));
    assert_eq!(status_of(&landfall.as_user("busy", "new")), 200);
    assert_eq!(status_of(&landfall.as_user("busy", "old")), 401);
}

#[test]
fn a_line_of_endless_length_is_skipped() {
    let text = format!(
        "{}:{}\n{}\n",
        "x".repeat(100),
        "y".repeat(10_000),
        bcrypt_line("busy", "bee")
    );
    let (landfall, _) = Landfall::with_users(&text);
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    assert!(
        !landfall.log().complaints().is_empty(),
        "the long line is warned about"
    );
}

#[test]
fn an_edited_file_counts_without_a_restart() {
    let (landfall, path) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    fs::write(
        &path,
        format!("{}\n{}\n", bcrypt_line("busy", "bee"), bcrypt_line("new", "hire")),
    )
    .unwrap();
    wait_until("the new user can log in", || {
        status_of(&landfall.as_user("new", "hire")) == 200
    });
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    fs::write(&path, bcrypt_line("new", "hire")).unwrap();
    wait_until("the removed user cannot log in", || {
        status_of(&landfall.as_user("busy", "bee")) == 401
    });
    assert_eq!(status_of(&landfall.as_user("new", "hire")), 200);
}

#[test]
fn a_file_replaced_by_rename_counts_too() {
    let (landfall, path) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    let next = path.with_extension("new");
    fs::write(&next, bcrypt_line("new", "hire")).unwrap();
    fs::rename(&next, &path).unwrap();
    wait_until("the new user can log in", || {
        status_of(&landfall.as_user("new", "hire")) == 200
    });
    wait_until("the removed user cannot", || {
        status_of(&landfall.as_user("busy", "bee")) == 401
    });
}

#[test]
fn a_changed_password_stops_the_old_one_although_it_was_just_used() {
    let (landfall, path) = Landfall::with_users(&bcrypt_line("busy", "old"));
    for _ in 0..5 {
        assert_eq!(status_of(&landfall.as_user("busy", "old")), 200);
    }
    fs::write(&path, bcrypt_line("busy", "new")).unwrap();
    wait_until("the new password works", || {
        status_of(&landfall.as_user("busy", "new")) == 200
    });
    assert_eq!(status_of(&landfall.as_user("busy", "old")), 401);
}

#[test]
fn while_an_editor_has_the_file_away_the_old_users_stay() {
    let (landfall, path) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    fs::remove_file(&path).unwrap();
    for _ in 0..20 {
        assert_eq!(status_of(&landfall.as_user("busy", "bee")), 200);
    }
    fs::write(&path, bcrypt_line("back", "again")).unwrap();
    wait_until("the file is read when it is back", || {
        status_of(&landfall.as_user("back", "again")) == 200
    });
}

#[test]
fn an_empty_file_starts_with_a_warning_that_nobody_can_log_in() {
    let (landfall, path) = Landfall::with_users("");
    assert!(!landfall.log().complaints().is_empty(), "{}", landfall.log());
    assert_eq!(status_of(&landfall.as_user("busy", "bee")), 401);
    fs::write(&path, bcrypt_line("busy", "bee")).unwrap();
    wait_until("the first user can log in", || {
        status_of(&landfall.as_user("busy", "bee")) == 200
    });
}

#[test]
fn a_missing_file_stops_the_start_and_says_how_to_mend_it() {
    let builder = Landfall::builder();
    let path = builder.home().join("nowhere/htpasswd");
    let refusal = builder.htpasswd(&path).start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[path.to_str().unwrap(), "landfall user add"]);
}

#[test]
fn a_folder_in_place_of_the_file_stops_the_start_and_says_how_it_came_about() {
    let builder = Landfall::builder();
    let path = builder.home().join("registry.password");
    fs::create_dir(&path).unwrap();
    let refusal = builder.htpasswd(&path).start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[path.to_str().unwrap(), "directory", "mount"]);
}

#[test]
fn realm_and_path_are_both_required() {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let without_realm = builder
        .clone()
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", path.as_os_str());
    without_realm
        .start_refused()
        .expect_invalid_configuration(&["auth.htpasswd.realm"]);
    let without_path = builder
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "r");
    without_path
        .start_refused()
        .expect_invalid_configuration(&["auth.htpasswd.path"]);
}

#[test]
fn a_realm_with_quotes_is_escaped() {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let config = format!(
        "auth:\n  htpasswd:\n    realm: 'a \"quoted\" \\ realm'\n    path: {}\n",
        path.display()
    );
    let landfall = builder.config(&config).start();
    let answer = landfall.get("/v2/").send().expect(401);
    answer.with_header("WWW-Authenticate", r#"Basic realm="a \"quoted\" \\ realm""#);
}
