//! `http.tls` and `tls` -> `Tls`, and the rules between them: a certificate has a key, a name has a source.

use std::path::PathBuf;

use crate::address::ListenAddr;
use crate::assemble_acme::acme;
use crate::finding::{Code, Finding, Report};
use crate::letsencrypt;
use crate::reader::Reader;
use crate::settings::{ClientAuth, Tls, TlsSource};
use crate::value::Texts;

/// `None` is plain HTTP.
pub(crate) fn tls(read: Reader<'_>, report: &mut Report) -> Option<Tls> {
    let hosts = read.read::<Texts>("http.tls.letsencrypt.hosts").0;
    let mode: Option<String> = read.optional("tls.mode");
    let mut names = read.read::<Texts>("tls.names").0;
    if names.is_empty() {
        names.clone_from(&hosts);
    }
    let is_off = mode
        .as_deref()
        .is_some_and(|mode| mode.eq_ignore_ascii_case("off"));
    if !is_off {
        let has_files = ["http.tls.certificate", "http.tls.key"]
            .into_iter()
            .any(|path| read.optional::<PathBuf>(path).is_some());
        letsencrypt::check(read, has_files, !names.is_empty(), report);
    }
    let files = files(read, report);
    let acme = acme(read, report);
    let plain_addr: Option<ListenAddr> = read.optional("http.plain_addr");
    let tls = Tls {
        source: TlsSource::Auto,
        plain_addr: plain_addr.or_else(|| (!names.is_empty()).then(|| ":80".parse().ok()).flatten()),
        only_13: minimum(read, report),
        clients: clients(read),
        acme,
        ca_lifetime: read.read("tls.local_ca.lifetime"),
        leaf_lifetime: read.read("tls.local_ca.leaf_lifetime"),
        names,
    };
    let source = match mode.map(|mode| mode.to_ascii_lowercase()).as_deref() {
        Some("off") => return None,
        Some("acme") => TlsSource::Acme,
        Some("local") => TlsSource::Local,
        Some("auto") => TlsSource::Auto,
        Some(_) => {
            if files.is_none() {
                missing(
                    read,
                    report,
                    "tls.mode",
                    "`http.tls.certificate` and `http.tls.key` are missing",
                    "`tls.mode: files` needs both",
                );
            }
            files?
        }
        None => match files {
            Some(files) => files,
            None if !hosts.is_empty() => TlsSource::Acme,
            None if tls.names.is_empty() => return None,
            None => TlsSource::Auto,
        },
    };
    if tls.names.is_empty() && !matches!(source, TlsSource::Files { .. }) {
        missing(
            read,
            report,
            "tls.mode",
            "`tls.names` is missing",
            "a certificate needs a name, as in `landfall serve registry.example.com`",
        );
    }
    Some(Tls { source, ..tls })
}

pub(crate) fn missing(read: Reader<'_>, report: &mut Report, at: &'static str, title: &str, label: &str) {
    report.push(Finding::error(Code::Incomplete, &read.origin(at), title.to_owned()).label(label.to_owned()));
}

fn files(read: Reader<'_>, report: &mut Report) -> Option<TlsSource> {
    let (certificate, key) = (
        read.optional::<PathBuf>("http.tls.certificate"),
        read.optional("http.tls.key"),
    );
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsSource::Files { certificate, key }),
        (Some(_), None) => {
            missing(
                read,
                report,
                "http.tls.certificate",
                "`http.tls.key` is missing",
                "a certificate needs its private key",
            );
            None
        }
        (None, Some(_)) => {
            missing(
                read,
                report,
                "http.tls.key",
                "`http.tls.certificate` is missing",
                "a private key needs its certificate",
            );
            None
        }
        (None, None) => None,
    }
}

fn clients(read: Reader<'_>) -> Option<(Vec<PathBuf>, ClientAuth)> {
    let wanted = match read.word("http.tls.clientauth").as_str() {
        "request-client-cert" => ClientAuth::Request,
        "require-any-client-cert" => ClientAuth::RequireAny,
        "verify-client-cert-if-given" => ClientAuth::VerifyIfGiven,
        _ => ClientAuth::RequireAndVerify,
    };
    let authorities = read.read::<Texts>("http.tls.clientcas").0;
    let authorities: Vec<PathBuf> = authorities.into_iter().map(Into::into).collect();
    let unsigned = matches!(wanted, ClientAuth::Request | ClientAuth::RequireAny);
    (unsigned || !authorities.is_empty()).then_some((authorities, wanted))
}

/// Whether only TLS 1.3 is spoken.
fn minimum(read: Reader<'_>, report: &mut Report) -> bool {
    let word = read.word("http.tls.minimumtls");
    if matches!(word.as_str(), "tls1.0" | "tls1.1") {
        let title = format!("{word} is not spoken: TLS 1.2 is the oldest");
        report.push(
            Finding::warning(Code::NoEffect, &read.origin("http.tls.minimumtls"), title)
                .label("TLS 1.0 and 1.1 can be broken; every client of the last ten years speaks 1.2"),
        );
    }
    word == "tls1.3"
}
