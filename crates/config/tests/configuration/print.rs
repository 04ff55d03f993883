//! What `config print` shows is a configuration that means the same; and what a reload can change is known beforehand.

use config::{differences, effective};

use crate::harness::{file, nothing};

const FULL: &str = "\
version: 0.1
log: {level: debug, fields: {service: registry, zone: 'a: b'}, accesslog: {disabled: true}}
storage:
  delete: {enabled: false}
  filesystem: {rootdirectory: '/srv/a b'}
  maintenance: {uploadpurging: {age: 48h}}
auth: {htpasswd: {realm: 'Registry Realm', path: /auth/htpasswd}}
http:
  addr: ':5000'
  headers: {X-Content-Type-Options: [nosniff, 'a, b']}
  trusted_proxies: [10.0.0.0/8, private]
health: {file: [{file: /tmp/down, interval: 5s}, {file: /tmp/gone}]}
validation: {manifests: {urls: {allow: ['^https://a/']}, indexes: {platforms: list, platformlist: [{os: linux, architecture: amd64}]}}}
";

#[test]
fn what_is_printed_means_the_same() {
    for text in [
        FULL,
        "storage: inmemory\nauth: none\n",
        "{}\n",
        "http: {addr: /run/x.sock, net: unix}\n",
    ] {
        let loaded = file(text).load();
        for changed in [false, true] {
            let printed = effective(&loaded.values, changed);
            let again = file(&printed).try_load();
            let again = again.unwrap_or_else(|problems| panic!("{problems}\nin:\n{printed}"));
            assert_eq!(
                again.settings,
                {
                    let mut settings = loaded.settings.clone();
                    // That somebody wrote it out is all that may differ.
                    settings.storage.delete_written = again.settings.storage.delete_written;
                    settings.http.relative_urls = again.settings.http.relative_urls;
                    settings
                },
                "{printed}"
            );
        }
    }
}

#[test]
fn printing_what_was_changed_says_who_changed_it_and_no_secret() {
    let loaded = file("http: {addr: '127.0.0.1:1', secret: hushhush}\n")
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "false")
        .flag("--listen", "127.0.0.1:2")
        .load();
    let expected = "\
version: \"0.1\"
storage:
  delete:
    enabled: false  # env REGISTRY_STORAGE_DELETE_ENABLED
http:
  addr: \"127.0.0.1:2\"  # flag --listen
  secret: \"***\"  # /config.yml:1:37
";
    assert_eq!(effective(&loaded.values, true), expected);
}

#[test]
fn a_reload_names_what_it_changes_and_what_needs_a_start() {
    let old = file(FULL).load().values;
    assert_eq!(
        differences(&old, &file(&format!("# the same\n{FULL}")).load().values),
        []
    );
    let text = FULL
        .replace("level: debug", "level: warn")
        .replace(":5000", ":5001")
        .replace("/tmp/gone", "/tmp/away");
    let found = differences(&old, &file(&text).load().values);
    let shown: Vec<_> = found.iter().map(|one| (one.key, one.reloads)).collect();
    assert!(
        shown.contains(&("log.level", true)) && shown.contains(&("http.addr", false)),
        "{shown:?}"
    );
    assert!(shown.contains(&("health.file[].file", false)), "{shown:?}");
    assert!(!shown.iter().any(|(key, _)| key.starts_with("auth")), "{shown:?}");
}

#[test]
fn a_password_file_in_the_data_folder_is_used_where_nothing_says_who_may_log_in() {
    let open = nothing()
        .env("LANDFALL_HTTP__ADDR", ":5000")
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data");
    open.try_load().unwrap_err();
    let with = open.with_file("/data/landfall/htpasswd", "busy:x\n");
    let config::Auth::Htpasswd { path, .. } = with.load().settings.auth else {
        panic!("the file counts");
    };
    assert_eq!(path, std::path::Path::new("/data/landfall/htpasswd"));
    let auth = with.clone().env("REGISTRY_AUTH", "none").load().settings.auth;
    assert_eq!(auth, config::Auth::None);
}
