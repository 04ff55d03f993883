//! The checked tree -> `Settings`, and the rules between keys: one driver, one way to log in, no open door by accident.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::address::ListenAddr;
use crate::assemble_rules;
use crate::finding::{Code, Finding, Report};
use crate::links::Prefix;
use crate::load::ReadFile;
use crate::metrics;
use crate::node::{Entry, Node};
use crate::origin::Origin;
use crate::rate::Rate;
use crate::reader::Reader;
use crate::settings::{
    AccessLogFormat, Auth, FileProbe, Formatter, Gc, Health, Http, IndexPlatforms, Level, Limits, Listen,
    Log, Medium, Platform, Probe, Settings, Storage, UploadPurging, Urls, Validation,
};
use crate::shape::Shape;
use crate::value::{Count, Fields, Headers, Limit, Patterns, Size};
use crate::{assemble_admin, assemble_backup, assemble_tls};

/// Whatever is wrong goes to the report; the settings are then not to be used.
pub(crate) fn assemble(read: Reader<'_>, read_file: &ReadFile<'_>, report: &mut Report) -> Settings {
    read.entry("version");
    let storage = storage(read, report);
    let tls = assemble_tls::tls(read, report);
    let is_named = tls.as_ref().is_some_and(|tls| !tls.names.is_empty());
    let auth = own_password_file(auth(read, report), &storage, is_named, read_file);
    let admin = assemble_admin::admin(read, &storage, report);
    let settings = Settings {
        log: log(read),
        storage,
        auth,
        http: http(read, is_named, report),
        tls,
        backup: assemble_backup::backup(read, report),
        admin,
        health: health(read, report),
        validation: validation(read, report),
        limits: Limits {
            manifest_bytes_max: read.read::<Size>("limits.manifest").0,
            blob_bytes_max: read.read::<Limit<Size>>("limits.blob").0.map(|size| size.0),
            upload_sessions_max: read
                .read::<Limit<Count>>("limits.upload_sessions")
                .0
                .map(|count| count.0),
        },
        catalog_page_max: page(read.read("catalog.maxentries")),
        tags_page_max: page(read.read("tags.maxtags")),
        gc: Gc {
            lease: read.read("gc.lease"),
            read_grace: read.read("gc.read_grace"),
            orphan_hold: read.read("gc.orphan_hold"),
        },
        undo_window: undo_window(read, report),
        scrub_bytes_per_second: read.read::<Rate>("scrub.rate").0,
        retention: assemble_rules::retention(read, report),
        quotas: assemble_rules::quotas(read, report),
        immutable_tags: assemble_rules::immutable_tags(read, report),
    };
    guard_open_address(read, &settings, report);
    settings
}

/// An address that others can reach needs a decision about who may come in.
fn guard_open_address(read: Reader<'_>, settings: &Settings, report: &mut Report) {
    let Listen::Tcp(address) = &settings.http.listen else {
        return;
    };
    if address.is_loopback() {
        return;
    }
    let origin = read.origin("http.addr");
    match settings.auth {
        Auth::Htpasswd { .. } => {}
        Auth::None => report.push(
            Finding::warning(Code::OpenOnPurpose, &auth_origin(read), "no login is asked for")
                .label(format!("everyone who reaches {address} may pull, push and delete")),
        ),
        Auth::NotConfigured => report.push(
            Finding::error(Code::OpenToAll, &origin, format!("others can reach {address}, and no login is configured"))
                .label("everyone could pull, push and delete")
                .advise("with passwords: `landfall user add NAME`, with the same --data or --config; it makes a password file in the data folder")
                .advise("with a password file that you have: set `auth.htpasswd.realm` and `auth.htpasswd.path`")
                .advise("for this machine alone: `http.addr: 127.0.0.1:5000`, or `--listen 127.0.0.1:5000`")
                .advise("open to everyone, on purpose: `auth: none`, or REGISTRY_AUTH=none"),
        ),
    }
}

fn auth_origin(read: Reader<'_>) -> Origin {
    read.node()
        .entry("auth")
        .map_or(Origin::Default, |entry| entry.key_origin.clone())
}

fn page(entries: i64) -> u32 {
    const DEFAULT: u32 = 1000;
    if entries <= 0 {
        DEFAULT
    } else {
        u32::try_from(entries).unwrap_or(u32::MAX)
    }
}

fn log(read: Reader<'_>) -> Log {
    Log {
        level: match read.word("log.level").as_str() {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "debug" => Level::Debug,
            _ => Level::Info,
        },
        formatter: match read.word("log.formatter").as_str() {
            "json" => Formatter::Json,
            "logstash" => Formatter::Logstash,
            _ => Formatter::Text,
        },
        fields: read.read::<Fields>("log.fields").0,
        access_log: match (
            read.read("log.accesslog.disabled"),
            read.word("log.accesslog.format").as_str(),
        ) {
            (true, _) => None,
            (false, "combined") => Some(AccessLogFormat::Combined),
            (false, _) => Some(AccessLogFormat::Log),
        },
    }
}

/// The known keys of a section that choose one of several: all but those that go with any.
fn choices<'a>(read: Reader<'a>, section: &str, beside: &[&str]) -> Vec<&'a Entry> {
    let entries = read.node().get(section).map_or(&[][..], Node::entries);
    let known = Shape::root().keys.get(section);
    let chooses =
        |key: &str| known.is_some_and(|shape| shape.keys.contains_key(key)) && !beside.contains(&key);
    entries.iter().filter(|entry| chooses(&entry.key)).collect()
}

fn refuse_two(code: Code, what: &str, found: &[&Entry], report: &mut Report) {
    if let [first, second, ..] = found {
        report.push(
            Finding::error(
                code,
                &second.key_origin,
                format!("two {what}: `{}` and `{}`", first.key, second.key),
            )
            .label(format!(
                "`{}` is from {}; keep one of them",
                first.key, first.key_origin
            )),
        );
    }
}

fn storage(read: Reader<'_>, report: &mut Report) -> Storage {
    const BESIDE: [&str; 6] = ["cache", "delete", "inline_max", "maintenance", "redirect", "tag"];
    let drivers = choices(read, "storage", &BESIDE);
    refuse_two(Code::TwoDrivers, "storage drivers", &drivers, report);
    let medium = if read.entry("storage.inmemory").is_some() {
        Medium::InMemory
    } else {
        Medium::Filesystem {
            root: read.read("storage.filesystem.rootdirectory"),
            allow_network: read.read("storage.filesystem.allow_network"),
        }
    };
    let purging = UploadPurging {
        age: positive(read, "storage.maintenance.uploadpurging.age", report),
        interval: positive(read, "storage.maintenance.uploadpurging.interval", report),
        dry_run: read.read("storage.maintenance.uploadpurging.dryrun"),
    };
    Storage {
        medium,
        inline_bytes_max: read.read::<Size>("storage.inline_max").0,
        delete_enabled: read.read("storage.delete.enabled"),
        delete_written: read.entry("storage.delete.enabled").is_some(),
        read_only: read.read("storage.maintenance.readonly.enabled"),
        upload_purging: read
            .read::<bool>("storage.maintenance.uploadpurging.enabled")
            .then_some(purging),
    }
}

/// Without one there is no trash to speak of, which somebody may want and nobody should have by a slip.
fn undo_window(read: Reader<'_>, report: &mut Report) -> Duration {
    let window: Duration = read.read("trash.undo_window");
    if window.as_millis() == 0 {
        let origin = read.origin("trash.undo_window");
        report.push(
            Finding::warning(Code::NoUndo, &origin, "the trash brings nothing back")
                .label("without an undo window deletes are for good at once")
                .advise("a time such as `1d` leaves one to change one's mind"),
        );
    }
    window
}

/// A duration that means nothing when it is zero.
fn positive(read: Reader<'_>, path: &'static str, report: &mut Report) -> Duration {
    let duration: Duration = read.read(path);
    if duration.is_zero() {
        let title = format!("`{path}` cannot be zero");
        report.push(
            Finding::error(Code::BadValue, &read.origin(path), title)
                .label("expected a duration, such as `24h`"),
        );
    }
    duration
}

fn auth(read: Reader<'_>, report: &mut Report) -> Auth {
    let ways = choices(read, "auth", &[]);
    refuse_two(Code::TwoAuths, "ways to log in", &ways, report);
    let (realm, path) = (
        read.optional("auth.htpasswd.realm"),
        read.optional("auth.htpasswd.path"),
    );
    if read.entry("auth.none").is_some() {
        return Auth::None;
    }
    let Some(htpasswd) = ways.iter().find(|entry| entry.key == "htpasswd") else {
        return Auth::NotConfigured;
    };
    match (realm, path) {
        (Some(realm), Some(path)) => Auth::Htpasswd { realm, path },
        (realm, path) => {
            let missing = match (realm.is_some(), path.is_some()) {
                (false, false) => "`auth.htpasswd.realm` and `auth.htpasswd.path` are",
                (false, true) => "`auth.htpasswd.realm` is",
                _ => "`auth.htpasswd.path` is",
            };
            report.push(
                Finding::error(
                    Code::Incomplete,
                    &htpasswd.key_origin,
                    format!("{missing} missing"),
                )
                .label("a password file needs both")
                .advise("such as `realm: Registry` and `path: /auth/htpasswd`"),
            );
            Auth::NotConfigured
        }
    }
}

/// Where nobody says who may log in, the users of the data folder's own password file may, if it has one. One that
/// is there and cannot be read counts too: the start then says so, instead of leaving the door open. A server with a
/// name always has one: the first `serve NAME` makes it.
fn own_password_file(auth: Auth, storage: &Storage, is_named: bool, read_file: &ReadFile<'_>) -> Auth {
    let (Auth::NotConfigured, Some(path)) = (&auth, storage.password_file()) else {
        return auth;
    };
    match read_file(&path) {
        Err(error) if !is_named && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            auth
        }
        _ => Auth::Htpasswd {
            realm: "Landfall".into(),
            path,
        },
    }
}

fn http(read: Reader<'_>, is_named: bool, report: &mut Report) -> Http {
    Http {
        listen: listen(read, is_named, report),
        prefix: read.read::<Prefix>("http.prefix").0,
        host: read.optional("http.host"),
        secret: read.optional("http.secret"),
        relative_urls: read.written("http.relativeurls"),
        drain_timeout: read.read("http.draintimeout"),
        headers: read.read::<Headers>("http.headers").0,
        h2c: read.read("http.h2c.enabled"),
        http2: !read.read::<bool>("http.http2.disabled"),
        trusted_proxies: read.read("http.trusted_proxies"),
        debug_addr: read.optional("http.debug.addr"),
        metrics_path: metrics::path(read, report),
    }
}

fn listen(read: Reader<'_>, is_named: bool, report: &mut Report) -> Listen {
    let written: Option<String> = read.written("http.addr");
    let text = match written {
        None if is_named => ":443".into(),
        written => written.unwrap_or_else(|| read.read("http.addr")),
    };
    let mut refuse = |expected: &str| {
        let title = format!("`http.addr` cannot be `{text}`");
        report.push(Finding::error(Code::BadValue, &read.origin("http.addr"), title).label(expected));
    };
    if read.word("http.net") == "unix" {
        if !text.contains('/') {
            refuse("with `http.net: unix`, expected the path of a socket, such as `/run/landfall.sock`");
        }
        return Listen::Unix(text.into());
    }
    match text.parse::<ListenAddr>() {
        Ok(address) => Listen::Tcp(address),
        Err(error) => {
            refuse(&error.to_string());
            Listen::Tcp(ListenAddr::loopback(0))
        }
    }
}

fn health(read: Reader<'_>, report: &mut Report) -> Health {
    let threshold: i64 = read.read("health.storagedriver.threshold");
    let probe = Probe {
        interval: interval(read, "health.storagedriver.interval"),
        threshold: u32::try_from(threshold)
            .ok()
            .and_then(NonZeroU32::new)
            .map_or(THRESHOLD, NonZeroU32::get),
    };
    let mut files = Vec::new();
    for item in read.items("health.file[].") {
        let interval = interval(item, "health.file[].interval");
        match item.optional("health.file[].file") {
            Some(path) => files.push(FileProbe { path, interval }),
            None => report.push(
                Finding::error(
                    Code::Incomplete,
                    &item.node().origin,
                    "an entry of `health.file` names no file",
                )
                .label("expected `file: /path`"),
            ),
        }
    }
    Health {
        storage: read.read::<bool>("health.storagedriver.enabled").then_some(probe),
        files,
    }
}

const THRESHOLD: u32 = 3;

/// Zero means the default, as in the CNCF registry.
fn interval(read: Reader<'_>, path: &'static str) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(10);
    let interval = read.read(path);
    if interval == Duration::ZERO {
        DEFAULT
    } else {
        interval
    }
}

fn validation(read: Reader<'_>, report: &mut Report) -> Validation {
    let mut platforms = Vec::new();
    for item in read.items("validation.manifests.indexes.platformlist[].") {
        let architecture = item.optional("validation.manifests.indexes.platformlist[].architecture");
        let os = item.optional("validation.manifests.indexes.platformlist[].os");
        match (os, architecture) {
            (Some(os), Some(architecture)) => platforms.push(Platform { os, architecture }),
            _ => report.push(
                Finding::error(
                    Code::Incomplete,
                    &item.node().origin,
                    "a platform needs `os` and `architecture`",
                )
                .label("such as `{os: linux, architecture: amd64}`"),
            ),
        }
    }
    let index_platforms = match read.word("validation.manifests.indexes.platforms").as_str() {
        "none" => IndexPlatforms::None,
        "list" => IndexPlatforms::List(platforms),
        _ => IndexPlatforms::All,
    };
    Validation {
        enabled: !read.read::<bool>("validation.disabled"),
        urls: Urls {
            allow: read.read::<Patterns>("validation.manifests.urls.allow").0,
            deny: read.read::<Patterns>("validation.manifests.urls.deny").0,
        },
        index_platforms,
    }
}
