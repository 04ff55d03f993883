//! `http`.

use super::{Row, When, row};
use crate::kind::Kind;

const TLS: &str =
    "TLS is planned, and not built yet: put a proxy that does TLS in front, and remove this section";

pub(super) const ROWS: &[Row] = &[
    row(
        "http.addr",
        Kind::Listen,
        "127.0.0.1:5000",
        "address to listen on; `:5000` is every interface. One that others can reach needs `auth`",
    )
    .in_image(":5000")
    .flag("--listen"),
    row(
        "http.net",
        Kind::Word(&["tcp", "unix"]),
        "tcp",
        "with `unix`, `http.addr` is the path of a socket",
    ),
    row(
        "http.prefix",
        Kind::Prefix,
        "/",
        "path under which everything is served",
    ),
    row(
        "http.host",
        Kind::BaseUrl,
        "",
        "scheme and host of the absolute URLs that are sent, if clients see another than the server does",
    ),
    row(
        "http.secret",
        Kind::Secret,
        "",
        "signs the state of uploads; made and kept by the server if absent",
    ),
    row(
        "http.relativeurls",
        Kind::Bool,
        "",
        "send URLs without scheme and host; if absent, so unless `http.host` is set",
    ),
    row(
        "http.draintimeout",
        Kind::GoDuration,
        "30s",
        "time that running requests get when the server ends",
    ),
    row(
        "http.headers",
        Kind::Headers,
        "",
        "headers added to every response",
    ),
    row(
        "http.trusted_proxies",
        Kind::Proxies,
        "[loopback]",
        "peers whose `Forwarded` and `X-Forwarded-*` headers are read, for links and logs",
    )
    .ours()
    .flag("--trust-proxy"),
    row(
        "http.h2c.enabled",
        Kind::Bool,
        "true",
        "HTTP/2 without TLS, for clients that begin with it",
    ),
    row("http.http2.disabled", Kind::Bool, "false", "no HTTP/2 over TLS"),
    row(
        "http.debug.addr",
        Kind::Address,
        "",
        "second address, with `/debug/health`; it asks for no password",
    ),
    row(
        "http.debug.prometheus.enabled",
        Kind::Bool,
        "false",
        "metrics at `http.debug.addr`",
    )
    .warn(When::On, "metrics are planned, and not built yet"),
    row(
        "http.debug.prometheus.path",
        Kind::Text,
        "/metrics",
        "where the metrics are",
    )
    .warn(When::Filled, "metrics are planned, and not built yet"),
    row("http.tls.certificate", Kind::Path, "", "certificate chain, PEM").refuse(When::Filled, TLS),
    row("http.tls.key", Kind::Path, "", "private key, PEM").refuse(When::Filled, TLS),
    row(
        "http.tls.clientcas",
        Kind::Any,
        "",
        "certificate authorities of clients",
    )
    .refuse(When::Filled, TLS),
    row(
        "http.tls.clientauth",
        Kind::Word(&[
            "request-client-cert",
            "require-any-client-cert",
            "verify-client-cert-if-given",
            "require-and-verify-client-cert",
        ]),
        "",
        "what is asked of client certificates",
    )
    .refuse(When::Filled, TLS),
    row(
        "http.tls.minimumtls",
        Kind::Word(&["tls1.0", "tls1.1", "tls1.2", "tls1.3"]),
        "tls1.2",
        "oldest TLS version",
    )
    .refuse(When::Filled, TLS),
    row("http.tls.ciphersuites", Kind::Any, "", "names of cipher suites").refuse(When::Filled, TLS),
    row(
        "http.tls.letsencrypt",
        Kind::Any,
        "",
        "`cachefile`, `email`, `hosts`, `directoryurl`",
    )
    .refuse(When::Filled, TLS),
];
