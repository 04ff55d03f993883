//! `tls.acme` and the older `http.tls.letsencrypt` -> `Acme`: whom to ask, and how names are proven.
//!
//! A way to prove a name that lacks its settings is refused here, not at the first order.

use std::path::PathBuf;

use crate::address::ListenAddr;
use crate::assemble_tls::missing;
use crate::finding::{Code, Finding, Report};
use crate::reader::Reader;
use crate::secret::Secret;
use crate::settings::{Acme, Challenge, Dns, KeyAlgorithm, Rfc2136};
use crate::value::Texts;

pub(crate) fn acme(read: Reader<'_>, report: &mut Report) -> Acme {
    let email: Option<String> = read.optional("http.tls.letsencrypt.email");
    let old_directory: Option<String> = read.optional("http.tls.letsencrypt.directoryurl");
    let dns = dns(read, report);
    Acme {
        email: read.optional("tls.acme.email").or(email),
        directory: read
            .written("tls.acme.directory")
            .or(old_directory)
            .unwrap_or_else(|| read.read("tls.acme.directory")),
        ca_root: read.optional("tls.acme.ca_root"),
        challenges: challenges(read, report, dns.is_some()),
        dns,
    }
}

fn challenges(read: Reader<'_>, report: &mut Report, has_dns: bool) -> Vec<Challenge> {
    const KEY: &str = "tls.acme.challenges";
    let words = read.read::<Texts>(KEY).0;
    if has_dns && read.entry(KEY).is_none() {
        return vec![Challenge::Dns01];
    }
    let mut known = Vec::new();
    for word in words {
        match word.to_ascii_lowercase().as_str() {
            "http-01" => known.push(Challenge::Http01),
            "tls-alpn-01" => known.push(Challenge::TlsAlpn01),
            "dns-01" => known.push(Challenge::Dns01),
            _ => {
                let title = format!("`{KEY}` cannot hold `{word}`");
                report.push(
                    Finding::error(Code::BadValue, &read.origin(KEY), title)
                        .label("expected `http-01`, `tls-alpn-01` or `dns-01`"),
                );
            }
        }
    }
    let wrote_dns = read.entry("tls.acme.dns.provider").is_some();
    if known.contains(&Challenge::Dns01) && !has_dns && !wrote_dns {
        missing(
            read,
            report,
            KEY,
            "`tls.acme.dns` is missing",
            "`dns-01` needs somebody who sets the record: `tls.acme.dns.exec` or `tls.acme.dns.rfc2136`",
        );
    }
    known
}

fn dns(read: Reader<'_>, report: &mut Report) -> Option<Dns> {
    const PROVIDER: &str = "tls.acme.dns.provider";
    const SERVER: &str = "tls.acme.dns.rfc2136.server";
    let exec = read.optional::<PathBuf>("tls.acme.dns.exec");
    let server = read.optional::<ListenAddr>(SERVER);
    let provider: Option<String> = read.optional(PROVIDER);
    let update = rfc2136(read);
    match provider.map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("exec") if exec.is_none() => {
            missing(
                read,
                report,
                PROVIDER,
                "`tls.acme.dns.exec` is missing",
                "`exec` is a command",
            );
            None
        }
        None if exec.is_some() && server.is_some() => {
            missing(
                read,
                report,
                SERVER,
                "`tls.acme.dns.provider` is missing",
                "there is a command and a name server: say which of them sets the record",
            );
            None
        }
        Some("exec") => exec.map(Dns::Exec),
        None if server.is_none() => exec.map(Dns::Exec),
        _ => match update {
            Ok(update) => Some(Dns::Rfc2136(update)),
            Err(key) => {
                let at = if server.is_some() { SERVER } else { PROVIDER };
                let title = format!("`{key}` is missing");
                let label = "an update needs `server`, `zone`, `key_name` and `key_secret`";
                missing(read, report, at, &title, label);
                None
            }
        },
    }
}

/// An error is the first key that is missing.
fn rfc2136(read: Reader<'_>) -> Result<Rfc2136, &'static str> {
    fn needed<T>(value: Option<T>, key: &'static str) -> Result<T, &'static str> {
        value.ok_or(key)
    }
    let server = read.optional("tls.acme.dns.rfc2136.server");
    let zone = read.optional("tls.acme.dns.rfc2136.zone");
    let key_name = read.optional("tls.acme.dns.rfc2136.key_name");
    let key_secret = read.optional::<Secret>("tls.acme.dns.rfc2136.key_secret");
    let key_algorithm = match read.word("tls.acme.dns.rfc2136.key_algorithm").as_str() {
        "hmac-sha512" => KeyAlgorithm::HmacSha512,
        _ => KeyAlgorithm::HmacSha256,
    };
    Ok(Rfc2136 {
        server: needed(server, "tls.acme.dns.rfc2136.server")?,
        zone: needed(zone, "tls.acme.dns.rfc2136.zone")?,
        key_name: needed(key_name, "tls.acme.dns.rfc2136.key_name")?,
        key_algorithm,
        key_secret: needed(key_secret, "tls.acme.dns.rfc2136.key_secret")?,
    })
}
