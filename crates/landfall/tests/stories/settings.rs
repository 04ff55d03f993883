//! An operator brings the settings of the CNCF registry, or writes new ones: they hold, or the start is refused with the place
//! and the way out; and `config check` and `config explain` say beforehand what will hold.
//!
//! Source: the CNCF registry's configuration reference (file and `REGISTRY_*`).

use std::fs;
use std::net::TcpListener;

use crate::harness::passwords::bcrypt_line;
use crate::harness::{Client, Image, Landfall, wait_until};

const EXAMPLE_2: &str = "\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

const EXAMPLE_3: &str = "\
version: 0.1
log:
  accesslog:
    disabled: true
  level: debug
  fields:
    service: registry
    environment: development
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
    maxthreads: 100
  tag:
    concurrencylimit: 8
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// An address that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[test]
fn files_of_the_cncf_registry_start_as_they_are() {
    for example in [EXAMPLE_2, EXAMPLE_3] {
        let builder = Landfall::builder();
        let data = builder.data_dir().as_os_str().to_owned();
        let builder = builder
            .config(example)
            .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data)
            .env("REGISTRY_AUTH", "none");
        let landfall = builder.start();
        landfall
            .get("/v2/")
            .send()
            .expect(200)
            .with_header("X-Content-Type-Options", "nosniff");
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let builder = Landfall::builder().listen(None);
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let data = builder.home().join("elsewhere");
    let landfall = builder
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "r")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", path)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data.as_os_str())
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
        .start();
    landfall.as_user("busy", "bee").get("/v2/").send().expect(200);
    assert!(data.join("landfall").is_dir());
}

#[test]
fn a_flag_beats_the_environment_and_the_environment_the_file() {
    let builder = Landfall::builder()
        .config("http:\n  addr: 192.0.2.1:1\n  headers: {X-From: [file], X-File: [file]}\n");
    let builder = builder
        .env("REGISTRY_HTTP_ADDR", "192.0.2.2:2")
        .env("REGISTRY_HTTP_HEADERS_X-FROM", "[env]");
    let landfall = builder.start();
    let answer = landfall.get("/v2/").send().expect(200);
    answer.with_header("X-From", "env").with_header("X-File", "file");
}

#[test]
fn the_file_is_found_by_either_variable() {
    for name in ["LANDFALL_CONFIG", "REGISTRY_CONFIGURATION_PATH"] {
        let builder = Landfall::builder();
        let path = builder.file(
            "found.yml",
            "version: 0.1\nhttp: {headers: {X-Found: [yes-it-was]}}\n",
        );
        let landfall = builder.env(name, path).start();
        landfall.get("/v2/").send().with_header("X-Found", "yes-it-was");
    }
}

#[test]
fn headers_and_deletion_come_from_the_environment() {
    let builder = Landfall::builder().env("REGISTRY_HTTP_HEADERS_X-Frame-Options", "[DENY]");
    let landfall = builder.env("REGISTRY_STORAGE_DELETE_ENABLED", "true").start();
    landfall.get("/v2/").send().with_header("X-Frame-Options", "DENY");
    landfall.push("a", "latest", &crate::harness::Image::new("env"));
    landfall.delete_manifest("a", "latest").expect(202);
}

#[test]
fn file_health_checks_work_under_both_names() {
    for name in ["REGISTRY_HEALTH_FILECHECKERS_0", "REGISTRY_HEALTH_FILE_0"] {
        let builder = Landfall::builder();
        let maintenance = builder.home().join("maintenance");
        let builder = builder.env(&format!("{name}_FILE"), maintenance.as_os_str());
        let landfall = builder.env(&format!("{name}_INTERVAL"), "100ms").start();
        landfall.get("/").send().expect(200);
        fs::write(&maintenance, "").unwrap();
        wait_until("the registry says that it is unhealthy", || {
            landfall.get("/").send().status == 503
        });
        fs::remove_file(&maintenance).unwrap();
        wait_until("the registry says that it is healthy again", || {
            landfall.get("/").send().status == 200
        });
    }
}

#[test]
fn health_stands_on_the_debug_address() {
    let builder = Landfall::builder();
    let (maintenance, address) = (builder.home().join("maintenance"), free_address());
    let config = format!(
        "http:\n  debug: {{addr: '{address}'}}\nhealth:\n  file:\n    - file: {}\n      interval: 100ms\n",
        maintenance.display()
    );
    let landfall = builder.config(&config).start();
    let debug = Client::new(address.parse().unwrap());
    assert_eq!(
        debug.get("/debug/health").send().expect(200).body.trim_ascii(),
        b"{}"
    );
    fs::write(&maintenance, "").unwrap();
    wait_until("the debug address says so", || {
        debug.get("/debug/health").send().status == 503
    });
    let checks = debug.get("/debug/health").send();
    assert!(!checks.json().as_object().unwrap().is_empty(), "{checks}");
    drop(landfall);
}

/// As a monitoring system that knew the older registry is configured to ask.
#[test]
fn metrics_stand_on_the_debug_address_where_they_were_asked_for() {
    let address = free_address();
    let config =
        format!("http:\n  debug: {{addr: '{address}', prometheus: {{enabled: true, path: /numbers}}}}\n");
    let landfall = Landfall::builder().config(&config).start();
    landfall.push("team/app", "latest", &Image::new("metrics"));
    landfall.get("/v2/team/app/manifests/gone").send().expect(404);
    landfall.get("/v2/nobody/tags/list").send().expect(404);
    let debug = Client::new(address.parse().unwrap());
    let page = debug.get("/numbers").send().expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = String::from_utf8(page.body).unwrap();
    for line in [
        "landfall_http_requests_total{route=\"manifest\",method=\"GET\",code=\"404\"} 1",
        "landfall_http_requests_total{route=\"manifest\",method=\"PUT\",code=\"201\"} 1",
        "landfall_http_requests_total{route=\"tags\",method=\"GET\",code=\"404\"} 1",
        "landfall_http_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(
        !text.contains("team") && !text.contains("sha256"),
        "no names of clients':\n{text}"
    );
    // Not for everybody who may pull, and not where nobody wants them.
    landfall.get("/numbers").send().expect(404);
    debug.get("/metrics").send().expect(404);
    let address = free_address();
    let silent = Landfall::builder()
        .config(&format!("http: {{debug: {{addr: '{address}'}}}}\n"))
        .start();
    Client::new(address.parse().unwrap())
        .get("/metrics")
        .send()
        .expect(404);
    drop(silent);
}

#[test]
fn liveness_and_readiness_need_no_login() {
    let builder = Landfall::builder();
    let path = builder.file("htpasswd", bcrypt_line("busy", "bee"));
    let builder = builder.env(
        "REGISTRY_AUTH",
        "{htpasswd: {realm: r, path: ".to_owned() + path.to_str().unwrap() + "}}",
    );
    let landfall = builder.start();
    for target in ["/healthz", "/readyz", "/startupz"] {
        landfall.get(target).send().expect(200);
    }
    landfall.get("/v2/").send().expect(401);
}

#[test]
fn what_kubernetes_injects_is_ignored() {
    let mut builder = Landfall::builder();
    for name in ["REGISTRY", "LANDFALL"] {
        builder = builder
            .env(&format!("{name}_PORT"), "tcp://10.0.0.1:5000")
            .env(&format!("{name}_PORT_5000_TCP"), "tcp://10.0.0.1:5000")
            .env(&format!("{name}_PORT_5000_TCP_ADDR"), "10.0.0.1")
            .env(&format!("{name}_SERVICE_HOST"), "10.0.0.1")
            .env(&format!("{name}_SERVICE_PORT"), "5000")
            .env(&format!("{name}_SERVICE_PORT_HTTP"), "5000");
    }
    let landfall = builder.start();
    landfall.get("/v2/").send().expect(200);
    landfall.log().expect_clean();
}

#[test]
fn an_unknown_registry_variable_is_warned_about_and_ignored() {
    let landfall = Landfall::builder()
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTRY", "/x")
        .start();
    landfall.get("/v2/").send().expect(200);
    let complaints = landfall.log().complaints();
    assert!(
        complaints
            .iter()
            .any(|line| line.contains("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTRY")),
        "{complaints:?}"
    );
}

#[test]
fn keys_without_effect_are_accepted_with_a_warning() {
    let config = "redis: {addr: 'localhost:6379'}\nstorage:\n  redirect: {disable: true}\n  cache: {blobdescriptor: redis}\n";
    let landfall = Landfall::builder().config(config).start();
    landfall.get("/v2/").send().expect(200);
    assert!(
        landfall
            .log()
            .complaints()
            .iter()
            .any(|line| line.contains("redis")),
        "{}",
        landfall.log()
    );
}

#[test]
fn no_authentication_may_be_written_out() {
    for builder in [
        Landfall::builder().config("auth: none\n"),
        Landfall::builder().env("REGISTRY_AUTH", "none"),
    ] {
        builder.start().get("/v2/").send().expect(200);
    }
}

#[test]
fn a_temporary_store_needs_no_folder_and_leaves_none() {
    let builder = Landfall::builder()
        .without_data()
        .config("storage: {inmemory: {}}\n");
    let folder = builder.home().join("tmp");
    fs::create_dir(&folder).unwrap();
    let landfall = builder.env("TMPDIR", folder.as_os_str()).start();
    let image = crate::harness::Image::new("memory");
    landfall.push("a", "latest", &image);
    landfall.expect_image("a", "latest", &image);
    let home = landfall.stop(); // kept, so that its folder can still be looked into
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 0, "nothing temporary is left");
    drop(home);
}

#[test]
fn the_access_log_can_be_combined_or_silent() {
    let landfall = Landfall::builder()
        .config("log: {accesslog: {format: combined}}\n")
        .start();
    landfall
        .get("/v2/combined/app/tags/list")
        .header("User-Agent", "story/1")
        .send()
        .expect(404);
    landfall
        .log()
        .expect_line(&["\"GET /v2/combined/app/tags/list HTTP/1.1\" 404", "\"story/1\""]);
    let landfall = Landfall::builder()
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
        .start();
    landfall.get("/v2/silent/app/tags/list").send().expect(404);
    let builder_log = landfall.log().clone();
    landfall.stop();
    assert!(!builder_log.contains("silent/app"), "{builder_log}");
}

#[test]
fn logs_can_be_json() {
    let landfall = Landfall::builder().env("REGISTRY_LOG_FORMATTER", "json").start();
    landfall.get("/v2/").send().expect(200);
    let log = landfall.log().clone();
    landfall.stop();
    for line in log.lines().iter().filter(|line| !line.is_empty()) {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()),
            "{line}"
        );
    }
}
