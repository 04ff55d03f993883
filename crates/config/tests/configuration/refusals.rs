//! What a person reads when something is wrong.

use std::fmt::Write as _;

use crate::harness::{file, nothing};
use insta::assert_snapshot;

#[test]
fn a_slip_in_a_key_shows_the_line_and_the_nearest_key() {
    assert_snapshot!(file("version: 0.1\nstorage:\n  filesytem:\n    rootdirectory: /x\n").problems(), @r#"
    error[LF-CFG-012]: unknown key `filesytem`
     ┌─ /config.yml:3:3
    3│   filesytem:
     │   ^^^^^^^^^ did you mean `filesystem`?
     = see `landfall config explain storage.filesystem`
    "#);
}

#[test]
fn the_right_word_at_the_wrong_level_finds_its_place() {
    assert_snapshot!(file("htpasswd:\n  realm: x\n").problems(), @r#"
    error[LF-CFG-012]: unknown key `htpasswd`
     ┌─ /config.yml:1:1
    1│ htpasswd:
     │ ^^^^^^^^ did you mean `auth.htpasswd`?
     = see `landfall config explain auth.htpasswd`
    "#);
}

#[test]
fn a_word_unlike_any_lists_what_is_known() {
    assert_snapshot!(file("http:\n\txyzzy: 1\n".replace('\t', "  ").as_str()).problems(), @r#"
    error[LF-CFG-012]: unknown key `xyzzy`
     ┌─ /config.yml:2:3
    2│   xyzzy: 1
     │   ^^^^^ no such key in `http`
     = known here: `addr`, `debug`, `draintimeout`, `h2c`, `headers`, `host`, `http2`, `net`, `plain_addr`, `prefix`, `relativeurls`, `secret`, `tls`, `trusted_proxies`
    "#);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let all = file(
        "version: 0.2\nlog:\n  level: loud\n  level: info\nhttp:\n  addr: 5000\n  secrte: hunter2\n  draintimeout: soon\n\
         storage:\n  s3: {accesskey: AKIA, secretkey: hunter2, bucket: b}\nauth:\n  htpasswd:\n    realm: x\n",
    )
    .env("REGISTRY_HTTP_HEADERS", "[a")
    .env("LANDFALL_GC__LEASE", "1m");
    assert_snapshot!(all.problems(), @r#"
    error[LF-CFG-004]: `version` cannot be `0.2`
     ┌─ /config.yml:1:10
    1│ version: 0.2
     │          ^^^ the only version of this format is `0.1`
     = version of the format of this file; see `landfall config explain version`

    error[LF-CFG-014]: `log.level` cannot be `loud`
     ┌─ /config.yml:3:10
    3│   level: loud
     │          ^^^^ expected one of `error`, `warn`, `info`, `debug`
     = least important lines to write; see `landfall config explain log.level`

    error[LF-CFG-013]: the key `level` is written twice in one section
     ┌─ /config.yml:4:3
    4│   level: info
     │   ^^^^^ the first is in line 3; keep one of them

    error[LF-CFG-014]: `http.addr` cannot be `5000`
     ┌─ /config.yml:6:9
    6│   addr: 5000
     │         ^^^^ expected HOST:PORT, such as `127.0.0.1:5000` or `:5000`

    error[LF-CFG-012]: unknown key `secrte`
     ┌─ /config.yml:7:3
    7│   secrte: ***
     │   ^^^^^^ did you mean `secret`?
     = signs the state of uploads; made and kept by the server if absent; see `landfall config explain http.secret`

    error[LF-CFG-014]: `http.draintimeout` cannot be `soon`
     ┌─ /config.yml:8:17
    8│   draintimeout: soon
     │                 ^^^^ expected a duration, such as `30s`, `1h30m` or `7d`
     = time that running requests get when the server ends; see `landfall config explain http.draintimeout`

    error[LF-CFG-016]: `storage.s3` is not supported
      ┌─ /config.yml:10:3
    10│   s3: {accesskey: ***
      │   ^^ the S3 backend is planned, and not built yet: use `storage.filesystem` on a volume meanwhile

    error[LF-CFG-019]: `auth.htpasswd.path` is missing
      ┌─ /config.yml:12:3
    12│   htpasswd:
      │   ^^^^^^^^ a password file needs both
      = such as `realm: Registry` and `path: /auth/htpasswd`

    error[LF-CFG-014]: `gc.lease` cannot be `1m`
      ┌─ env LANDFALL_GC__LEASE
      │ expected at least 1h
      = how long a blob that a client was told exists is kept for the manifest that may follow; see `landfall config explain gc.lease`

    error[LF-CFG-010]: the value of REGISTRY_HTTP_HEADERS is not valid YAML
      ┌─ env REGISTRY_HTTP_HEADERS
      │ unclosed bracket '['
      = values are read as YAML: put quotes around text with special characters, such as '"[::]:5000"'
    "#);
}

#[test]
fn an_open_door_names_the_ways_out() {
    assert_snapshot!(file("http:\n  addr: :5000\n").problems(), @r#"
    error[LF-CFG-020]: others can reach [::]:5000, and no login is configured
     ┌─ /config.yml:2:9
    2│   addr: :5000
     │         ^^^^^ everyone could pull, push and delete
     = with passwords: `landfall user add NAME`, with the same --data or --config; it makes a password file in the data folder
     = with a password file that you have: set `auth.htpasswd.realm` and `auth.htpasswd.path`
     = for this machine alone: `http.addr: 127.0.0.1:5000`, or `--listen 127.0.0.1:5000`
     = open to everyone, on purpose: `auth: none`, or REGISTRY_AUTH=none
    "#);
    assert_snapshot!(nothing().flag("--listen", ":5000").problems(), @r#"
    error[LF-CFG-020]: others can reach [::]:5000, and no login is configured
      ┌─ flag --listen
      │ everyone could pull, push and delete
      = with passwords: `landfall user add NAME`, with the same --data or --config; it makes a password file in the data folder
      = with a password file that you have: set `auth.htpasswd.realm` and `auth.htpasswd.path`
      = for this machine alone: `http.addr: 127.0.0.1:5000`, or `--listen 127.0.0.1:5000`
      = open to everyone, on purpose: `auth: none`, or REGISTRY_AUTH=none
    "#);
}

#[test]
fn what_is_planned_says_so() {
    let planned = file(
        "storage: {s3: {bucket: b}}\nnotifications:\n  endpoints: [{name: a, url: 'http://x'}]\nproxy: {remoteurl: 'https://registry-1.docker.io'}\n\
         auth: {token: {realm: r}}\nmiddleware: {storage: [{name: cloudfront}]}\n",
    );
    assert_snapshot!(planned.problems(), @r#"
    error[LF-CFG-016]: `storage.s3` is not supported
     ┌─ /config.yml:1:11
    1│ storage: {s3: {bucket: b}}
     │           ^^ the S3 backend is planned, and not built yet: use `storage.filesystem` on a volume meanwhile

    error[LF-CFG-016]: `notifications.endpoints` is not supported
     ┌─ /config.yml:3:3
    3│   endpoints: [{name: a, url: 'http://x'}]
     │   ^^^^^^^^^ notifications are planned, and not built yet: remove the endpoint, or write `disabled: true` in it

    error[LF-CFG-016]: `proxy.remoteurl` is not supported
     ┌─ /config.yml:4:9
    4│ proxy: {remoteurl: 'https://registry-1.docker.io'}
     │         ^^^^^^^^^ pull-through caching is planned, and not built yet: keep the cache on its own registry meanwhile

    error[LF-CFG-016]: `auth.token` is not supported
     ┌─ /config.yml:5:8
    5│ auth: {token: {realm: r}}
     │        ^^^^^ token authentication is planned, and not built yet: use `auth.htpasswd` meanwhile

    error[LF-CFG-016]: `middleware.storage` is not supported
     ┌─ /config.yml:6:14
    6│ middleware: {storage: [{name: cloudfront}]}
     │              ^^^^^^^ Landfall has no middleware: remove the entry, or write `disabled: true` in it
    "#);
}

#[test]
fn notifications_from_the_environment_are_refused_too() {
    assert_snapshot!(nothing().env("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "http://x").problems(), @r#"
    error[LF-CFG-016]: `notifications.endpoints` is not supported
      ┌─ env REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL
      │ notifications are planned, and not built yet: remove the endpoint, or write `disabled: true` in it
    "#);
}

#[test]
fn broken_yaml_points_at_its_place_without_the_secret() {
    assert_snapshot!(file("http:\n  secret: \"hunter2\n").problems(), @r#"
    error[LF-CFG-002]: this is not valid YAML
     ┌─ /config.yml:2:11
    2│   secret: ***
     │           ^ unclosed quote
    "#);
    assert_snapshot!(file("http: {addr: x").problems(), @r#"
    error[LF-CFG-002]: this is not valid YAML
     ┌─ /config.yml:1:7
    1│ http: {addr: x
     │       ^ unclosed bracket '{'
    "#);
    assert_snapshot!(file("a: 1\n---\nb: 2\n").problems(), @r#"
    error[LF-CFG-002]: a second YAML document begins here
     ┌─ /config.yml:3:1
    3│ b: 2
     │ ^ only one document is read: join them, or remove the `---`
    "#);
}

#[test]
fn warnings_say_what_has_no_effect() {
    let odd = file("http: {addr: ':5000'}\nauth: none\nstorage:\n  cache: {blobdescriptor: redis}\n")
        .env("REGISTRY_HTTP_ADRD", ":1")
        .env("OTEL_TRACES_EXPORTER", "otlp");
    assert_snapshot!(odd.warnings(), @r#"
    warning[LF-CFG-103]: no login is asked for
     ┌─ /config.yml:2:1
    2│ auth: none
     │ ^^^^ everyone who reaches [::]:5000 may pull, push and delete

    warning[LF-CFG-101]: `storage.cache.blobdescriptor` has no effect
     ┌─ /config.yml:4:11
    4│   cache: {blobdescriptor: redis}
     │           ^^^^^^^^^^^^^^ Landfall's catalog needs no such cache, in memory or in redis

    warning[LF-CFG-101]: `OTEL_*` has no effect
      ┌─ env OTEL_TRACES_EXPORTER
      │ Landfall sends no traces yet

    warning[LF-CFG-102]: REGISTRY_HTTP_ADRD names no setting
      ┌─ env REGISTRY_HTTP_ADRD
      │ ignored, as the CNCF registry does
    "#);
    let lines: Vec<_> = odd
        .load()
        .warnings
        .iter()
        .map(config::Finding::one_line)
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    no login is asked for (/config.yml:2:1); everyone who reaches [::]:5000 may pull, push and delete
    `storage.cache.blobdescriptor` has no effect (/config.yml:4:11); Landfall's catalog needs no such cache, in memory or in redis
    `OTEL_*` has no effect (env OTEL_TRACES_EXPORTER); Landfall sends no traces yet
    REGISTRY_HTTP_ADRD names no setting (env REGISTRY_HTTP_ADRD); ignored, as the CNCF registry does
    "#);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    assert_snapshot!(nothing().named("/gone.yml").problems(), @r#"
    error[LF-CFG-001]: cannot read the configuration file /gone.yml
      ┌─ flag --config
      │ it does not exist
      = name one that exists, or none: the defaults then hold
    "#);
    assert_snapshot!(nothing().env("LANDFALL_CONFIG", "/directory").problems(), @r#"
    error[LF-CFG-001]: cannot read the configuration file /directory
      ┌─ env LANDFALL_CONFIG
      │ it is a directory
      = compose makes one when a bind-mounted file does not exist on the host: remove it, and make the file
    "#);
}

#[test]
fn a_file_that_is_not_a_section_is_refused() {
    assert_eq!(file("hello").codes(), ["LF-CFG-014"]);
    assert_eq!(file("[a, b]").codes(), ["LF-CFG-014"]);
    assert_eq!(
        file("http: 5\nhealth: {file: /x}").codes(),
        ["LF-CFG-014", "LF-CFG-014"]
    );
    assert_eq!(file("http: {addr: [a]}").codes(), ["LF-CFG-014"]);
    file("").load_clean();
    file("# only a comment\n").load_clean();
    file("http:\nlog:\n").load_clean();
}

#[test]
fn values_out_of_their_kind_are_refused() {
    let refused = [
        "http: {headers: {'a b': [c]}}",
        "http: {headers: {Content-Length: ['1']}}",
        "http: {headers: {X-A: [\"a\\nb\"]}}",
        "http: {prefix: registry}",
        "http: {prefix: /a/../b/}",
        "http: {host: registry.example.com}",
        "http: {host: 'https://a/b'}",
        "http: {host: 'ftp://a'}",
        "http: {trusted_proxies: [10.0.0.0/33]}",
        "http: {trusted_proxies: loopback}",
        "http: {debug: {addr: nowhere}}",
        "http: {draintimeout: -5s}",
        "validation: {manifests: {urls: {allow: ['(']}}}",
        "validation: {manifests: {urls: {deny: ['a{1000}{1000}']}}}",
        "validation: {manifests: {indexes: {platforms: some}}}",
        "storage: {delete: {enabled: maybe}}",
        "storage: {inline_max: 16K}",
        "limits: {upload_sessions: many}",
        "tags: {maxtags: -1}",
        "log: {fields: [a]}",
        "version: 1",
    ];
    for text in refused {
        let codes = file(text).codes();
        assert!(
            codes == ["LF-CFG-014"] || codes == ["LF-CFG-004"],
            "{text}: {codes:?}"
        );
    }
    assert_eq!(
        file("catalog: {maxentries: -5}").load_clean().catalog_page_max,
        1000
    );
    assert_eq!(file("http: {prefix: /reg}").load_clean().http.prefix, "/reg/");
    assert_eq!(
        file("limits: {blob: 20GB, upload_sessions: 8}")
            .load_clean()
            .limits
            .blob_bytes_max,
        Some(20_000_000_000)
    );
}

#[test]
fn entries_without_their_parts_are_refused() {
    assert_eq!(file("health: {file: [{interval: 5s}]}").codes(), ["LF-CFG-019"]);
    assert_eq!(
        file("validation: {manifests: {indexes: {platforms: list, platformlist: [{os: linux}]}}}").codes(),
        ["LF-CFG-019"]
    );
    assert_eq!(file("auth: {htpasswd: {path: /x}}").codes(), ["LF-CFG-019"]);
    assert_eq!(file("auth: htpasswd").codes(), ["LF-CFG-019"]);
}

#[test]
fn alias_bombs_and_deep_nests_are_refused_quickly() {
    let mut bomb = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(bomb, "b{level}: &a{level} [{below}]");
    }
    assert_eq!(file(&bomb).codes(), ["LF-CFG-003"]);
    assert!(
        matches!(file(&"[".repeat(100_000)).codes().as_slice(), [one] if one == "LF-CFG-003" || one == "LF-CFG-002")
    );
    assert_eq!(
        file(&format!("a: {}", "{a: ".repeat(40) + &"}".repeat(40))).codes(),
        ["LF-CFG-003"]
    );
    assert_eq!(file("a: &a [*a]").codes().len(), 1);
    assert_eq!(file(&" ".repeat(2 << 20)).codes(), ["LF-CFG-003"]);
}

#[test]
fn secrets_never_show() {
    let canary = "hunter2";
    let wrong = [
        file("http: {secret: [hunter2]}"),
        file("http: {secret: hunter2, addr: 1}"),
        file("http:\n  secret: hunter2\n  secret: hunter2\n"),
        file("redis: {password: hunter2, addr: x}\nhttp: {addr: 1}"),
        nothing()
            .env("REGISTRY_HTTP_SECRET", "[hunter2")
            .env("LANDFALL_HTTP__SECRET_FILE", "/gone"),
        nothing().env("REGISTRY_HTTP_SECRET", "{hunter2: 1}"),
        nothing().env("REGISTRY_STORAGE_S3_SECRETKEY", "hunter2"),
    ];
    for configuration in wrong {
        let problems = configuration.refusal();
        let shown = format!("{problems} {:?}", problems.warnings);
        assert!(!shown.contains(canary), "{shown}");
    }
    let loaded = file("http: {secret: hunter2}").load();
    assert!(!format!("{:?}", loaded.settings).contains(canary));
    assert!(!format!("{loaded:?}").contains(canary), "origins keep the tree");
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    assert_snapshot!(file("http: {tls: {certificate: /a}}").problems(), @r#"
    error[LF-CFG-019]: `http.tls.key` is missing
     ┌─ /config.yml:1:27
    1│ http: {tls: {certificate: /a}}
     │                           ^^ a certificate needs its private key
    "#);
}
