//! `tls`: where certificates come from.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "tls.mode",
        Kind::Word(&["auto", "acme", "local", "files", "off"]),
        "",
        "`auto` asks an ACME authority for the public names and signs for the others with a local CA; `files` uses `http.tls`. If absent: `auto` with names, `files` with `http.tls.certificate`, else `off`",
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
        "ways to prove a name: the first that works, in this order; `dns-01` needs `tls.acme.dns`. If absent, and `tls.acme.dns` is there: `[dns-01]`",
    )
    .ours(),
    row(
        "tls.acme.dns.provider",
        Kind::Word(&["exec", "rfc2136"]),
        "",
        "who sets the TXT record of `dns-01`: a command, or the zone's own name server by dynamic update. If absent: the one that has settings",
    )
    .ours(),
    row(
        "tls.acme.dns.exec",
        Kind::Path,
        "",
        "command that sets and removes TXT records: it is called with `present NAME VALUE` and `cleanup NAME VALUE`",
    )
    .ours(),
    row(
        "tls.acme.dns.rfc2136.server",
        Kind::Address,
        "",
        "the zone's primary name server, which takes updates (RFC 2136): `ns1.example.com:53`",
    )
    .ours(),
    row("tls.acme.dns.rfc2136.zone", Kind::Text, "", "the zone that is updated: `example.com`").ours(),
    row(
        "tls.acme.dns.rfc2136.key_name",
        Kind::Text,
        "",
        "by which name the server knows the key (TSIG, RFC 8945)",
    )
    .ours(),
    row(
        "tls.acme.dns.rfc2136.key_algorithm",
        Kind::Word(&["hmac-sha256", "hmac-sha512"]),
        "hmac-sha256",
        "how messages are signed with it",
    )
    .ours(),
    row(
        "tls.acme.dns.rfc2136.key_secret",
        Kind::Secret,
        "",
        "the key itself, base64, as `tsig-keygen` prints it",
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
