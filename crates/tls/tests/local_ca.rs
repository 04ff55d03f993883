//! The local CA as those who trust it need it to be: for these names only, kept, and never a reason not to start.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tls::Name;
use tls::local::{Issued, LocalCa};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn ca(folder: &Path, names: &[&str]) -> LocalCa {
    LocalCa {
        folder: folder.to_owned(),
        names: names.iter().map(|name| name.parse::<Name>().unwrap()).collect(),
        lifetime: Duration::from_hours(24 * 3650),
        leaf_lifetime: Duration::from_hours(24 * 90),
    }
}

/// Whether a client that trusts this authority takes the certificate for that name.
fn trusts(ca: &str, leaf: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(NOW).unwrap()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let verdict = verifier.verify_server_cert(leaf, &[], &name, &[], time);
    verdict.map(drop).map_err(|error| error.to_string())
}

fn leaf(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join("leaf.pem")).unwrap()
}

/// What somebody with the authority's key could sign for another name.
fn forged(issued: &Issued, folder: &Path, name: &str) -> CertificateDer<'static> {
    let key = KeyPair::from_pem(&fs::read_to_string(folder.join("ca.key")).unwrap()).unwrap();
    let authority = Issuer::from_ca_cert_pem(&issued.ca, key).unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params
        .signed_by(&KeyPair::generate().unwrap(), &authority)
        .unwrap()
        .der()
        .clone()
}

#[test]
fn who_trusts_it_trusts_it_for_its_names_and_for_nothing_else() {
    let folder = TempDir::new().unwrap();
    let issued = ca(folder.path(), &["nas.lan", "192.168.1.20"])
        .issue(NOW)
        .unwrap();
    for name in ["nas.lan", "192.168.1.20"] {
        trusts(&issued.ca, &leaf(folder.path()), name).unwrap();
    }
    for name in ["bank.example.com", "192.168.1.21", "lan"] {
        let verdict = trusts(&issued.ca, &forged(&issued, folder.path(), name), name);
        assert!(verdict.is_err(), "{name} could be forged");
    }
}

#[test]
fn an_address_alone_is_a_name_too() {
    let folder = TempDir::new().unwrap();
    let issued = ca(folder.path(), &["2001:db8::7"]).issue(NOW).unwrap();
    trusts(&issued.ca, &leaf(folder.path()), "2001:db8::7").unwrap();
    let other = forged(&issued, folder.path(), "nas.lan");
    assert!(trusts(&issued.ca, &other, "nas.lan").is_err());
}

#[test]
fn it_is_kept_while_its_certificates_are_renewed() {
    let folder = TempDir::new().unwrap();
    let first = ca(folder.path(), &["nas.lan"]).issue(NOW).unwrap();
    assert!(first.is_new);
    let same = ca(folder.path(), &["nas.lan"]).issue(NOW + DAY).unwrap();
    assert!(!same.is_new && same.pair.facts == first.pair.facts);
    let renewed = ca(folder.path(), &["nas.lan"]).issue(NOW + 61 * DAY).unwrap();
    assert_eq!(
        renewed.fingerprint, first.fingerprint,
        "the authority is trusted already"
    );
    assert_ne!(renewed.pair.facts.fingerprint, first.pair.facts.fingerprint);
    // A name below one of its own needs no new authority, another one does.
    assert!(
        !ca(folder.path(), &["nas.lan", "a.nas.lan"])
            .issue(NOW)
            .unwrap()
            .is_new
    );
    assert!(ca(folder.path(), &["other.lan"]).issue(NOW).unwrap().is_new);
}

#[test]
fn a_key_that_cannot_be_read_is_set_aside_and_a_new_authority_serves() {
    let folder = TempDir::new().unwrap();
    let first = ca(folder.path(), &["nas.lan"]).issue(NOW).unwrap();
    let key = folder.path().join("ca.key");
    let kept = fs::read(&key).unwrap();
    fs::write(&key, b"\xff\xfe not a key").unwrap();
    let second = ca(folder.path(), &["nas.lan"]).issue(NOW).unwrap();
    assert!(second.is_new && second.fingerprint != first.fingerprint);
    trusts(&second.ca, &leaf(folder.path()), "nas.lan").unwrap();
    // Nothing was lost: with both files back in their places, it is the old one again.
    fs::write(&key, kept).unwrap();
    fs::rename(
        folder.path().join("ca.pem.unusable"),
        folder.path().join("ca.pem"),
    )
    .unwrap();
    let back = ca(folder.path(), &["nas.lan"]).issue(NOW).unwrap();
    assert_eq!(back.fingerprint, first.fingerprint);
}
