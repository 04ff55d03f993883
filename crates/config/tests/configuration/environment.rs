//! What variables and flags set, and in which order.

use std::time::Duration;

use crate::harness::{file, nothing};
use config::{Auth, Level, Listen, Medium, Settings, Sources};

#[test]
fn flag_before_landfall_before_registry_before_file() {
    let address = |settings: &Settings| match &settings.http.listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => path.display().to_string(),
    };
    let all = file("http: {addr: '127.0.0.1:1'}");
    assert_eq!(address(&all.load_clean()), "127.0.0.1:1");
    let all = all.env("REGISTRY_HTTP_ADDR", "127.0.0.1:2");
    assert_eq!(address(&all.load_clean()), "127.0.0.1:2");
    let all = all.env("LANDFALL_HTTP__ADDR", "127.0.0.1:3");
    assert_eq!(address(&all.load_clean()), "127.0.0.1:3");
    let all = all.flag("--listen", "127.0.0.1:4");
    assert_eq!(address(&all.load_clean()), "127.0.0.1:4");
    assert_eq!(address(&all.flag("--data", "/d").load_clean()), "127.0.0.1:4");
}

#[test]
fn values_are_yaml() {
    let settings = nothing()
        .env("REGISTRY_HTTP_HEADERS_X-Frame-Options", "[DENY]")
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "true")
        .env("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{\"enabled\":true}")
        .env("REGISTRY_HTTP_DRAINTIMEOUT", "10s")
        .env("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0", "^https://a/")
        .env("REGISTRY_LOG_FIELDS_SERVICE", "mine")
        .load_clean();
    assert_eq!(
        settings.http.headers,
        [("x-frame-options".into(), vec!["DENY".into()])]
    );
    assert!(settings.storage.delete_enabled && settings.storage.delete_written && settings.storage.read_only);
    assert_eq!(settings.http.drain_timeout, Duration::from_secs(10));
    assert_eq!(settings.validation.urls.allow, ["^https://a/"]);
    assert_eq!(settings.log.fields, [("service".into(), "mine".into())]);
}

#[test]
fn an_empty_value_is_the_zero_value() {
    let file = file(
        "storage: {delete: {enabled: true}}\nhttp: {host: 'https://a', draintimeout: 5s}\nlog: {fields: {a: b}}",
    );
    let settings = file
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "")
        .env("REGISTRY_HTTP_HOST", "")
        .env("REGISTRY_HTTP_DRAINTIMEOUT", "")
        .env("REGISTRY_LOG_FIELDS", "")
        .load_clean();
    assert!(!settings.storage.delete_enabled);
    assert_eq!(settings.http.host, None);
    assert_eq!(settings.http.drain_timeout, Duration::ZERO);
    assert!(settings.log.fields.is_empty());
}

#[test]
fn a_section_is_replaced_before_its_parts_are_set() {
    let settings = file("storage: {inmemory: {}, delete: {enabled: false}}")
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data")
        .env("REGISTRY_STORAGE", "filesystem")
        .load_clean();
    assert_eq!(
        settings.storage.medium,
        Medium::Filesystem {
            root: "/data".into(),
            allow_network: false
        }
    );
    assert!(settings.storage.delete_enabled, "the section was replaced");
}

#[test]
fn auth_of_the_file_can_be_replaced_by_none() {
    let file = file("auth: {htpasswd: {realm: a, path: /b}}");
    assert_eq!(
        file.clone().env("REGISTRY_AUTH", "none").load_clean().auth,
        Auth::None
    );
    assert_eq!(
        file.env("REGISTRY_AUTH", "").load_clean().auth,
        Auth::NotConfigured
    );
}

#[test]
fn both_spellings_of_a_key_are_effective() {
    for name in [
        "REGISTRY_HEALTH_FILECHECKERS_0_FILE",
        "REGISTRY_HEALTH_FILE_0_FILE",
    ] {
        assert_eq!(
            nothing().env(name, "/down").load_clean().health.files[0]
                .path
                .to_str(),
            Some("/down"),
            "{name}"
        );
    }
    let both = nothing()
        .env("REGISTRY_HEALTH_FILE_1_FILE", "/b")
        .env("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/a");
    assert_eq!(both.load_clean().health.files.len(), 2);
    let clash = nothing()
        .env("REGISTRY_HEALTH_FILE_0_FILE", "/b")
        .env("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/a");
    assert_eq!(clash.codes(), ["LF-CFG-022"]);
}

#[test]
fn lists_grow_in_numeric_order() {
    let mut many = nothing();
    for index in 0..12 {
        many = many.env(
            &format!("REGISTRY_HEALTH_FILE_{index}_FILE"),
            &format!("/{index}"),
        );
    }
    let files = many.load_clean().health.files;
    let paths: Vec<_> = files
        .iter()
        .map(|probe| probe.path.display().to_string())
        .collect();
    assert_eq!(
        paths,
        (0..12).map(|index| format!("/{index}")).collect::<Vec<_>>()
    );
    assert_eq!(
        nothing().env("REGISTRY_HEALTH_FILE_1_FILE", "/x").codes(),
        ["LF-CFG-015"]
    );
}

#[test]
fn two_drivers_are_refused_by_name() {
    let two = file("storage: {filesystem: {rootdirectory: /x}}").env("REGISTRY_STORAGE_INMEMORY", "{}");
    assert_eq!(two.codes(), ["LF-CFG-017"]);
    assert!(two.problems().contains("`filesystem` and `inmemory`"));
    let s3 = file("storage: {filesystem: {rootdirectory: /x}}").env("REGISTRY_STORAGE_S3_BUCKET", "b");
    assert_eq!(s3.codes(), ["LF-CFG-016", "LF-CFG-017"]);
    let two_logins = file("auth: none").env("REGISTRY_AUTH_HTPASSWD_REALM", "r");
    assert_eq!(two_logins.codes(), ["LF-CFG-018"]);
}

#[test]
fn kubernetes_may_inject_what_it_likes() {
    nothing()
        .env("REGISTRY_PORT", "tcp://10.0.0.1:5000")
        .env("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1")
        .env("REGISTRY_SERVICE_HOST", "10.0.0.1")
        .env("LANDFALL_PORT", "tcp://10.0.0.1:5000")
        .env("LANDFALL_SERVICE_PORT", "5000")
        .env("PATH", "/bin")
        .load_clean();
}

#[test]
fn unknown_registry_variables_are_only_worth_a_warning() {
    let odd = nothing()
        .env("REGISTRY_HTTP_ADRD", ":5000")
        .env("REGISTRY_GC_LEASE", "1h")
        .env("REGISTRY_NONSENSE", "[")
        .env("REGISTRY_HTTP", "{net: tcp, bogus: 1}");
    let warnings = odd.load().warnings;
    let codes: Vec<_> = warnings.iter().map(config::Finding::code).collect();
    assert_eq!(codes, ["LF-CFG-102"; 4]);
}

#[test]
fn unknown_landfall_variables_are_refused() {
    assert_eq!(nothing().env("LANDFALL_HTP__ADDR", "x").codes(), ["LF-CFG-011"]);
    assert!(
        nothing()
            .env("LANDFALL_HTTP_ADDR", "x")
            .problems()
            .contains("did you mean LANDFALL_HTTP__ADDR?")
    );
    assert_eq!(
        nothing().env("LANDFALL_HTTP", "{bogus: 1}").codes(),
        ["LF-CFG-012"]
    );
    nothing()
        .env("LANDFALL_LANG", "en")
        .env("LANDFALL_SERVER", "https://x")
        .load_clean();
}

#[test]
fn landfall_variables_take_text_as_it_stands() {
    let settings = nothing()
        .env("LANDFALL_TRASH__UNDO_WINDOW", "14d")
        .env("LANDFALL_HTTP__TRUSTED_PROXIES", "[private, 172.16.0.0/12]")
        .env("LANDFALL_HTTP__SECRET", "a: #b [")
        .env("LANDFALL_STORAGE__INLINE_MAX", "4KiB")
        .env("LANDFALL_HTTP__ADDR", "[::1]:5000")
        .load_clean();
    assert_eq!(settings.undo_window, Duration::from_hours(14 * 24));
    assert_eq!(settings.http.trusted_proxies.len(), 2);
    assert_eq!(settings.http.secret.unwrap().expose(), "a: #b [");
    assert_eq!(settings.storage.inline_bytes_max, 4096);
}

#[test]
fn a_secret_may_lie_in_a_file() {
    let secret = nothing()
        .with_file("/run/secrets/http", "hush\n")
        .env("LANDFALL_HTTP__SECRET_FILE", "/run/secrets/http");
    assert_eq!(secret.load_clean().http.secret.unwrap().expose(), "hush");
    assert_eq!(
        nothing().env("LANDFALL_HTTP__SECRET_FILE", "/gone").codes(),
        ["LF-CFG-001"]
    );
    assert_eq!(
        nothing().env("LANDFALL_HTTP__ADDR_FILE", "/gone").codes(),
        ["LF-CFG-011"]
    );
    assert_eq!(
        secret.env("LANDFALL_HTTP__SECRET", "other").codes(),
        ["LF-CFG-022"]
    );
}

#[test]
fn a_flag_may_stand_more_than_once() {
    let settings = nothing()
        .flag("--trust-proxy", "private")
        .flag("--trust-proxy", "1.2.3.4")
        .load_clean();
    assert_eq!(settings.http.trusted_proxies.len(), 2);
    assert_eq!(
        nothing().flag("--trust-proxy", "everyone").codes(),
        ["LF-CFG-014"]
    );
}

#[test]
fn sockets_are_local() {
    let socket = file("http: {net: unix, addr: /run/landfall.sock}");
    assert_eq!(
        socket.load_clean().http.listen,
        Listen::Unix("/run/landfall.sock".into())
    );
    assert_eq!(file("http: {net: unix}").codes(), ["LF-CFG-014"]);
}

#[test]
fn an_open_address_needs_a_decision() {
    assert_eq!(nothing().env("LANDFALL_IMAGE", "1").codes(), ["LF-CFG-020"]);
    for open in [":5000", "0.0.0.0:5000", "'[::]:5000'", "registry.lan:5000"] {
        assert_eq!(
            nothing().env("REGISTRY_HTTP_ADDR", open).codes(),
            ["LF-CFG-020"],
            "{open}"
        );
    }
    for local in ["localhost:5000", "127.0.0.1:0", "'[::1]:5000'"] {
        nothing().env("REGISTRY_HTTP_ADDR", local).load_clean();
    }
    let on_purpose = nothing().flag("--listen", ":5000").env("REGISTRY_AUTH", "none");
    assert_eq!(on_purpose.load().warnings.len(), 1);
}

#[test]
fn log_level_takes_any_case() {
    assert_eq!(
        nothing()
            .env("REGISTRY_LOG_LEVEL", "Debug")
            .load_clean()
            .log
            .level,
        Level::Debug
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused_by_name() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    let bad = OsString::from_vec(vec![0xff, 0xfe]);
    let sources = |name: &str| Sources {
        file: None,
        environment: vec![(name.into(), bad.clone())],
        flags: Vec::new(),
        read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    assert_eq!(
        Settings::load(&sources("REGISTRY_HTTP_SECRET"))
            .unwrap_err()
            .errors[0]
            .code(),
        "LF-CFG-010"
    );
    assert!(Settings::load(&sources("ELSE")).is_ok());
}
