//! `auth`, `health`, `validation`, page sizes, limits, and the sections that are planned or have no counterpart.

use super::{Row, When, row};
use crate::kind::Kind;

const TOKEN: &str = "token authentication is planned, and not built yet: use `auth.htpasswd` meanwhile";
const NOTIFICATIONS: &str =
    "notifications are planned, and not built yet: remove the endpoint, or write `disabled: true` in it";
const PROXY: &str =
    "pull-through caching is planned, and not built yet: keep the cache on its own registry meanwhile";
const MIDDLEWARE: &str = "Landfall has no middleware: remove the entry, or write `disabled: true` in it";
const REDIS: &str = "Landfall needs no redis";
const PROBES: &str = "Landfall checks itself only: let the monitoring check other services";

pub(super) const ROWS: &[Row] = &[
    row("auth.none", Kind::Any, "", "`auth: none`, written out: everyone who reaches the address may do everything"),
    row("auth.htpasswd.realm", Kind::Text, "", "name that clients show when they ask for a password"),
    row("auth.htpasswd.path", Kind::Path, "", "password file, as `htpasswd -B` makes it; read again when it changes"),
    row(
        "auth.token",
        Kind::Any,
        "",
        "`realm`, `service`, `issuer`, `rootcertbundle`, `jwks`, `signingalgorithms`, `autoredirect`, `autoredirectpath`",
    )
    .refuse(When::Written, TOKEN),
    row("auth.silly", Kind::Any, "", "a test of the CNCF registry: `realm`, `service`")
        .refuse(When::Written, "it lets everyone in: use `auth.htpasswd`, or write `auth: none`"),
    row("health.storagedriver.enabled", Kind::Bool, "false", "check the storage again and again"),
    row("health.storagedriver.interval", Kind::GoDuration, "10s", "time between two checks"),
    row("health.storagedriver.threshold", Kind::Integer(0), "3", "failures in a row that mean unhealthy"),
    row("health.file[].file", Kind::Path, "", "while this file exists, the server says that it is unhealthy")
        .go("health.filecheckers[].file"),
    row("health.file[].interval", Kind::GoDuration, "10s", "time between two looks").go("health.filecheckers[].interval"),
    row("health.http", Kind::Any, "", "`uri`, `headers`, `statuscode`, `timeout`, `interval`, `threshold`")
        .go("health.httpcheckers")
        .warn(When::Filled, PROBES),
    row("health.tcp", Kind::Any, "", "`addr`, `timeout`, `interval`, `threshold`")
        .go("health.tcpcheckers")
        .warn(When::Filled, PROBES),
    row("validation.disabled", Kind::Bool, "false", "accept manifests that name blobs and manifests which are missing"),
    row("validation.enabled", Kind::Bool, "true", "older word for the opposite of `validation.disabled`")
        .warn(When::Off, "validation ends only with `validation.disabled: true`"),
    row("validation.manifests.urls.allow", Kind::Patterns, "", "URLs of layers must match one of these; none: all are allowed"),
    row("validation.manifests.urls.deny", Kind::Patterns, "", "URLs of layers may match none of these"),
    row(
        "validation.manifests.indexes.platforms",
        Kind::Word(&["all", "none", "list"]),
        "all",
        "which images of an index must be present; `none` allows sparse indexes",
    ),
    row("validation.manifests.indexes.platformlist[].architecture", Kind::Text, "", "with `platforms: list`: such as `amd64`"),
    row("validation.manifests.indexes.platformlist[].os", Kind::Text, "", "with `platforms: list`: such as `linux`"),
    row("catalog.maxentries", Kind::Integer(i64::MIN), "1000", "repositories on one page of `_catalog`; 0 or less is the default"),
    row("tags.maxtags", Kind::Integer(0), "1000", "tags on one page of a tag list; 0 is the default"),
    row("limits.manifest", Kind::Size, "4MiB", "largest manifest").ours(),
    row("limits.blob", Kind::SizeLimit, "none", "largest blob").ours(),
    row("limits.upload_sessions", Kind::CountLimit, "none", "uploads that one user may have open").ours(),
    row("middleware.registry", Kind::Any, "", "`name`, `disabled`, `options`").refuse(When::Active, MIDDLEWARE),
    row("middleware.repository", Kind::Any, "", "`name`, `disabled`, `options`").refuse(When::Active, MIDDLEWARE),
    row("middleware.storage", Kind::Any, "", "`name`, `disabled`, `options` (`cloudfront`, `redirect`, `rewrite`)")
        .refuse(When::Active, MIDDLEWARE),
    row("notifications.events.includereferences", Kind::Bool, "false", "list what a manifest names in its event")
        .go("notifications.eventconfig.includereferences")
        .refuse(When::On, NOTIFICATIONS),
    row(
        "notifications.endpoints",
        Kind::Any,
        "",
        "`name`, `disabled`, `url`, `headers`, `timeout`, `threshold`, `backoff`, `ignoredmediatypes`, `ignore`",
    )
    .refuse(When::Active, NOTIFICATIONS),
    row("redis", Kind::Any, "", "`addrs` (or `addr`), `username`, `password`, `db`, `tls`, `pool`").warn(When::Filled, REDIS),
    row("proxy.remoteurl", Kind::Text, "", "registry to cache").refuse(When::Filled, PROXY),
    row("proxy.username", Kind::Text, "", "user at that registry").refuse(When::Filled, PROXY),
    row("proxy.password", Kind::Secret, "", "password at that registry").refuse(When::Filled, PROXY),
    row("proxy.ttl", Kind::GoDuration, "168h", "how long what was cached is kept; 0 is for ever").refuse(When::Filled, PROXY),
    row("proxy.exec", Kind::Any, "", "`command`, `lifetime`: a program that gives credentials")
        .refuse(When::Filled, "Landfall starts no programs for credentials"),
    row("proxy.cachewritetimeout", Kind::GoDuration, "5m", "time to write what was cached")
        .warn(When::Filled, "pull-through caching is planned, and not built yet"),
    row("policy.repository.classes", Kind::Any, "", "kinds of repositories: `image`, `plugin`")
        .warn(When::Filled, "Landfall treats all repositories alike"),
    row("compatibility.schema1.enabled", Kind::Bool, "false", "accept Docker schema 1 manifests")
        .warn(When::On, "Docker schema 1 is refused when it is pushed: build with a Docker of 2017 or later"),
    row("compatibility.schema1.signingkeyfile", Kind::Path, "", "key that signs Docker schema 1 manifests")
        .go("compatibility.schema1.trustkey")
        .warn(When::Filled, "Docker schema 1 is not served"),
    row("reporting", Kind::Any, "", "`bugsnag`, `newrelic`").warn(When::Filled, "Landfall reports to nobody"),
];
