//! Certificate files of the operator: read at the start, read again when they change.
//!
//! The files are looked at each second rather than watched: that sees a rename, a bind mount and the symlink swap of
//! Kubernetes alike. They are read once they lie still from one look to the next, so that a certificate whose key is still
//! on its way is no error. New files that cannot be used change nothing; the error names them, once for each change.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Certificates, Error, Pair, disk};

pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain, PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// What changes when a file does: modified (with nanoseconds), inode, size.
pub(crate) type Stamp = Option<(i64, i64, u64, u64)>;

impl Files {
    /// Reads both; a certificate whose time is over is refused. Blocks.
    pub fn load(&self, now: i64) -> Result<Pair, Error> {
        let chain = disk::read_of_operator(&self.certificate, "http.tls.certificate")?;
        let key = disk::read_of_operator(&self.key, "http.tls.key")?;
        let pair = Pair::parse(&chain, &key, &self.certificate, &self.key)?;
        if pair.facts.not_after < now {
            let when = jiff::Timestamp::from_second(pair.facts.not_after);
            return Err(Error::Expired {
                path: self.certificate.clone(),
                when: when.map_or_else(|_| "an unknown day".into(), |when| when.to_string()),
            });
        }
        Ok(pair)
    }

    /// Keeps `certificates` at what the files hold, until `stop`.
    pub async fn watch(self, certificates: Arc<Certificates>, now: fn() -> i64, stop: CancellationToken) {
        // The first look reads them too: they may have changed since the start read them.
        let mut known = None;
        let mut seen = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let stamps = Some(self.stamps().await);
            if stamps != seen {
                seen = stamps;
                continue;
            }
            if stamps == known {
                continue;
            }
            known = stamps;
            let files = self.clone();
            match tokio::task::spawn_blocking(move || files.load(now())).await {
                Ok(Ok(pair)) if Some(&pair.facts) == certificates.issued_facts().as_ref() => {}
                Ok(Ok(pair)) => {
                    tracing::info!(
                        certificate = %self.certificate.display(),
                        until = pair.facts.not_after,
                        "the certificate was read again and is in use"
                    );
                    certificates.set_issued(pair);
                }
                Ok(Err(error)) => {
                    tracing::error!(code = error.code(), "{error}");
                    tracing::error!("the new certificate cannot be used; the old one stays in use");
                }
                Err(stopped) => tracing::error!(%stopped, "the certificate could not be read again"),
            }
        }
    }

    async fn stamps(&self) -> [Stamp; 2] {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        tokio::task::spawn_blocking(move || [stamp(&certificate), stamp(&key)])
            .await
            .unwrap_or_default()
    }
}

pub(crate) fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.ino(), found.size()))
}
