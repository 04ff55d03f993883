//! A configuration of the CNCF registry works here as it is.

use std::time::Duration;

use crate::harness::{file, nothing};
use config::{
    AccessLogFormat, Auth, FileProbe, Formatter, IndexPlatforms, Level, Listen, Medium, Platform, Probe,
    Settings, UploadPurging,
};

#[test]
fn the_tutorials_four_variables_are_enough() {
    let settings = nothing()
        .env("REGISTRY_AUTH", "htpasswd")
        .env("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm")
        .env("REGISTRY_AUTH_HTPASSWD_PATH", "/auth/registry.password")
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data")
        .env("LANDFALL_IMAGE", "1")
        .load_clean();
    assert_eq!(
        settings.auth,
        Auth::Htpasswd {
            realm: "Registry Realm".into(),
            path: "/auth/registry.password".into()
        }
    );
    assert_eq!(
        settings.storage.medium,
        Medium::Filesystem {
            root: "/data".into(),
            allow_network: false
        }
    );
    let Listen::Tcp(address) = settings.http.listen else {
        panic!("a TCP address")
    };
    assert_eq!(address.to_string(), "[::]:5000");
}

#[test]
fn nothing_at_all_serves_this_machine_from_a_folder() {
    let settings = nothing().load_clean();
    assert_eq!(
        settings.http.listen,
        Listen::Tcp("127.0.0.1:5000".parse().unwrap())
    );
    assert_eq!(
        settings.storage.medium,
        Medium::Filesystem {
            root: "./landfall-data".into(),
            allow_network: false
        }
    );
    assert_eq!(settings.auth, Auth::NotConfigured);
    assert!(settings.storage.delete_enabled && !settings.storage.delete_written);
    assert_eq!(settings.http.drain_timeout, Duration::from_secs(30));
    assert_eq!(settings.http.relative_urls, None);
    assert!(settings.http.h2c && settings.http.http2 && settings.validation.enabled);
    assert_eq!(settings.limits.manifest_bytes_max, 4 << 20);
    assert_eq!(settings.limits.blob_bytes_max, None);
    assert_eq!(settings.storage.inline_bytes_max, 16 << 10);
    assert_eq!(settings.undo_window, Duration::from_hours(7 * 24));
    assert_eq!(settings.gc.lease, Duration::from_hours(24));
    assert_eq!(settings.gc.read_grace, Duration::from_hours(1));
    assert_eq!(settings.gc.orphan_hold, Duration::from_hours(7 * 24));
}

#[test]
fn a_file_of_2_8_loads_unchanged() {
    let loaded = file(include_str!("files/registry-2.8.yml")).load();
    let Settings {
        log,
        storage,
        auth,
        http,
        health,
        validation,
        ..
    } = loaded.settings;
    assert_eq!(
        (log.level, log.formatter, log.access_log),
        (Level::Info, Formatter::Text, Some(AccessLogFormat::Log))
    );
    assert_eq!(
        log.fields,
        [
            ("service".into(), "registry".into()),
            ("environment".into(), "production".into())
        ]
    );
    assert!(storage.delete_enabled && storage.delete_written && !storage.read_only);
    let (age, interval) = (Duration::from_hours(168), Duration::from_hours(24));
    assert_eq!(
        storage.upload_purging,
        Some(UploadPurging {
            age,
            interval,
            dry_run: false
        })
    );
    assert_eq!(
        auth,
        Auth::Htpasswd {
            realm: "basic-realm".into(),
            path: "/auth/htpasswd".into()
        }
    );
    assert_eq!(http.prefix, "/my/nested/registry/");
    assert_eq!(http.host.unwrap().as_str(), "https://myregistryaddress.org:5000");
    assert_eq!(http.secret.unwrap().expose(), "asecretforlocaldevelopment");
    assert_eq!(http.relative_urls, Some(false));
    assert_eq!(http.debug_addr.unwrap().to_string(), "localhost:5001");
    assert_eq!(http.metrics_path.as_deref(), Some("/metrics"));
    assert_eq!(http.headers.len(), 3);
    assert_eq!(http.headers[2].1, ["HEAD", "GET", "OPTIONS", "DELETE"]);
    let ten = Duration::from_secs(10);
    assert_eq!(
        health.storage,
        Some(Probe {
            interval: ten,
            threshold: 3
        })
    );
    assert_eq!(
        health.files,
        [FileProbe {
            path: "/path/to/checked/file".into(),
            interval: ten
        }]
    );
    assert_eq!(validation.urls.allow, [r"^https?://([^/]+\.)*example\.com/"]);
    let titles: Vec<_> = loaded.warnings.iter().map(config::Finding::title).collect();
    assert_eq!(
        titles,
        [
            "`storage.filesystem.maxthreads` has no effect",
            "`storage.cache.blobdescriptor` has no effect",
            "`redis` has no effect",
            "`health.http` has no effect",
            "`compatibility.schema1.signingkeyfile` has no effect",
        ]
    );
}

#[test]
fn a_file_of_3_loads_unchanged_once_somebody_says_who_may_come_in() {
    let file = file(include_str!("files/registry-3.yml"));
    assert_eq!(file.codes(), ["LF-CFG-020"]);
    let loaded = file
        .env("REGISTRY_AUTH", "none")
        .env("OTEL_TRACES_EXPORTER", "none")
        .load();
    let settings = loaded.settings;
    assert_eq!(settings.auth, Auth::None);
    assert!(!settings.http.h2c);
    assert_eq!((settings.catalog_page_max, settings.tags_page_max), (500, 200));
    let platform = Platform {
        os: "linux".into(),
        architecture: "amd64".into(),
    };
    assert_eq!(
        settings.validation.index_platforms,
        IndexPlatforms::List(vec![platform])
    );
    let codes: Vec<_> = loaded.warnings.iter().map(config::Finding::code).collect();
    assert_eq!(codes, ["LF-CFG-101", "LF-CFG-101", "LF-CFG-103"]);
}

#[test]
fn older_words_still_work() {
    assert_eq!(file("loglevel: debug").load_clean().log.level, Level::Debug);
    assert_eq!(
        file("loglevel: debug\nlog: {level: ERROR}")
            .load_clean()
            .log
            .level,
        Level::Error
    );
    assert_eq!(
        nothing().env("REGISTRY_LOGLEVEL", "warn").load_clean().log.level,
        Level::Warn
    );
    let layerinfo = file("storage: {filesystem: {rootdirectory: /x}, cache: {layerinfo: inmemory}}");
    assert!(layerinfo.warnings().contains("needs no such cache"));
}

#[test]
fn sections_may_be_one_word() {
    assert_eq!(
        file("storage: inmemory").load_clean().storage.medium,
        Medium::InMemory
    );
    assert_eq!(file("auth: none").load_clean().auth, Auth::None);
    assert_eq!(file("auth: None").load_clean().auth, Auth::None);
}

#[test]
fn anchors_and_merged_sections_are_read() {
    let merged = "health: {storagedriver: {<<: {enabled: true, interval: 5s, threshold: 9}, threshold: 2}}";
    let settings = file(merged).load_clean();
    assert_eq!(
        settings.health.storage,
        Some(Probe {
            interval: Duration::from_secs(5),
            threshold: 2
        })
    );
    let settings = file("http: {headers: {A: &values [x, y], B: *values}}").load_clean();
    assert_eq!(settings.http.headers[1].1, ["x", "y"]);
}

#[test]
fn words_that_look_like_numbers_stay_words() {
    let settings = file("http: {secret: 0123}\nlog: {fields: {build: 007, yes: on}}").load_clean();
    assert_eq!(settings.http.secret.unwrap().expose(), "0123");
    assert_eq!(
        settings.log.fields,
        [("build".into(), "007".into()), ("yes".into(), "on".into())]
    );
}

#[test]
fn durations_without_unit_are_nanoseconds_in_keys_of_the_cncf_registry() {
    assert_eq!(
        file("http: {draintimeout: 5000000000}")
            .load_clean()
            .http
            .drain_timeout,
        Duration::from_secs(5)
    );
    assert_eq!(
        file("http: {draintimeout: 0}").load_clean().http.drain_timeout,
        Duration::ZERO
    );
    assert_eq!(file("trash: {undo_window: 5000000000}").codes(), ["LF-CFG-014"]);
    assert_eq!(
        file("trash: {undo_window: 0}").load().settings.undo_window,
        Duration::ZERO
    );
    assert_eq!(file("gc: {lease: 10m}").codes(), ["LF-CFG-014"]);
}

#[test]
fn part_of_uploadpurging_gets_the_rest_by_default() {
    let purging = file("storage: {maintenance: {uploadpurging: {age: 1h}}}")
        .load_clean()
        .storage
        .upload_purging
        .unwrap();
    assert_eq!(purging.interval, Duration::from_hours(24));
    assert_eq!(
        file("storage: {maintenance: {uploadpurging: {enabled: false}}}")
            .load_clean()
            .storage
            .upload_purging,
        None
    );
    assert_eq!(
        file("storage: {maintenance: {uploadpurging: {interval: 0s}}}").codes(),
        ["LF-CFG-014"]
    );
}

#[test]
fn unset_notifications_and_middleware_are_no_obstacle() {
    file("notifications: {endpoints: []}\nmiddleware: {registry: []}\nproxy: {remoteurl: \"\"}\nhttp: {tls: {certificate: ''}}").load_clean();
}

#[test]
fn files_are_looked_for_in_the_usual_places() {
    let usual = nothing()
        .with_file("/etc/landfall/landfall.yaml", "log: {level: error}")
        .with_file("/etc/docker/registry/config.yml", "log: {level: debug}");
    assert_eq!(usual.load_clean().log.level, Level::Error);
    let found = usual.load().values;
    assert_eq!(
        found.file.as_deref(),
        Some("/etc/landfall/landfall.yaml".as_ref())
    );
    assert!(!found.file_named);
    let of_2 = nothing().with_file("/etc/docker/registry/config.yml", "log: {level: debug}");
    assert_eq!(of_2.load_clean().log.level, Level::Debug);
    let of_3 = of_2.with_file("/etc/distribution/config.yml", "log: {level: warn}");
    assert_eq!(of_3.load_clean().log.level, Level::Warn);
    let named = of_3
        .with_file("/a.yml", "log: {level: error}")
        .with_file("/b.yml", "log: {level: info}");
    let by_old_name = named.env("REGISTRY_CONFIGURATION_PATH", "/a.yml");
    assert!(by_old_name.load().values.file_named);
    assert_eq!(by_old_name.load_clean().log.level, Level::Error);
    let by_our_name = by_old_name.env("LANDFALL_CONFIG", "/b.yml");
    assert_eq!(by_our_name.load_clean().log.level, Level::Info);
    assert_eq!(
        by_our_name.named("/a.yml").load().values.file.as_deref(),
        Some("/a.yml".as_ref())
    );
}
