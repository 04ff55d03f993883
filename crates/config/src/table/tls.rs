//! `tls`: where certificates come from.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "tls.mode",
        Kind::Word(&["auto", "acme", "local", "files", "off"]),
        "",
        "`auto` asks an ACME authority for public names and makes a local CA for others; `files` uses `http.tls`. If absent: `auto` with names, `files` with `http.tls.certificate`, else `off`",
    )
    .ours()
    .flag("--tls"),
    row("tls.names", Kind::Texts, "", "what clients call this server, host names and IP addresses; the arguments of `serve`")
        .ours()
        .flag("NAME"),
    row("tls.acme.email", Kind::Text, "", "where the certificate authority writes to").ours(),
    row(
        "tls.acme.directory",
        Kind::Text,
        "https://acme-v02.api.letsencrypt.org/directory",
        "directory URL of the certificate authority; it may know names that are not public",
    )
    .ours(),
    row("tls.acme.ca_root", Kind::Path, "", "who signed that authority's own certificate, PEM; absent: the system's list").ours(),
    row(
        "tls.acme.challenges",
        Kind::Texts,
        "[http-01, tls-alpn-01]",
        "ways to prove a name, in order of preference; `dns-01` needs `tls.acme.dns.exec`",
    )
    .ours(),
    row(
        "tls.acme.dns.exec",
        Kind::Path,
        "",
        "command that sets and removes TXT records: it is called with `present NAME VALUE` and `cleanup NAME VALUE`",
    )
    .ours(),
    row("tls.local_ca.lifetime", Kind::Duration(86_400), "3650d", "how long the local CA lives").ours(),
    row(
        "tls.local_ca.leaf_lifetime",
        Kind::Duration(3600),
        "90d",
        "how long a certificate of the local CA lives; it is renewed after two thirds of that",
    )
    .ours(),
];
