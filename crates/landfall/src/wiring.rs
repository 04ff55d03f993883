//! Settings become the parts of a server, in one place.

use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::{Authenticator, Htpasswd};
use config::{Auth, IndexPlatforms, Loaded, Problems, Settings, Sources};
use regex::Regex;
use registry::{FolderSource, IndexRule, RemoteSource, Rules, SourceName, UrlRule, WrittenRules};
use server::{AccessLog, Options, Origin};

use crate::access_lines::Combined;
use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::first_user;
use crate::log_thread::LogThread;
use crate::logging;
use crate::remote::{HttpRemote, Login};
use crate::url_login::is_address;

/// Reads file, environment and flags.
pub(crate) fn load(arguments: &ServeArguments) -> Result<Loaded, Problems> {
    load_with(arguments, &|path: &Path| std::fs::read(path))
}

/// The same, with another way to files.
pub(crate) fn load_with(
    arguments: &ServeArguments,
    read_file: &config::ReadFile<'_>,
) -> Result<Loaded, Problems> {
    Settings::load(&Sources {
        file: arguments.file(),
        environment: std::env::vars_os().collect(),
        flags: arguments.flags(),
        read_file,
    })
}

/// The rules of the domain.
pub(crate) fn rules(settings: &Settings) -> Result<Rules, Failure> {
    let platforms = |list: &[config::Platform]| {
        let platform = |one: &config::Platform| oci::Platform {
            os: one.os.clone(),
            architecture: one.architecture.clone(),
            variant: None,
        };
        list.iter().map(platform).collect()
    };
    let defaults = Rules::default();
    Ok(Rules {
        read_only: settings.storage.read_only,
        delete_enabled: settings.storage.delete_enabled,
        manifest_bytes_max: settings.limits.manifest_bytes_max,
        blob_bytes_max: settings.limits.blob_bytes_max,
        upload_sessions_max: settings.limits.upload_sessions_max.map(u64::from),
        inline_bytes_max: settings.storage.inline_bytes_max,
        lease_ms: milliseconds(settings.gc.lease),
        undo_window_ms: milliseconds(settings.undo_window),
        read_grace_ms: milliseconds(settings.gc.read_grace),
        orphan_hold_ms: milliseconds(settings.gc.orphan_hold),
        scrub_bytes_per_second: settings.scrub_bytes_per_second,
        gc_start_delay_ms: defaults.gc_start_delay_ms,
        untagged_keep_ms: defaults.untagged_keep_ms,
        upload_idle_ms: settings
            .storage
            .upload_purging
            .map(|purging| milliseconds(purging.age)),
        upload_purge_dry: settings
            .storage
            .upload_purging
            .is_some_and(|purging| purging.dry_run),
        index: match &settings.validation.index_platforms {
            IndexPlatforms::All => IndexRule::All,
            IndexPlatforms::None => IndexRule::None,
            IndexPlatforms::List(list) => IndexRule::Listed(platforms(list)),
        },
        references_checked: settings.validation.enabled,
        urls: UrlRule {
            allow: expressions(&settings.validation.urls.allow)?,
            deny: expressions(&settings.validation.urls.deny)?,
        },
        written: WrittenRules {
            schedule: settings.retention.schedule.clone(),
            retention: settings.retention.rules.clone(),
            quotas: settings.quotas.clone(),
            immutable: settings.immutable_tags.clone(),
        },
    })
}

/// What an operator may name as a source of right bytes: the address of a registry, or a folder.
pub(crate) fn sources() -> Box<registry::Sources> {
    Box::new(|name: &SourceName| {
        if !is_address(&name.place) {
            return FolderSource::named(&name.place);
        }
        let login = name
            .login
            .clone()
            .map(|(user, password)| Login { user, password });
        let remote = HttpRemote::new(&name.place, login)?;
        Ok(Arc::new(RemoteSource(Arc::new(remote))))
    })
}

fn expressions(list: &[String]) -> Result<Vec<Regex>, Failure> {
    let compile = |text: &String| {
        Regex::new(text).map_err(|error| Failure::configuration(format!("error[LF-CFG-014]: {error}")))
    };
    list.iter().map(compile).collect()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Who may come in. A password file that cannot be used stops the start.
pub(crate) fn authenticator(settings: &Settings) -> Result<Authenticator, Failure> {
    match &settings.auth {
        Auth::NotConfigured | Auth::None => Ok(Authenticator::Open),
        Auth::Htpasswd { realm, path } => {
            let refuse = |error: access::Error| Failure::failed(error.code(), &error);
            let (file, warnings) =
                Htpasswd::open(path, Arc::new(std::time::SystemTime::now)).map_err(refuse)?;
            for warning in warnings {
                tracing::warn!(code = warning.code(), "{warning}");
            }
            let authenticator = Authenticator::htpasswd(realm, file).map_err(refuse)?;
            Ok(match first_user::waiting(settings) {
                Some((user, login)) => authenticator.on_first_login(user, move || first_user::used(&login)),
                None => authenticator,
            })
        }
    }
}

/// How links to us are made.
pub(crate) fn origin(settings: &Settings) -> Origin {
    let trusted = settings.http.trusted_proxies.clone();
    Origin {
        host: settings.http.host.as_ref().map(|host| host.as_str().to_owned()),
        absolute: settings.http.relative_urls == Some(false),
        tls: settings.tls.is_some(),
        prefix: settings.http.prefix.trim_end_matches('/').to_owned(),
        trusted: Arc::new(move |peer| trusted.iter().any(|proxy| proxy.contains(peer))),
        ..Origin::default()
    }
}

/// Limits and additions of the HTTP layer.
pub(crate) fn options(settings: &Settings) -> Options {
    let pairs = |(name, values): &(String, Vec<String>)| {
        let name = http::HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(
            values
                .iter()
                .filter_map(move |value| Some((name.clone(), value.parse().ok()?)))
                .collect::<Vec<_>>(),
        )
    };
    Options {
        headers: settings.http.headers.iter().filter_map(pairs).flatten().collect(),
        backup_to: settings.backup.to.clone(),
        admins: settings.admin.users.clone(),
        catalog_entries_max: usize::try_from(settings.catalog_page_max).unwrap_or(usize::MAX),
        tags_max: usize::try_from(settings.tags_page_max).unwrap_or(usize::MAX),
        connections_max: connections_max(),
        h2c: settings.http.h2c && settings.http.http2,
        drain: settings.http.drain_timeout,
        ..Options::default()
    }
}

/// A connection needs a descriptor, and an upload or a download another.
fn connections_max() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let descriptors = limit.current.unwrap_or(1 << 20);
    usize::try_from(descriptors / 4)
        .unwrap_or(usize::MAX)
        .clamp(16, 4096)
}

/// How requests are logged.
pub(crate) fn access_log(settings: &Settings, log: &logging::Control) -> Result<AccessLog, Failure> {
    Ok(match settings.log.access_log {
        None => AccessLog::Off,
        Some(config::AccessLogFormat::Log) => AccessLog::On(Arc::new(log.access())),
        Some(config::AccessLogFormat::Combined) => {
            let thread = LogThread::start("access-log", io::stdout())
                .map_err(|error| Failure::failed("LF-SRV-001", error))?;
            AccessLog::On(Arc::new(Combined(thread)))
        }
    })
}

/// `http.secret`, or the one that was made at the first start: uploads in progress survive a restart by it.
pub(crate) fn secret(settings: &Settings, folder: &Path) -> Result<Vec<u8>, Failure> {
    if let Some(secret) = &settings.http.secret {
        return Ok(secret.expose().as_bytes().to_vec());
    }
    let path = folder.join("secrets").join("http.secret");
    let describe = |error: io::Error| {
        Failure::failed(
            "LF-STO-010",
            format!(
                "{}: the secret of this registry cannot be kept: {error}",
                path.display()
            ),
        )
    };
    match std::fs::read(&path) {
        Ok(secret) if secret.len() >= 32 => return Ok(secret),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(describe(error)),
    }
    let mut secret = vec![0_u8; 32];
    getrandom::fill(&mut secret).map_err(|error| Failure::failed("LF-STO-010", error))?;
    keep(&path, &secret).map_err(describe)?;
    Ok(secret)
}

/// Writes a file that only we may read, whole or not at all.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write;
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    let draft = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(folder)?.sync_all()
}
