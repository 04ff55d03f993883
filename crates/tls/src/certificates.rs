//! What handshakes present at this moment, and the answers to an authority that asks whether a name is ours.
//!
//! Shape: at most two certificates, each replaced as a whole: *issued* (of files or of a public authority) and *local* (of
//! the local CA). The issued one is preferred, and the local one stands in: while there is no issued one, and for names that
//! only it is for. Connections that are open keep theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Facts, Pair};

/// The protocol name by which TLS-ALPN-01 is asked. Source: RFC 8737 section 6.2.
pub(crate) const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The certificates in use, and challenges that wait for their question.
#[derive(Debug, Default)]
pub struct Certificates {
    issued: ArcSwapOption<Pair>,
    local: ArcSwapOption<Pair>,
    ca: ArcSwapOption<String>,
    tokens: Mutex<HashMap<String, String>>,
    proofs: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Presents this one, of files or of a public authority, from the next handshake on.
    pub fn set_issued(&self, pair: Pair) {
        self.issued.store(Some(Arc::new(pair)));
    }

    /// Presents it no more; the local one stands in. Answers what was presented.
    pub(crate) fn take_issued(&self) -> Option<Arc<Pair>> {
        self.issued.swap(None)
    }

    /// Presents this one where there is no issued one, or where only this one is for the name; `ca` (PEM) is offered to
    /// whoever asks for it.
    pub fn set_local(&self, pair: Pair, ca: String) {
        self.local.store(Some(Arc::new(pair)));
        self.ca.store(Some(Arc::new(ca)));
    }

    /// What the issued certificate says about itself, where there is one.
    #[must_use]
    pub fn issued_facts(&self) -> Option<Facts> {
        self.issued.load().as_ref().map(|pair| pair.facts.clone())
    }

    /// What the certificate of the local CA says about itself, where there is one.
    #[must_use]
    pub fn local_facts(&self) -> Option<Facts> {
        self.local.load().as_ref().map(|pair| pair.facts.clone())
    }

    /// The certificate of the local CA, PEM; none where there is no local CA.
    #[must_use]
    pub fn ca(&self) -> Option<Arc<String>> {
        self.ca.load_full()
    }

    /// What a client sees that asks for this name; one that uses an IP address asks for none (RFC 6066 section 3).
    #[must_use]
    pub fn presented(&self, asked: Option<&str>) -> Option<Arc<Pair>> {
        let (issued, local) = (self.issued.load_full(), self.local.load_full());
        let (Some(issued), Some(local)) = (&issued, &local) else {
            return issued.or(local);
        };
        let is_for = |pair: &Pair| match asked {
            Some(name) => pair.facts.covers(name),
            None => pair.facts.names.iter().any(|name| name.parse::<IpAddr>().is_ok()),
        };
        Some(Arc::clone(if is_for(local) && !is_for(issued) {
            local
        } else {
            issued
        }))
    }

    /// The answer to an HTTP-01 question. Source: RFC 8555 section 8.3.
    #[must_use]
    pub fn answer(&self, token: &str) -> Option<String> {
        lock(&self.tokens).get(token).cloned()
    }

    pub(crate) fn offer_answer(&self, token: String, answer: String) {
        lock(&self.tokens).insert(token, answer);
    }

    pub(crate) fn offer_proof(&self, name: String, key: Arc<CertifiedKey>) {
        lock(&self.proofs).insert(name, key);
    }

    pub(crate) fn withdraw(&self) {
        lock(&self.tokens).clear();
        lock(&self.proofs).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        if protocols.any(|protocol| protocol == ACME_ALPN) {
            return lock(&self.proofs).get(hello.server_name()?).cloned();
        }
        let pair = self.presented(hello.server_name())?;
        Some(Arc::clone(&pair.key))
    }
}
