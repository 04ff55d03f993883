//! Who works with the admin API, by which door, and what everybody else is told.
//!
//! Source: docs/api.md.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::harness::admin::over_socket;
use crate::harness::passwords::bcrypt_line;
use crate::harness::server::Builder;
use crate::harness::{Image, Landfall, wait_until};

const GC: &str = "/api/v1/gc";

fn with_admins(text: &str) -> Builder {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", text);
    builder.htpasswd(&path)
}

#[test]
fn the_owner_of_the_data_asks_over_the_socket_without_a_login() {
    let landfall = with_admins(&bcrypt_line("busy", "bee")).start();
    let mode = fs::symlink_metadata(landfall.admin_socket()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = landfall.admin("GET", GC, "").expect(200);
    assert_eq!(answer.json()["schema"], "landfall.gc.status/1");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(landfall.admin("GET", "/healthz", "").body, b"ok\n");
    landfall.admin("GET", "/readyz", "").expect(200);
    // Nothing else is there: images go by the registry's own address, with a login.
    landfall.get("/v2/").send().expect(401);
    let message = landfall
        .admin("GET", "/v2/", "")
        .expect_problem(404, "LF-API-002");
    assert!(message.contains("/api/v1/openapi.json"), "{message}");
    let paused = landfall.admin("POST", "/api/v1/gc/pause", "").expect(200);
    let by = paused.json()["by"].as_str().unwrap().to_owned();
    assert!(by.starts_with("local:"), "{by}");
    landfall.log().expect_clean();
}

#[test]
fn over_http_a_login_and_a_name_among_the_admins_are_needed() {
    let text = format!(
        "{}\n{}\n",
        bcrypt_line("admin", "root"),
        bcrypt_line("busy", "bee")
    );
    let landfall = with_admins(&text).start();
    let nobody = landfall.get(GC).send();
    nobody.expect_problem(401, "LF-API-004");
    assert!(nobody.expect_header("www-authenticate").starts_with("Basic "));
    landfall
        .as_user("admin", "wrong")
        .get(GC)
        .send()
        .expect_problem(401, "LF-API-004");
    let message = landfall
        .as_user("busy", "bee")
        .get(GC)
        .send()
        .expect_problem(403, "LF-API-005");
    assert!(
        message.contains("busy") && message.contains("admin.users"),
        "{message}"
    );
    let admin = landfall.as_user("admin", "root");
    assert_eq!(
        admin.get(GC).send().expect(200).json()["schema"],
        "landfall.gc.status/1"
    );
    let paused = admin.post("/api/v1/gc/pause").send().expect(200);
    assert_eq!(paused.json()["by"], "admin");
    // What is not there is told to admins only.
    landfall
        .get("/api/v1/nothing")
        .send()
        .expect_problem(401, "LF-API-004");
    admin
        .get("/api/v1/nothing")
        .send()
        .expect_problem(404, "LF-API-002");
    let landfall = landfall.stop().env("LANDFALL_ADMIN__USERS", "[busy]").start();
    landfall.as_user("busy", "bee").get(GC).send().expect(200);
    landfall
        .as_user("admin", "root")
        .get(GC)
        .send()
        .expect_problem(403, "LF-API-005");
}

#[test]
fn where_nobody_logs_in_nobody_is_an_admin_over_http() {
    for builder in [
        Landfall::builder(),
        Landfall::builder().env("REGISTRY_AUTH", "none"),
    ] {
        let landfall = builder.start();
        for answer in [
            landfall.get(GC).send(),
            landfall.as_user("admin", "anything").get(GC).send(),
        ] {
            let message = answer.expect_problem(403, "LF-API-006");
            assert!(
                message.contains("socket") && message.contains("landfall user add"),
                "{message}"
            );
        }
        landfall.admin("GET", GC, "").expect(200);
    }
}

#[test]
fn a_reload_changes_who_is_an_admin() {
    let builder = with_admins(&bcrypt_line("busy", "bee"));
    let config = builder.file("landfall.yaml", "admin: {users: [admin]}\n");
    let landfall = builder.arg(config).start();
    let busy = landfall.as_user("busy", "bee");
    busy.get(GC).send().expect_problem(403, "LF-API-005");
    landfall
        .how()
        .file("landfall.yaml", "admin: {users: [admin, busy]}\n");
    let pid = rustix::process::Pid::from_raw(i32::try_from(landfall.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    wait_until("busy is an admin", || busy.get(GC).send().status == 200);
}

#[test]
fn another_user_of_the_machine_is_turned_away_at_the_socket() {
    let landfall = Landfall::start();
    // Somebody opened it to all: the kernel still says who comes.
    for place in [
        landfall.how().home(),
        &landfall.how().data_dir().join("landfall"),
        landfall.how().data_dir(),
    ] {
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let data = landfall.how().data_dir().to_str().unwrap().to_owned();
    let status = || {
        let mut command = landfall.how().command();
        command
            .args(["gc", "status", "--data", &data])
            .uid(65534)
            .gid(65534);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    };
    let closed = status();
    let said = String::from_utf8_lossy(&closed.stderr).into_owned();
    assert_eq!(closed.status.code(), Some(4), "{said}");
    assert!(
        said.contains("LF-CLI-005") && said.contains("--server URL"),
        "{said}"
    );
    fs::set_permissions(landfall.admin_socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let open = status();
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    assert_eq!(open.status.code(), Some(4), "{said}");
    assert!(said.contains("LF-API-008") && said.contains("65534"), "{said}");
}

#[test]
fn the_socket_goes_with_the_server_and_a_dead_ones_is_replaced() {
    let landfall = Landfall::start();
    let socket = landfall.admin_socket();
    let crashed = landfall.kill();
    assert!(socket.exists(), "nobody was left to remove it");
    let asked = crashed.run(&["gc", "status", "--data", crashed.data_dir().to_str().unwrap()]);
    assert_eq!(asked.code, Some(8), "{asked:?}");
    for word in ["LF-CLI-004", "nothing listens there", "--data", "--server"] {
        assert!(asked.stderr.contains(word), "{word}: {asked:?}");
    }
    let landfall = crashed.start();
    landfall.admin("GET", GC, "").expect(200);
    let stopped = landfall.stop();
    assert!(!socket.exists());
    let asked = stopped.run(&["gc", "status", "--data", stopped.data_dir().to_str().unwrap()]);
    assert_eq!(asked.code, Some(8), "{asked:?}");
}

#[test]
fn the_socket_may_be_elsewhere_and_its_path_long() {
    let builder = Landfall::builder();
    let folder = builder.home().join("run".repeat(30));
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("of-the-admin.sock");
    let landfall = builder.env("LANDFALL_ADMIN__SOCKET", &socket).start();
    assert!(!landfall.admin_socket().exists());
    assert!(socket.exists() && socket.as_os_str().len() > 107);
    assert!(landfall.done(&["gc", "status"]).starts_with("WAITING"));
    landfall.stop();
    assert!(!socket.exists());
    let deep = Landfall::builder();
    let data = deep.home().join("data".repeat(30));
    let landfall = deep.data(&data).start();
    assert!(landfall.done(&["gc", "status"]).starts_with("WAITING"));
    // One that works on a data folder at rest as well looks first whether a server answers there.
    assert!(landfall.done(&["check"]).ends_with("all is well\n"));
    landfall
        .log()
        .expect_line(&["the path of the admin socket has", "--data", "curl"]);
    let checked = landfall
        .how()
        .run(&["config", "check", "--data", data.to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let said = checked.stdout + &checked.stderr;
    assert!(
        said.contains("LF-CFG-104") && said.contains("admin.socket"),
        "{said}"
    );
}

#[test]
fn a_place_that_takes_no_socket_is_refused_where_it_was_chosen_and_warned_of_elsewhere() {
    let builder = Landfall::builder();
    let nowhere = builder.home().join("no/such/folder.sock");
    let refused = builder
        .clone()
        .env("LANDFALL_ADMIN__SOCKET", &nowhere)
        .start_refused();
    refused.expect_words(&["LF-SRV-002", "admin.socket"]);
    fs::create_dir_all(builder.data_dir().join("landfall/admin.sock")).unwrap();
    let landfall = builder.start();
    landfall
        .log()
        .expect_line(&["there is no admin socket", "--server"]);
    landfall.get("/v2/").send().expect(200);
}

#[test]
fn what_cannot_be_understood_is_answered_with_what_is_right() {
    let landfall = Landfall::start();
    let bad = |method: &str, target: &str, body: &str| {
        landfall
            .admin(method, target, body)
            .expect_problem(400, "LF-API-001")
    };
    assert!(bad("GET", "/api/v1/gc?colour=red", "").contains("colour"));
    let message = landfall.admin("DELETE", GC, "").expect_problem(405, "LF-API-003");
    assert!(message.contains("DELETE"), "{message}");
    landfall
        .admin("GET", "/api/v2/gc", "")
        .expect_problem(404, "LF-API-002");
    let large = "x".repeat(1024 * 1024 + 1);
    landfall
        .admin("POST", "/api/v1/gc/pause", &large)
        .expect_problem(413, "LF-API-007");
}

#[test]
fn a_page_of_another_site_cannot_use_the_login_that_a_browser_keeps() {
    let landfall = with_admins(&bcrypt_line("admin", "root")).start();
    let admin = landfall.as_user("admin", "root");
    admin
        .post("/api/v1/gc/pause")
        .header("Sec-Fetch-Site", "cross-site")
        .send()
        .expect_problem(403, "LF-API-009");
    let form = admin
        .post("/api/v1/gc/pause")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send();
    assert!(
        form.expect_problem(415, "LF-API-017")
            .contains("application/json")
    );
    assert!(landfall.admin("GET", GC, "").json()["waiting"]["reason"] != "paused");
}

#[test]
fn the_api_stands_behind_the_prefix_too_and_is_logged_and_counted_like_everything() {
    let text = bcrypt_line("admin", "root");
    let landfall = with_admins(&text).env("LANDFALL_HTTP__PREFIX", "/reg/").start();
    let admin = landfall.as_user("admin", "root");
    admin.get("/reg/api/v1/gc").send().expect(200);
    admin.get(GC).send().expect(404);
    landfall.admin("GET", GC, "").expect(200);
    landfall.log().expect_line(&["/reg/api/v1/gc", "admin", "200"]);
    landfall.log().expect_line(&["local:", GC, "200"]);
    let secret = landfall.how().file("secret", "root\n");
    let url = format!("http://{}/reg", landfall.address);
    let how = landfall
        .how()
        .clone()
        .env("LANDFALL_PASSWORD_FILE", secret.as_os_str());
    let status = how.run(&["gc", "status", "--server", &url, "--user", "admin"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    let how = how.env("LANDFALL_SERVER", &url);
    assert_eq!(how.run(&["gc", "status", "--user", "admin"]).code, Some(0));
    let without = how.run(&["gc", "status"]);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--user NAME"), "{without:?}");
    let wrong = how.run(&["gc", "status", "--user", "busy"]);
    assert!(
        wrong.code == Some(4) && wrong.stderr.contains("LF-API-004"),
        "{wrong:?}"
    );
    let elsewhere = how.run(&[
        "gc",
        "status",
        "--user",
        "admin",
        "--server",
        &format!("http://{}", landfall.address),
    ]);
    assert!(
        elsewhere.code == Some(1) && elsewhere.stderr.contains("LF-CLI-006"),
        "{elsewhere:?}"
    );
}

#[test]
fn a_password_in_a_url_is_refused() {
    let builder = Landfall::builder();
    let refused = builder.run(&["gc", "status", "--server", "http://admin:secret@127.0.0.1:1"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("no name and password in a URL"),
        "{refused:?}"
    );
}

#[test]
fn the_document_of_the_api_comes_from_the_server_itself() {
    let landfall = Landfall::start();
    landfall.push("team/app", "latest", &Image::new("something"));
    let document = over_socket(&landfall.admin_socket(), "GET", "/api/v1/openapi.json", "").expect(200);
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/gc"]["get"]["summary"].is_string());
}

#[test]
fn a_terminal_is_asked_for_the_password_and_does_not_show_it() {
    let landfall = with_admins(&bcrypt_line("admin", "a secret word")).start();
    let line = format!("gc status --server http://{} --user admin", landfall.address);
    let (code, shown) = landfall.typed(&line, "a secret word\n");
    assert!(code == Some(0) && shown.contains("WAITING"), "{shown}");
    // What is typed before the question is asked, the terminal itself shows.
    let (_, asked) = shown.split_once("Password of admin at http://").unwrap();
    assert!(!asked.contains("secret word"), "{shown}");
    let (code, shown) = landfall.typed(&line, "wrong\n");
    assert!(code == Some(4) && shown.contains("LF-API-004"), "{shown}");
    // Without a terminal nobody is asked, and nobody waits.
    let url = format!("http://{}", landfall.address);
    let asked = landfall
        .how()
        .run(&["gc", "status", "--server", &url, "--user", "admin"]);
    assert!(
        asked.code == Some(2) && asked.stderr.contains("--password-stdin"),
        "{asked:?}"
    );
    let socket = landfall.does(&["gc", "status", "--user", "admin"]);
    assert!(
        socket.code == Some(2) && socket.stderr.contains("needs none"),
        "{socket:?}"
    );
}
