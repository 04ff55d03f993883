//! Certificates of a public authority: asked for, kept, renewed in time, tried again after a failure.
//!
//! Shape: [`Acme::run`] is one task. What it gets lies in `<folder>/<authority>/`: `account.json`, `chain.pem`, `chain.key`.
//! Until there is one, somebody else's certificate stays in use; a failure never ends anything. A file `<folder>/renew`
//! means: at once (`landfall tls renew`).
//! Source: RFC 8555, RFC 9773 (when to renew).

mod account;
mod dns;
mod order;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Certificates, Error, Facts, Name, Pair, disk};

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
    /// The command that sets and removes a TXT record: `present|cleanup NAME VALUE`.
    pub dns_exec: Option<PathBuf>,
}

/// The first pause after a failure; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_hours(6);
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at what the authority says about renewal.
const ASK_AGAIN: Duration = Duration::from_hours(6);

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

    /// Gets and renews, until `stop`.
    pub async fn run(self, certificates: Arc<Certificates>, now: fn() -> i64, stop: CancellationToken) {
        let mut pause = RETRY_FIRST;
        let mut due = match self.kept_soon(now()).await {
            Some(pair) => self.due(&pair).await,
            None => now(),
        };
        let mut asked = now();
        loop {
            let wanted = self.take_marker();
            if wanted || now() >= due {
                match self.obtain(&certificates).await {
                    Ok(pair) => {
                        certificates.replace(pair.clone());
                        tracing::info!(
                            names = pair.facts.names.join(" "),
                            issuer = pair.facts.issuer,
                            until = pair.facts.not_after,
                            "a certificate was issued and is in use"
                        );
                        due = self.due(&pair).await;
                        pause = RETRY_FIRST;
                    }
                    Err(error) => {
                        due = now() + i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
                        tracing::error!(code = error.code(), "{error}");
                        tracing::warn!(
                            retry_seconds = pause.as_secs(),
                            issuer = certificates.facts().issuer,
                            "no certificate from {}; serving with the one at hand meanwhile, and trying again",
                            self.directory
                        );
                        pause = (pause * 2).min(RETRY_MAX);
                    }
                }
                certificates.withdraw();
                asked = now();
            } else if now() - asked > i64::try_from(ASK_AGAIN.as_secs()).unwrap_or(i64::MAX) {
                asked = now();
                if let Some(pair) = self.kept_soon(now()).await {
                    due = due.min(self.due(&pair).await);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn take_marker(&self) -> bool {
        std::fs::remove_file(Self::renew_marker(&self.folder)).is_ok()
    }

    async fn kept_soon(&self, now: i64) -> Option<Pair> {
        let this = self.clone();
        let kept = tokio::task::spawn_blocking(move || this.kept(now)).await;
        kept.ok().and_then(Result::ok).flatten()
    }

    /// When to renew: in the authority's window where it names one, else after two thirds of the life.
    async fn due(&self, pair: &Pair) -> i64 {
        let facts = &pair.facts;
        let usual = facts.not_after - (facts.not_after - facts.not_before) / 3;
        match self.window(pair).await {
            Some((start, end)) if end > start => start.midpoint(end).min(facts.not_after),
            _ => usual,
        }
    }

    async fn window(&self, pair: &Pair) -> Option<(i64, i64)> {
        let first = pair.key.cert.first()?;
        let id = instant_acme::CertificateIdentifier::try_from(first).ok()?;
        let account = self.account().await.ok()?;
        let (info, _) = account.renewal_info(&id).await.ok()?;
        Some((
            info.suggested_window.start.unix_timestamp(),
            info.suggested_window.end.unix_timestamp(),
        ))
    }
}
