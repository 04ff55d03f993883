//! People log in with their password, and whoever cannot learns nothing.
//!
//! Source: RFC 7617 (Basic), RFC 9110 section 11.

use crate::harness::exchange::basic;
use crate::harness::passwords::bcrypt_line;
use crate::harness::{Client, Image, Landfall, digest_of, types};

fn status_of(client: &Client) -> u16 {
    client.get("/v2/").send().status
}

#[test]
fn the_tutorial_works_as_it_stands() {
    let builder = Landfall::builder();
    let path = builder.file("registry.password", bcrypt_line("busy", "bee"));
    let data = builder.home().join("registry-data");
    let landfall = builder
        .htpasswd(&path)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data.as_os_str())
        .start();
    let anonymous = landfall.get("/v2/").send().expect_error(401, "UNAUTHORIZED");
    anonymous.with_header("WWW-Authenticate", "Basic realm=\"Registry Realm\"");
    let bee = landfall.as_user("busy", "bee");
    assert_eq!(bee.get("/v2/").send().expect(200).body, b"{}");
    assert_eq!(status_of(&landfall.as_user("busy", "wrong")), 401);
    let image = Image::new("tutorial");
    let manifest = bee.push("my/ubuntu", "latest", &image);
    bee.expect_image("my/ubuntu", "latest", &image);
    bee.expect_image("my/ubuntu", &manifest.digest(), &image);
    assert!(
        data.join("landfall").is_dir(),
        "the data is where the variable says"
    );
    landfall.log().expect_clean();
}

#[test]
fn without_a_login_everything_looks_the_same() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let bee = landfall.as_user("busy", "bee");
    let image = Image::new("private");
    let digest = bee.push("real/app", "latest", &image).digest();
    let absent = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let pairs = [
        (
            "GET",
            "/v2/real/app/tags/list".to_owned(),
            "/v2/none/app/tags/list".to_owned(),
        ),
        (
            "GET",
            "/v2/real/app/manifests/latest".to_owned(),
            "/v2/none/app/manifests/latest".to_owned(),
        ),
        (
            "HEAD",
            format!("/v2/real/app/manifests/{digest}"),
            format!("/v2/none/app/manifests/{absent}"),
        ),
        (
            "GET",
            format!("/v2/real/app/referrers/{digest}"),
            format!("/v2/none/app/referrers/{absent}"),
        ),
        (
            "DELETE",
            format!("/v2/real/app/manifests/{digest}"),
            format!("/v2/none/app/manifests/{absent}"),
        ),
        (
            "POST",
            "/v2/real/app/blobs/uploads/".to_owned(),
            "/v2/none/app/blobs/uploads/".to_owned(),
        ),
    ];
    let who: [Client; 3] = [
        landfall.as_user("busy", "wrong"),
        landfall.as_user("nobody", "x"),
        Client::new(landfall.address),
    ];
    for (method, real, none) in pairs {
        for client in &who {
            let (real, none) = (
                client.request(method, &real).send().expect(401),
                client.request(method, &none).send().expect(401),
            );
            let told = String::from_utf8_lossy(&none.body)
                .replace("none/app", "real/app")
                .replace(absent, &digest);
            assert_eq!(String::from_utf8_lossy(&real.body), told, "{method}");
            assert_eq!(real.header("WWW-Authenticate"), none.header("WWW-Authenticate"));
        }
    }
    bee.expect_image("real/app", "latest", &image);
}

#[test]
fn nothing_is_allowed_without_a_login() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let targets = [
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/_oci/ext/discover"),
        ("PUT", "/v2/a/manifests/latest"),
        (
            "PATCH",
            "/v2/a/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11",
        ),
        ("GET", "/v2/a/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11"),
        ("GET", "/v2/BAD/tags/list"),
    ];
    for (method, target) in targets {
        landfall
            .request(method, target)
            .send()
            .expect_error(401, "UNAUTHORIZED");
    }
    // Route and method are judged before the caller is.
    landfall.get("/v2/no/such/route").send().expect(404);
    landfall.put("/v2/a/tags/list").send().expect(405);
    landfall.get("/").send().expect(200);
}

#[test]
fn bad_credentials_of_every_kind_are_401() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
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
            assert!(
                matches!(answer.status, 200 | 401),
                "padding may be forgiven or not, but is no error: {answer}"
            );
        } else {
            let answer = answer.expect_error(401, "UNAUTHORIZED");
            assert!(
                answer.expect_header("WWW-Authenticate").starts_with("Basic "),
                "{answer}"
            );
        }
    }
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let credentials = basic("busy", "bee").replace("Basic ", "");
    for scheme in ["basic", "BASIC", "bAsIc"] {
        assert_eq!(
            status_of(&landfall.with_authorization(&format!("{scheme} {credentials}"))),
            200
        );
    }
}

#[test]
fn unusual_passwords_work() {
    let users = [
        ("colon", "a:b:c"),
        ("utf8", "pässwörd→🐝"),
        ("space", " a b "),
        ("longest", &*"p".repeat(72)),
        ("with.dots-and_more@example.com", "x"),
    ];
    let lines: Vec<String> = users
        .iter()
        .map(|(user, password)| bcrypt_line(user, password))
        .collect();
    let (landfall, _) = Landfall::with_users(&lines.join("\n"));
    for (user, password) in users {
        assert_eq!(status_of(&landfall.as_user(user, password)), 200, "{user}");
        let shorter: String = password.chars().skip(1).collect();
        assert_eq!(
            status_of(&landfall.as_user(user, &shorter)),
            401,
            "{user} with one letter less"
        );
    }
    landfall.log().expect_clean();
}

#[test]
fn a_password_longer_than_bcrypt_can_see_still_opens_what_htpasswd_made_of_it() {
    let long = "p".repeat(73);
    let (landfall, _) = Landfall::with_users(&bcrypt_line("long", &long));
    assert_eq!(status_of(&landfall.as_user("long", &long)), 200);
    assert_eq!(status_of(&landfall.as_user("long", &"p".repeat(71))), 401);
}

#[test]
fn whoever_may_push_may_mount_and_cancel() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let bee = landfall.as_user("busy", "bee");
    let digest = bee.push_blob("base/os", b"layer");
    bee.post(&format!(
        "/v2/team/app/blobs/uploads/?mount={digest}&from=base/os"
    ))
    .send()
    .expect(201);
    bee.delete(&bee.begin_upload("team/app")).send().expect(204);
    let session = bee.begin_upload("team/app");
    landfall.patch(&session).body("x").send().expect(401);
    landfall.get(&session).send().expect(401);
    bee.get(&session).send().expect(204).with_header("Range", "0-0");
}

#[test]
fn many_logins_at_once_are_all_answered() {
    let (landfall, _) = Landfall::with_users(&format!(
        "{}\n{}",
        bcrypt_line("busy", "bee"),
        bcrypt_line("other", "one")
    ));
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
                    assert_eq!(status_of(&client), expected);
                }
            });
        }
    });
}

#[test]
fn a_refused_push_stores_nothing() {
    let (landfall, _) = Landfall::with_users(&bcrypt_line("busy", "bee"));
    let image = Image::new("refused");
    let stranger = landfall.as_user("busy", "wrong");
    let put = stranger
        .put("/v2/team/app/manifests/latest")
        .header("Content-Type", types::OCI_MANIFEST);
    put.body(image.manifest().bytes)
        .send()
        .expect_error(401, "UNAUTHORIZED");
    let post = stranger
        .post("/v2/team/app/blobs/uploads/")
        .query("digest", &digest_of("x"))
        .body("x")
        .send();
    post.expect_error(401, "UNAUTHORIZED");
    let bee = landfall.as_user("busy", "bee");
    bee.head_manifest("team/app", "latest").expect(404);
    bee.head_blob("team/app", &digest_of("x")).expect(404);
}
