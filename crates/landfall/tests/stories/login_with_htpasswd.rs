//! People log in with the password file that they have, made with Apache's program, and one mistake in it locks nobody else out.
//!
//! Source: RFC 7617 (Basic), RFC 9110 section 11; the file as `htpasswd -B` writes it.

use std::fs;
use std::path::PathBuf;

use crate::harness::exchange::basic;
use crate::harness::passwords::{bcrypt_line, line_of_kind};
use crate::harness::{Builder, Client, Image, Landfall, types, wait_until};

/// A server whose password file has this text.
fn with_file(text: &str) -> (Landfall, PathBuf) {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", text);
    (with_path(builder, &path).start(), path)
}

fn with_path(builder: Builder, path: &std::path::Path) -> Builder {
    let builder = builder.env("REGISTRY_AUTH", "htpasswd").env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm");
    builder.env("REGISTRY_AUTH_HTPASSWD_PATH", path)
}

fn login(client: &Client) -> u16 {
    client.get("/v2/").send().status
}

#[test]
fn the_tutorial_works_as_it_stands() {
    let builder = Landfall::builder();
    let path = builder.file("registry.password", bcrypt_line("busy", "bee"));
    let data = builder.home().join("registry-data");
    let landfall = with_path(builder, &path).env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data.as_os_str()).start();
    let anonymous = landfall.get("/v2/").send().expect_error(401, "UNAUTHORIZED");
    anonymous.with_header("WWW-Authenticate", "Basic realm=\"Registry Realm\"");
    let bee = landfall.as_user("busy", "bee");
    assert_eq!(bee.get("/v2/").send().expect(200).body, b"{}");
    assert_eq!(login(&landfall.as_user("busy", "wrong")), 401);
    let image = Image::new("tutorial");
    let manifest = bee.push("my/ubuntu", "latest", &image);
    bee.expect_image("my/ubuntu", "latest", &image);
    bee.expect_image("my/ubuntu", &manifest.digest(), &image);
    assert!(data.join("landfall").is_dir(), "the data is where the variable says");
    landfall.log().expect_clean();
}

#[test]
fn without_a_login_everything_looks_the_same() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let bee = landfall.as_user("busy", "bee");
    let image = Image::new("private");
    let digest = bee.push("real/app", "latest", &image).digest();
    let absent = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let pairs = [
        ("GET", "/v2/real/app/tags/list".to_owned(), "/v2/none/app/tags/list".to_owned()),
        ("GET", "/v2/real/app/manifests/latest".to_owned(), "/v2/none/app/manifests/latest".to_owned()),
        ("HEAD", format!("/v2/real/app/manifests/{digest}"), format!("/v2/none/app/manifests/{absent}")),
        ("GET", format!("/v2/real/app/referrers/{digest}"), format!("/v2/none/app/referrers/{absent}")),
        ("DELETE", format!("/v2/real/app/manifests/{digest}"), format!("/v2/none/app/manifests/{absent}")),
        ("POST", "/v2/real/app/blobs/uploads/".to_owned(), "/v2/none/app/blobs/uploads/".to_owned()),
    ];
    let who: [Client; 3] = [landfall.as_user("busy", "wrong"), landfall.as_user("nobody", "x"), Client::new(landfall.address)];
    for (method, real, none) in pairs {
        for client in &who {
            let (real, none) = (client.request(method, &real).send().expect(401), client.request(method, &none).send().expect(401));
            assert_eq!(real.body, none.body, "{method}");
            assert_eq!(real.header("WWW-Authenticate"), none.header("WWW-Authenticate"));
        }
    }
    bee.expect_image("real/app", "latest", &image);
}

#[test]
fn nothing_is_allowed_without_a_login() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let targets = [
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/_oci/ext/discover"),
        ("PUT", "/v2/a/manifests/latest"),
        ("PATCH", "/v2/a/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11"),
        ("GET", "/v2/a/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11"),
        ("GET", "/v2/BAD/tags/list"),
    ];
    for (method, target) in targets {
        landfall.request(method, target).send().expect_error(401, "UNAUTHORIZED");
    }
    // Route and method are judged before the caller is.
    landfall.get("/v2/no/such/route").send().expect(404);
    landfall.put("/v2/a/tags/list").send().expect(405);
    landfall.get("/").send().expect(200);
}

#[test]
fn bad_credentials_of_every_kind_are_401() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let long = format!("Basic {}", "A".repeat(20_000));
    let headers = [
        &basic("busy", ""),
        &basic("", "bee"),
        &basic("", ""),
        &basic("BUSY", "bee"),
        &basic("busy", "bee "),
        &basic("busy", "bee\0"),
        "Basic",
        "Basic ",
        "Basic YnVzeTpiZWU",
        "Basic !!!!",
        "Basic YnVzeTpiZWU==",
        "Basic YnVzeTpiZ*U=",
        "Basic YnVzeQ==",
        "Basic /////w==",
        "Bearer YnVzeTpiZWU=",
        "Digest username=\"busy\"",
        "nonsense",
        "",
        &long,
    ];
    for header in headers {
        let answer = landfall.with_authorization(header).get("/v2/").send();
        if header == "Basic YnVzeTpiZWU" || header == "Basic YnVzeTpiZWU==" {
            assert!(matches!(answer.status, 200 | 401), "padding may be forgiven or not, but is no error: {answer}");
        } else {
            let answer = answer.expect_error(401, "UNAUTHORIZED");
            assert!(answer.expect_header("WWW-Authenticate").starts_with("Basic "), "{answer}");
        }
    }
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let credentials = basic("busy", "bee").replace("Basic ", "");
    for scheme in ["basic", "BASIC", "bAsIc"] {
        assert_eq!(login(&landfall.with_authorization(&format!("{scheme} {credentials}"))), 200);
    }
}

#[test]
fn unusual_passwords_work() {
    let (longest, too_long) = ("p".repeat(72), "p".repeat(73));
    let lines = [
        bcrypt_line("colon", "a:b:c"),
        bcrypt_line("utf8", "pässwörd→🐝"),
        bcrypt_line("space", " a b "),
        bcrypt_line("longest", &longest),
        bcrypt_line("with.dots-and_more@example.com", "x"),
    ];
    let (landfall, _) = with_file(&lines.join("\n"));
    for (user, password) in
        [("colon", "a:b:c"), ("utf8", "pässwörd→🐝"), ("space", " a b "), ("longest", &*longest), ("with.dots-and_more@example.com", "x")]
    {
        assert_eq!(login(&landfall.as_user(user, password)), 200, "{user}");
        let longer = login(&landfall.as_user(user, &format!("{password}x")));
        assert_eq!(longer, 401, "{user} with one more letter");
    }
    let once = login(&landfall.as_user("longest", &too_long));
    assert_eq!(once, login(&landfall.as_user("longest", &too_long)));
    assert!(once == 401, "only 72 bytes of a password count, so 73 are refused: {once}");
    landfall.log().expect_clean();
}

#[test]
fn bcrypt_of_every_variant_is_read() {
    let line = bcrypt_line("y", "bee");
    let hash = line.strip_prefix("y:$2y$").unwrap();
    let (landfall, _) = with_file(&format!("{line}\na:$2a${hash}\nb:$2b${hash}\n"));
    for user in ["y", "a", "b"] {
        assert_eq!(login(&landfall.as_user(user, "bee")), 200, "{user}");
        assert_eq!(login(&landfall.as_user(user, "wrong")), 401, "{user}");
    }
}

#[test]
fn one_bad_line_does_not_lock_everyone_out() {
    let good = bcrypt_line("busy", "bee");
    let apr1 = line_of_kind("-m", "apache", "secret1");
    let sha = line_of_kind("-s", "sha", "secret2");
    let plain = line_of_kind("-p", "plain", "secret3");
    let text = format!("# a comment\r\n\r\nbroken line without separator\r\n{apr1}\r\n{sha}\r\n{plain}\r\n  {good}  \r\nempty:\r\n{}", bcrypt_line("last", "one"));
    let (landfall, _) = with_file(&text);
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    assert_eq!(login(&landfall.as_user("last", "one")), 200, "no newline at the end of the file is needed");
    for (user, password) in [("apache", "secret1"), ("sha", "secret2"), ("plain", "secret3"), ("empty", ""), ("broken line without separator", "")] {
        assert_eq!(login(&landfall.as_user(user, password)), 401, "{user}");
    }
    for line in [3, 4, 5, 6, 8] {
        let complaints = landfall.log().complaints();
        let named = |text: &String| text.contains(&format!("line {line}")) || text.contains(&format!("line={line}"));
        assert!(complaints.iter().any(named), "line {line} is named in:\n{}", complaints.join("\n"));
    }
    for secret in ["secret3", "$apr1$", "{SHA}", "$2y$", apr1.rsplit('$').next().unwrap(), sha.rsplit('}').next().unwrap()] {
        let told = landfall.log().lines().iter().any(|line| line.contains(secret) && secret.len() > 6);
        assert!(!told, "the log tells {secret}:\n{}", landfall.log());
    }
}

#[test]
fn the_last_of_several_lines_for_a_user_counts() {
    let (landfall, _) = with_file(&format!("{}\n{}\n", bcrypt_line("busy", "old"), bcrypt_line("busy", "new")));
    assert_eq!(login(&landfall.as_user("busy", "new")), 200);
    assert_eq!(login(&landfall.as_user("busy", "old")), 401);
}

#[test]
fn a_line_of_endless_length_is_skipped() {
    let text = format!("{}:{}\n{}\n", "x".repeat(100), "y".repeat(10_000), bcrypt_line("busy", "bee"));
    let (landfall, _) = with_file(&text);
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    assert!(!landfall.log().complaints().is_empty(), "the long line is warned about");
}

#[test]
fn an_edited_file_counts_without_a_restart() {
    let (landfall, path) = with_file(&bcrypt_line("busy", "bee"));
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    fs::write(&path, format!("{}\n{}\n", bcrypt_line("busy", "bee"), bcrypt_line("new", "hire"))).unwrap();
    wait_until("the new user can log in", || login(&landfall.as_user("new", "hire")) == 200);
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    fs::write(&path, bcrypt_line("new", "hire")).unwrap();
    wait_until("the removed user cannot log in", || login(&landfall.as_user("busy", "bee")) == 401);
    assert_eq!(login(&landfall.as_user("new", "hire")), 200);
}

#[test]
fn a_file_replaced_by_rename_counts_too() {
    let (landfall, path) = with_file(&bcrypt_line("busy", "bee"));
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    let next = path.with_extension("new");
    fs::write(&next, bcrypt_line("new", "hire")).unwrap();
    fs::rename(&next, &path).unwrap();
    wait_until("the new user can log in", || login(&landfall.as_user("new", "hire")) == 200);
    wait_until("the removed user cannot", || login(&landfall.as_user("busy", "bee")) == 401);
}

#[test]
fn a_changed_password_stops_the_old_one_although_it_was_just_used() {
    let (landfall, path) = with_file(&bcrypt_line("busy", "old"));
    for _ in 0..5 {
        assert_eq!(login(&landfall.as_user("busy", "old")), 200);
    }
    fs::write(&path, bcrypt_line("busy", "new")).unwrap();
    wait_until("the new password works", || login(&landfall.as_user("busy", "new")) == 200);
    assert_eq!(login(&landfall.as_user("busy", "old")), 401);
}

#[test]
fn while_an_editor_has_the_file_away_the_old_users_stay() {
    let (landfall, path) = with_file(&bcrypt_line("busy", "bee"));
    assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    fs::remove_file(&path).unwrap();
    for _ in 0..20 {
        assert_eq!(login(&landfall.as_user("busy", "bee")), 200);
    }
    fs::write(&path, bcrypt_line("back", "again")).unwrap();
    wait_until("the file is read when it is back", || login(&landfall.as_user("back", "again")) == 200);
}

#[test]
fn an_empty_file_starts_with_a_warning_that_nobody_can_log_in() {
    let (landfall, path) = with_file("");
    assert!(!landfall.log().complaints().is_empty(), "{}", landfall.log());
    assert_eq!(login(&landfall.as_user("busy", "bee")), 401);
    fs::write(&path, bcrypt_line("busy", "bee")).unwrap();
    wait_until("the first user can log in", || login(&landfall.as_user("busy", "bee")) == 200);
}

#[test]
fn a_missing_file_stops_the_start_and_says_how_to_mend_it() {
    let builder = Landfall::builder();
    let path = builder.home().join("nowhere/htpasswd");
    let refusal = with_path(builder, &path).start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[path.to_str().unwrap(), "htpasswd", "user add"]);
}

#[test]
fn a_folder_in_place_of_the_file_stops_the_start_and_says_how_it_came_about() {
    let builder = Landfall::builder();
    let path = builder.home().join("registry.password");
    fs::create_dir(&path).unwrap();
    let refusal = with_path(builder, &path).start_refused();
    assert!(refusal.code.is_some_and(|code| code != 0), "{refusal:?}");
    refusal.expect_words(&[path.to_str().unwrap(), "directory", "mount"]);
}

#[test]
fn realm_and_path_are_both_required() {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let without_realm = builder.clone().env("REGISTRY_AUTH", "htpasswd").env("REGISTRY_AUTH_HTPASSWD_PATH", path.as_os_str());
    without_realm.start_refused().expect_invalid_configuration(&["auth.htpasswd.realm"]);
    let without_path = builder.env("REGISTRY_AUTH", "htpasswd").env("REGISTRY_AUTH_HTPASSWD_REALM", "r");
    without_path.start_refused().expect_invalid_configuration(&["auth.htpasswd.path"]);
}

#[test]
fn a_realm_with_quotes_is_escaped() {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let config = format!("auth:\n  htpasswd:\n    realm: 'a \"quoted\" \\ realm'\n    path: {}\n", path.display());
    let landfall = builder.config(&config).start();
    let answer = landfall.get("/v2/").send().expect(401);
    answer.with_header("WWW-Authenticate", r#"Basic realm="a \"quoted\" \\ realm""#);
}

#[test]
fn whoever_may_push_may_mount_and_cancel() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let bee = landfall.as_user("busy", "bee");
    let digest = bee.push_blob("base/os", b"layer");
    bee.post(&format!("/v2/team/app/blobs/uploads/?mount={digest}&from=base/os")).send().expect(201);
    bee.delete(&bee.begin_upload("team/app")).send().expect(204);
    let session = bee.begin_upload("team/app");
    landfall.patch(&session).body("x").send().expect(401);
    landfall.get(&session).send().expect(401);
    bee.get(&session).send().expect(204).with_header("Range", "0-0");
}

#[test]
fn many_logins_at_once_are_all_answered() {
    let (landfall, _) = with_file(&format!("{}\n{}", bcrypt_line("busy", "bee"), bcrypt_line("other", "one")));
    std::thread::scope(|scope| {
        for n in 0..32 {
            let landfall = &landfall;
            scope.spawn(move || {
                let (client, expected) = match n % 4 {
                    0 => (landfall.as_user("busy", "bee"), 200),
                    1 => (landfall.as_user("other", "one"), 200),
                    2 => (landfall.as_user("busy", &format!("wrong {n}")), 401),
                    _ => (landfall.as_user(&format!("nobody {n}"), "x"), 401),
                };
                for _ in 0..5 {
                    assert_eq!(login(&client), expected);
                }
            });
        }
    });
}

#[test]
fn a_refused_push_stores_nothing() {
    let (landfall, _) = with_file(&bcrypt_line("busy", "bee"));
    let image = Image::new("refused");
    let stranger = landfall.as_user("busy", "wrong");
    let put = stranger.put("/v2/team/app/manifests/latest").header("Content-Type", types::OCI_MANIFEST);
    put.body(image.manifest().bytes).send().expect_error(401, "UNAUTHORIZED");
    let post = stranger.post("/v2/team/app/blobs/uploads/").query("digest", &crate::harness::digest_of("x")).body("x").send();
    post.expect_error(401, "UNAUTHORIZED");
    let bee = landfall.as_user("busy", "bee");
    bee.head_manifest("team/app", "latest").expect(404);
    bee.head_blob("team/app", &crate::harness::digest_of("x")).expect(404);
}
