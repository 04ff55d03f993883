//! A certificate chain with its key, ready for handshakes, and what it says about itself.
//!
//! Fails: text that is no certificate or key, a key of another certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::Error;

/// A chain and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    /// What the first certificate says.
    pub facts: Facts,
}

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Host names and addresses.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Valid from, in seconds since 1970.
    pub not_before: i64,
    /// Valid until, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the certificate: `7F:3A:…`.
    pub fingerprint: String,
}

impl Pair {
    /// Out of PEM text; the paths are for the errors only.
    pub fn parse(chain: &[u8], key: &[u8], chain_path: &Path, key_path: &Path) -> Result<Self, Error> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| Error::NoCertificate(chain_path.into()))?;
        let first = chain
            .first()
            .ok_or_else(|| Error::NoCertificate(chain_path.into()))?;
        let facts = Facts::read(first).ok_or_else(|| Error::NoCertificate(chain_path.into()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::NoKey(key_path.into()))?;
        let signer = any_supported_type(&key).map_err(|error| Error::Unusable {
            what: key_path.display().to_string(),
            reason: error.to_string(),
        })?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => {
                return Err(Error::Mismatch {
                    certificate: chain_path.into(),
                    key: key_path.into(),
                });
            }
        }
        Ok(Self {
            key: Arc::new(certified),
            facts,
        })
    }
}

impl Pair {
    /// Whether one of the further certificates signed the first; nothing to say where there is no further one.
    #[must_use]
    pub fn is_signed_within(&self) -> Option<bool> {
        let (first, further) = self.key.cert.split_first()?;
        if further.is_empty() {
            return None;
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(further.iter().cloned());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let Ok(verifier) = verifier else {
            return Some(false); // none of them is a certificate that could sign
        };
        // A time in its life and a name of its own: only the signature is in question.
        let middle = u64::try_from(self.facts.not_before.midpoint(self.facts.not_after)).unwrap_or_default();
        let name = self
            .facts
            .names
            .first()
            .map(|name| name.replace('*', "a"))
            .unwrap_or_default();
        let name = ServerName::try_from(name).ok()?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(middle));
        Some(!matches!(
            verifier.verify_server_cert(first, &[], &name, &[], time),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ))
        ))
    }

    /// Whether the file holds one certificate that somebody else signed: clients that do not know whoever that is refuse it.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.key.cert.len() == 1
            && self.key.cert.first().is_some_and(|first| {
                X509Certificate::from_der(first).is_ok_and(|(_, parsed)| parsed.issuer() != parsed.subject())
            })
    }
}

impl Facts {
    /// Whether clients that call the server by this name accept it; a star stands for the first label. Source: RFC 9525.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let wild = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|own| {
            own.eq_ignore_ascii_case(name) || wild.as_ref().is_some_and(|wild| own.eq_ignore_ascii_case(wild))
        })
    }

    pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.iter().filter_map(name).collect());
        Some(Self {
            names: names.unwrap_or_default(),
            issuer: parsed.issuer().to_string(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            fingerprint: fingerprint(der),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        _ => None,
    }
}

pub(crate) fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(Into::into);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(Into::into))
}

/// SHA-256 of a certificate, as people compare it: `7F:3A:…`.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<_> = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.join(":")
}
