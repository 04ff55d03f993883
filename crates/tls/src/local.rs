//! A certificate authority of this server alone, for names that no public one can know, and until a public one answers.
//!
//! Shape: `<folder>/ca.pem` and `ca.key` are kept and trusted by people; `<folder>/leaf.pem` and `leaf.key` are made anew
//! in time. The authority is constrained to the names it was made for: who trusts it trusts it for nothing else. Names
//! that it may not sign mean a new authority, which has to be trusted anew.
//! Source: RFC 5280 sections 4.2.1.9 (constraints: a host name covers what is below it) and 4.2.1.10.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::{Certificates, Error, Facts, Name, Pair, disk};

/// Clocks of clients may be behind ours.
const BEFORE: Duration = Duration::from_hours(1);
/// Between two looks at whether the certificate has to be renewed.
const LOOK: Duration = Duration::from_mins(10);
/// Phones and browsers refuse a longer life of a server's certificate.
const LEAF_MAX: Duration = Duration::from_hours(24 * 398);

/// The authority's folder and what it signs.
#[derive(Clone, Debug)]
pub struct LocalCa {
    /// `<data>/landfall/tls/local`
    pub folder: PathBuf,
    /// What the server is called; at least one.
    pub names: Vec<Name>,
    /// How long the authority lives.
    pub lifetime: Duration,
    /// How long a certificate lives.
    pub leaf_lifetime: Duration,
}

/// What the authority gives.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The server's certificate.
    pub pair: Pair,
    /// The authority's own, PEM.
    pub ca: String,
    /// What people compare before they trust it.
    pub fingerprint: String,
    /// Whether the authority was made just now.
    pub is_new: bool,
}

impl LocalCa {
    /// The authority's certificate file.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The certificate that is kept, or a new one if its names, its authority or two thirds of its life are gone. Blocks.
    pub fn issue(&self, now: i64) -> Result<Issued, Error> {
        let (ca, key, is_new) = self.authority(now)?;
        let ca_der = der(&ca, &self.ca_path())?;
        // A leaf that cannot be read costs nothing: nobody trusts it by itself.
        let pair = match self.kept_leaf().ok().flatten() {
            Some(pair) if !is_new && self.serves(&pair.facts, now) => pair,
            _ => self.make_leaf(&ca, key, now)?,
        };
        Ok(Issued {
            pair,
            fingerprint: crate::fingerprint(&ca_der),
            ca,
            is_new,
        })
    }

    /// What is on disk, as it is; `None` before the first start. Blocks.
    pub fn kept(&self) -> Result<Option<Issued>, Error> {
        let (Some(ca), Some(pair)) = (disk::read_if_there(&self.ca_path())?, self.kept_leaf()?) else {
            return Ok(None);
        };
        let fingerprint = crate::fingerprint(&der(&ca, &self.ca_path())?);
        Ok(Some(Issued {
            pair,
            ca,
            fingerprint,
            is_new: false,
        }))
    }

    fn serves(&self, facts: &Facts, now: i64) -> bool {
        let wanted: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let renew_at = facts.not_after - (facts.not_after - facts.not_before) / 3;
        facts.names == wanted && (facts.not_before..renew_at).contains(&now)
    }

    fn kept_leaf(&self) -> Result<Option<Pair>, Error> {
        let (chain, key) = (self.folder.join("leaf.pem"), self.folder.join("leaf.key"));
        match (disk::read_if_there(&chain)?, disk::read_if_there(&key)?) {
            // A pair that was torn by a crash is made anew.
            (Some(c), Some(k)) => Ok(Pair::parse(c.as_bytes(), k.as_bytes(), &chain, &key).ok()),
            _ => Ok(None),
        }
    }

    fn make_leaf(&self, ca: &str, ca_key: KeyPair, now: i64) -> Result<Pair, Error> {
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(first) = names.first().filter(|name| name.len() <= 64) {
            params.distinguished_name.push(DnType::CommonName, first.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let ca_until = Facts::read(&der(ca, &self.ca_path())?).map_or(i64::MAX, |facts| facts.not_after);
        (params.not_before, params.not_after) = validity(now, self.leaf_lifetime.min(LEAF_MAX));
        params.not_after = params.not_after.min(moment(ca_until));
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &Issuer::from_ca_cert_pem(ca, ca_key)?)?;
        let (chain_path, key_path) = (self.folder.join("leaf.pem"), self.folder.join("leaf.key"));
        let (chain, key) = (leaf.pem() + ca, key.serialize_pem());
        disk::keep(&key_path, key.as_bytes())?;
        disk::keep(&chain_path, chain.as_bytes())?;
        Pair::parse(chain.as_bytes(), key.as_bytes(), &chain_path, &key_path)
    }

    /// The authority that is kept, if it may sign our names and lives long enough; else a new one.
    fn authority(&self, now: i64) -> Result<(String, KeyPair, bool), Error> {
        let (path, key_path) = (self.ca_path(), self.folder.join("ca.key"));
        match kept_authority(&path, &key_path) {
            Ok(None) => {}
            Ok(Some((ca, der, key))) => {
                let lives = Facts::read(&der).is_some_and(|facts| facts.not_after > now);
                if lives && permits(&der, &self.names) && is_of(&der, &key) {
                    return Ok((ca, key, false));
                }
                tracing::warn!(
                    "the local CA cannot sign for these names any more: a new one is made, and has to be trusted anew"
                );
            }
            // A server that does not start helps nobody; whoever has the files in order again can put them back.
            Err(error) => {
                for file in [&path, &key_path] {
                    disk::set_aside(file)?;
                }
                tracing::error!(
                    code = error.code(),
                    "the local CA cannot be used: {error}\n  \
                     effect  a new one was made, and has to be trusted anew\n  \
                     fix     the old files were set aside as {0} and {1}; mended and back in their places, they are used again from the next start",
                    disk::aside(&path).display(),
                    disk::aside(&key_path).display(),
                );
            }
        }
        let key = KeyPair::generate()?;
        let ca = self.params(now, &key)?.self_signed(&key)?.pem();
        disk::keep(&key_path, key.serialize_pem().as_bytes())?;
        disk::keep(&path, ca.as_bytes())?;
        Ok((ca, key, true))
    }

    fn params(&self, now: i64, key: &KeyPair) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        let first = self.names.first().map(ToString::to_string).unwrap_or_default();
        // With a part of the key in its name, an authority that replaces another is not taken for it.
        let id: String = crate::fingerprint(key.public_key_raw())
            .replace(':', "")
            .chars()
            .take(8)
            .collect();
        let host: String = first.chars().take(32).collect();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Landfall {host} {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(constraints(&self.names));
        (params.not_before, params.not_after) = validity(now, self.lifetime);
        Ok(params)
    }

    /// Renews in time, until `stop`.
    pub async fn renew(self, certificates: Arc<Certificates>, now: fn() -> i64, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if certificates
                .local_facts()
                .is_some_and(|facts| self.serves(&facts, now()))
            {
                continue;
            }
            let ca = self.clone();
            match tokio::task::spawn_blocking(move || ca.issue(now())).await {
                Ok(Ok(issued)) => {
                    tracing::info!(
                        until = issued.pair.facts.not_after,
                        "the certificate of the local CA was renewed"
                    );
                    certificates.set_local(issued.pair, issued.ca);
                }
                Ok(Err(error)) => tracing::error!(code = error.code(), "{error}"),
                Err(stopped) => tracing::error!(%stopped, "the certificate could not be renewed"),
            }
        }
    }
}

/// Certificate and key of the authority, as they lie there.
fn kept_authority(
    path: &Path,
    key_path: &Path,
) -> Result<Option<(String, CertificateDer<'static>, KeyPair)>, Error> {
    let (Some(ca), Some(key)) = (disk::read_if_there(path)?, disk::read_if_there(key_path)?) else {
        return Ok(None);
    };
    let key = KeyPair::from_pem(&key).map_err(|_| Error::NoKey(key_path.into()))?;
    let der = der(&ca, path)?;
    Ok(Some((ca, der, key)))
}

fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX)))
}

fn validity(now: i64, lifetime: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let begin = moment(now);
    (begin - BEFORE, begin + lifetime)
}

fn der(pem: &str, path: &Path) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::NoCertificate(path.into()))
}

/// Our names and nothing else: a kind of name that we do not have is excluded as a whole.
fn constraints(names: &[Name]) -> NameConstraints {
    let permitted: Vec<_> = names
        .iter()
        .map(|name| match name {
            Name::Host(host) => GeneralSubtree::DnsName(host.clone()),
            Name::Ip(ip) => GeneralSubtree::IpAddress(subnet(*ip, true)),
        })
        .collect();
    let mut excluded = Vec::new();
    if !names.iter().any(|name| matches!(name, Name::Ip(_))) {
        for any in [IpAddr::from([0_u8; 4]), IpAddr::from([0_u8; 16])] {
            excluded.push(GeneralSubtree::IpAddress(subnet(any, false)));
        }
    }
    if !names.iter().any(|name| matches!(name, Name::Host(_))) {
        excluded.push(GeneralSubtree::DnsName(String::new()));
    }
    NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: excluded,
    }
}

/// One address, or all of its family.
fn subnet(ip: IpAddr, one: bool) -> CidrSubnet {
    let bits = match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    CidrSubnet::from_addr_prefix(ip, if one { bits } else { 0 })
}

/// Whether the authority was made for all of these names.
fn permits(ca: &CertificateDer<'_>, names: &[Name]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(ca) else {
        return false;
    };
    let Ok(Some(found)) = parsed.name_constraints() else {
        return false;
    };
    let subtrees = found.value.permitted_subtrees.as_deref().unwrap_or_default();
    names.iter().all(|name| {
        subtrees.iter().any(|subtree| match (&subtree.base, name) {
            (GeneralName::DNSName(permitted), Name::Host(host)) => {
                host == permitted
                    || host
                        .strip_suffix(permitted)
                        .is_some_and(|rest| rest.ends_with('.'))
            }
            (GeneralName::IPAddress(bytes), Name::Ip(ip)) => {
                bytes.get(..bytes.len() / 2).and_then(crate::pair::address) == Some(*ip)
            }
            _ => false,
        })
    })
}

fn is_of(ca: &CertificateDer<'_>, key: &KeyPair) -> bool {
    X509Certificate::from_der(ca)
        .is_ok_and(|(_, parsed)| parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw())
}
