//! `http`.

use super::{Row, When, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "http.addr",
        Kind::Listen,
        "127.0.0.1:5000",
        "address to listen on; `:5000` is every interface. One that others can reach needs `auth`. With `tls.names`: `:443`",
    )
    .in_image(":5000")
    .flag("--listen"),
    row(
        "http.plain_addr",
        Kind::Address,
        "",
        "plain HTTP beside HTTPS, for ACME and to lead people to HTTPS; `:80` with `tls.names`, else off",
    )
    .ours(),
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
        "second address, with `/debug/health` and the metrics; it asks for no password",
    ),
    row(
        "http.debug.prometheus.enabled",
        Kind::Bool,
        "false",
        "metrics at `http.debug.addr`, in Prometheus' text format",
    ),
    row(
        "http.debug.prometheus.path",
        Kind::Text,
        "/metrics",
        "the path of the metrics there",
    ),
    row("http.tls.certificate", Kind::Path, "", "certificate chain, PEM, the server's own first; read again when it changes"),
    row("http.tls.key", Kind::Path, "", "private key, PEM; read again when it changes"),
    row("http.tls.clientcas", Kind::Texts, "", "certificate authorities of clients, PEM files"),
    row(
        "http.tls.clientauth",
        Kind::Word(&[
            "request-client-cert",
            "require-any-client-cert",
            "verify-client-cert-if-given",
            "require-and-verify-client-cert",
        ]),
        "require-and-verify-client-cert",
        "what is asked of client certificates, if `http.tls.clientcas` names any",
    ),
    row(
        "http.tls.minimumtls",
        Kind::Word(&["tls1.0", "tls1.1", "tls1.2", "tls1.3"]),
        "tls1.2",
        "oldest TLS version; 1.0 and 1.1 are not spoken",
    ),
    row("http.tls.ciphersuites", Kind::Any, "", "names of cipher suites").warn(
        When::Filled,
        "every suite of TLS 1.2 and 1.3 that is spoken is strong: there is nothing to choose",
    ),
    row("http.tls.letsencrypt.cachefile", Kind::Path, "", "folder of the account and the certificates")
        .warn(When::Filled, "account and certificates are kept in the data folder, in landfall/tls: new ones come within seconds, and this folder is neither read nor changed"),
    row("http.tls.letsencrypt.email", Kind::Text, "", "the same as `tls.acme.email`"),
    row("http.tls.letsencrypt.hosts", Kind::Texts, "", "the same as `tls.names` with `tls.mode: acme`"),
    row("http.tls.letsencrypt.directoryurl", Kind::Text, "", "the same as `tls.acme.directory`"),
];
