//! Certificates of a public authority: asked for, kept, renewed in time, tried again after a failure.
//!
//! Shape: [`Acme::run`] is one task. What it gets lies in `<folder>/<authority>/`: `account.json`, `chain.pem`, `chain.key`.
//! Until there is one, somebody else's certificate stays in use; a failure never ends anything. A file `<folder>/renew`
//! means: at once (`landfall tls renew`).
//! Source: RFC 8555, RFC 9773 (when to renew).

mod account;
mod authority;
mod dns;
mod hook;
mod order;
pub mod rfc2136;
mod task;

use std::fmt;
use std::path::{Path, PathBuf};

pub use dns::Dns;
use instant_acme::ChallengeType;

use crate::{Error, Facts, Name, Pair, disk};

/// A way to prove that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A file on port 80. RFC 8555 section 8.3.
    Http01,
    /// A TXT record. RFC 8555 section 8.4.
    Dns01,
    /// A certificate on port 443. RFC 8737.
    TlsAlpn01,
}

/// What to ask, and whom.
#[derive(Clone, Debug)]
pub struct Acme {
    /// `<data>/landfall/tls/acme`
    pub folder: PathBuf,
    /// At least one.
    pub names: Vec<Name>,
    /// Where the authority writes to.
    pub email: Option<String>,
    /// The authority's directory URL.
    pub directory: String,
    /// Who signed the authority's own certificate, PEM, where that is not in the system's list.
    pub ca_root: Option<PathBuf>,
    /// In this order of preference; never empty.
    pub challenges: Vec<Challenge>,
    /// Who sets TXT records; DNS-01 needs it.
    pub dns: Option<Dns>,
    /// The directory URL of a twin of the authority, where a first order costs nothing if it fails.
    pub rehearsal: Option<String>,
}

impl Challenge {
    /// What has to be so for a proof by this way.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Self::Http01 => "the DNS of the name has to lead here, and port 80 has to be open from outside",
            Self::TlsAlpn01 => {
                "the DNS of the name has to lead here, and port 443 has to be open from outside, with no proxy that ends TLS"
            }
            Self::Dns01 => {
                "the TXT record of _acme-challenge.NAME has to be seen on all name servers of the zone"
            }
        }
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        })
    }
}

fn kind(challenge: Challenge) -> ChallengeType {
    match challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::Dns01 => ChallengeType::Dns01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

impl Acme {
    /// The certificate that is kept, if it is for our names and not over. Blocks.
    pub fn kept(&self, now: i64) -> Result<Option<Pair>, Error> {
        let (chain_path, key_path) = (self.place("chain.pem"), self.place("chain.key"));
        let (Some(chain), Some(key)) = (disk::read_if_there(&chain_path)?, disk::read_if_there(&key_path)?)
        else {
            return Ok(None);
        };
        let pair = Pair::parse(chain.as_bytes(), key.as_bytes(), &chain_path, &key_path).ok();
        Ok(pair.filter(|pair| self.is_for_us(&pair.facts) && pair.facts.not_after > now))
    }

    fn is_for_us(&self, facts: &Facts) -> bool {
        self.names
            .iter()
            .all(|name| facts.names.contains(&name.to_string()))
    }

    /// The file that asks for a renewal at once.
    #[must_use]
    pub fn renew_marker(folder: &Path) -> PathBuf {
        folder.join("renew")
    }

    /// One folder for each authority, so that trying one does not cost the other's account.
    fn place(&self, file: &str) -> PathBuf {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                c
            } else {
                '_'
            }
        };
        let authority = self.directory.trim_start_matches("https://");
        self.folder
            .join(authority.chars().map(plain).collect::<String>())
            .join(file)
    }
}
