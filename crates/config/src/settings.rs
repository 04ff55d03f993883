//! The settings as the rest of the program reads them: plain, typed, complete.
//!
//! Every value is usable as it stands; combinations that make no sense have no shape here.
//! Units: durations are `Duration`, sizes bytes.

mod limits;

use std::path::PathBuf;
use std::time::Duration;

pub use limits::Limits;

use policy::{ImmutableRule, QuotaRule, RetentionRule, Schedule};

use crate::address::ListenAddr;
use crate::links::BaseUrl;
use crate::proxies::TrustedProxy;
use crate::secret::Secret;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `log`.
    pub log: Log,
    /// `storage`.
    pub storage: Storage,
    /// `auth`.
    pub auth: Auth,
    /// `http`.
    pub http: Http,
    /// `http.tls` and `tls`; `None` is plain HTTP.
    pub tls: Option<Tls>,
    /// `admin`.
    pub admin: Admin,
    /// `backup`.
    pub backup: Backup,
    /// `health`.
    pub health: Health,
    /// `validation`.
    pub validation: Validation,
    /// `limits`.
    pub limits: Limits,
    /// `catalog.maxentries`: repositories on one page; at least 1.
    pub catalog_page_max: u32,
    /// `tags.maxtags`: tags on one page; at least 1.
    pub tags_page_max: u32,
    /// `gc`.
    pub gc: Gc,
    /// `trash.undo_window`: how long what was deleted can be restored.
    pub undo_window: Duration,
    /// `scrub.rate`: stored bytes that are read back, a second.
    pub scrub_bytes_per_second: u64,
    /// `retention`.
    pub retention: Retention,
    /// `quotas`; each name once.
    pub quotas: Vec<QuotaRule>,
    /// `immutable_tags`; each name once.
    pub immutable_tags: Vec<ImmutableRule>,
}

/// `retention`: which tags go, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `retention.schedule`.
    pub schedule: Option<Schedule>,
    /// `retention.rules`; each name once.
    pub rules: Vec<RetentionRule>,
}

/// `backup`: backups of this registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backup {
    /// `backup.to`: the folder that they go to.
    pub to: Option<PathBuf>,
    /// `backup.schedule`: when one is made by itself.
    pub schedule: Option<Schedule>,
    /// `backup.keep`: how many of the latest stay there then.
    pub keep: Option<u32>,
}

/// `admin`: who works with the admin API, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// `admin.users`: who may over HTTP.
    pub users: Vec<String>,
    /// `admin.socket`, if written.
    pub socket: Option<PathBuf>,
}

/// `gc`: what garbage collection leaves alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gc {
    /// `gc.lease`: how long a blob that a client was told about is not collected.
    pub lease: Duration,
    /// `gc.read_grace`: how long bytes stay after the last row that named them.
    pub read_grace: Duration,
    /// `gc.orphan_hold`: how long files that no row knew lie aside.
    pub orphan_hold: Duration,
}

/// `log`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `log.level`.
    pub level: Level,
    /// `log.formatter`.
    pub formatter: Formatter,
    /// `log.fields`: added to every line.
    pub fields: Vec<(String, String)>,
    /// `log.accesslog`: `None` if disabled.
    pub access_log: Option<AccessLogFormat>,
}

/// The least important lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something did not work.
    Error,
    /// Something may soon not work.
    Warn,
    /// What happened.
    Info,
    /// How it happened.
    Debug,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatter {
    /// For people: `key=value`, coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
    /// JSON with the field names of Logstash.
    Logstash,
}

/// The form of a line of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// As every other line.
    Log,
    /// Apache's combined format, on standard output.
    Combined,
}

impl Settings {
    /// Where a running server with these settings has its admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> Option<PathBuf> {
        let usual = || self.storage.folder().map(|folder| folder.join("admin.sock"));
        self.admin.socket.clone().or_else(usual)
    }
}

/// `storage`.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// Where bytes lie.
    pub medium: Medium,
    /// `storage.inline_max`: blobs up to this lie in the catalog.
    pub inline_bytes_max: u64,
    /// `storage.delete.enabled`.
    pub delete_enabled: bool,
    /// Whether somebody wrote `storage.delete.enabled`; if not, the default deserves a word at start.
    pub delete_written: bool,
    /// `storage.maintenance.readonly.enabled`.
    pub read_only: bool,
    /// `storage.maintenance.uploadpurging`: `None` if disabled.
    pub upload_purging: Option<UploadPurging>,
}

impl Storage {
    /// The folder of everything that is ours; none where it is not known before the start.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.medium {
            Medium::Filesystem { root, .. } => Some(root.join("landfall")),
            Medium::InMemory => None,
        }
    }

    /// The password file that counts where `auth` says nothing; `landfall user add` makes it.
    #[must_use]
    pub fn password_file(&self) -> Option<PathBuf> {
        self.folder().map(|folder| folder.join("htpasswd"))
    }
}

/// The storage driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A folder.
    Filesystem {
        /// `storage.filesystem.rootdirectory`.
        root: PathBuf,
        /// `storage.filesystem.allow_network`: NFS and the like are accepted.
        allow_network: bool,
    },
    /// Gone with the process.
    InMemory,
}

/// `storage.maintenance.uploadpurging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadPurging {
    /// Uploads idle for longer are removed.
    pub age: Duration,
    /// Time between two looks.
    pub interval: Duration,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// `auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nobody wrote anything, and the data folder has no password file; only an address that this machine alone can reach gets this far.
    NotConfigured,
    /// `auth: none`: everyone may do everything, on purpose.
    None,
    /// `auth.htpasswd`.
    Htpasswd {
        /// Shown by clients when they ask for a password.
        realm: String,
        /// The password file.
        path: PathBuf,
    },
}

/// `http`.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// `http.addr` and `http.net`.
    pub listen: Listen,
    /// `http.prefix`: `/`, or `/x/` with a slash at both ends.
    pub prefix: String,
    /// `http.host`: begins every absolute URL that is sent.
    pub host: Option<BaseUrl>,
    /// `http.secret`: `None` lets the server make and keep one.
    pub secret: Option<Secret>,
    /// `http.relativeurls`, if written.
    pub relative_urls: Option<bool>,
    /// `http.draintimeout`: what running requests get at the end; zero does not wait.
    pub drain_timeout: Duration,
    /// `http.headers`: added to every response.
    pub headers: Vec<(String, Vec<String>)>,
    /// `http.h2c.enabled`: cleartext HTTP/2 by prior knowledge.
    pub h2c: bool,
    /// Not `http.http2.disabled`: HTTP/2 over TLS.
    pub http2: bool,
    /// `http.trusted_proxies`.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// `http.debug.addr`.
    pub debug_addr: Option<ListenAddr>,
    /// `http.debug.prometheus.path`, where they are enabled: metrics on the same address.
    pub metrics_path: Option<String>,
}

/// HTTPS: where certificates come from, and what is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Where certificates come from.
    pub source: TlsSource,
    /// `tls.names`; empty only with files.
    pub names: Vec<String>,
    /// `http.plain_addr`: plain HTTP that leads here.
    pub plain_addr: Option<ListenAddr>,
    /// `http.tls.minimumtls` is 1.3.
    pub only_13: bool,
    /// `http.tls.clientcas` and `http.tls.clientauth`; none without CAs.
    pub clients: Option<(Vec<PathBuf>, ClientAuth)>,
    /// `tls.acme`.
    pub acme: Acme,
    /// `tls.local_ca.lifetime`.
    pub ca_lifetime: Duration,
    /// `tls.local_ca.leaf_lifetime`.
    pub leaf_lifetime: Duration,
}

/// `tls.mode`, but for `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// `auto`: an authority for the public names, a local CA for the others.
    Auto,
    /// `acme`.
    Acme,
    /// `local`.
    Local,
    /// `files`: `http.tls.certificate` and `http.tls.key`.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

/// `http.tls.clientauth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `request-client-cert`
    Request,
    /// `require-any-client-cert`
    RequireAny,
    /// `verify-client-cert-if-given`
    VerifyIfGiven,
    /// `require-and-verify-client-cert`
    RequireAndVerify,
}

/// `tls.acme`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// `tls.acme.email`.
    pub email: Option<String>,
    /// `tls.acme.directory`.
    pub directory: String,
    /// `tls.acme.ca_root`.
    pub ca_root: Option<PathBuf>,
    /// `tls.acme.challenges`; never empty.
    pub challenges: Vec<Challenge>,
    /// `tls.acme.dns`; there if `challenges` has `Dns01`.
    pub dns: Option<Dns>,
}

/// Who sets TXT records: `tls.acme.dns.provider`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dns {
    /// `tls.acme.dns.exec`.
    Exec(PathBuf),
    /// `tls.acme.dns.rfc2136`.
    Rfc2136(Rfc2136),
}

/// `tls.acme.dns.rfc2136`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rfc2136 {
    /// `server`.
    pub server: ListenAddr,
    /// `zone`.
    pub zone: String,
    /// `key_name`.
    pub key_name: String,
    /// `key_algorithm`.
    pub key_algorithm: KeyAlgorithm,
    /// `key_secret`, base64.
    pub key_secret: Secret,
}

/// `tls.acme.dns.rfc2136.key_algorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha512`
    HmacSha512,
}

/// A way to prove a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// `http-01`
    Http01,
    /// `tls-alpn-01`
    TlsAlpn01,
    /// `dns-01`
    Dns01,
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `http.net: tcp`.
    Tcp(ListenAddr),
    /// `http.net: unix`.
    Unix(PathBuf),
}

/// `health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `health.storagedriver`: `None` if not enabled.
    pub storage: Option<Probe>,
    /// `health.file`: each of these files, while it exists, means unhealthy.
    pub files: Vec<FileProbe>,
}

/// A check that repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Time between two checks; never zero.
    pub interval: Duration,
    /// Failures in a row that count; at least 1.
    pub threshold: u32,
}

/// One of `health.file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProbe {
    /// The file to look for.
    pub path: PathBuf,
    /// Time between two looks; never zero.
    pub interval: Duration,
}

/// `validation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// False: a manifest may name what the repository does not have.
    pub enabled: bool,
    /// `validation.manifests.urls`.
    pub urls: Urls,
    /// `validation.manifests.indexes`.
    pub index_platforms: IndexPlatforms,
}

/// Regular expressions over the `urls` of layers; each compiles. Both empty: every URL is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// If not empty, a URL must match one.
    pub allow: Vec<String>,
    /// A URL may match none.
    pub deny: Vec<String>,
}

/// Which images of an index must be present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexPlatforms {
    /// Every one.
    All,
    /// None: sparse indexes are allowed.
    None,
    /// Those for these platforms.
    List(Vec<Platform>),
}

/// As in an index: `linux`, `amd64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub architecture: String,
}
