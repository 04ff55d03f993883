//! What handshakes present at this moment, and the answers to an authority that asks whether a name is ours.
//!
//! Shape: one certificate for every name, replaced as a whole; connections that are open keep theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Facts, Pair};

/// The protocol name by which TLS-ALPN-01 is asked. Source: RFC 8737 section 6.2.
pub(crate) const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The certificate in use, and challenges that wait for their question.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<Pair>,
    ca: ArcSwapOption<String>,
    tokens: Mutex<HashMap<String, String>>,
    proofs: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Begins with this one.
    #[must_use]
    pub fn new(pair: Pair) -> Self {
        Self {
            current: ArcSwap::from_pointee(pair),
            ca: ArcSwapOption::empty(),
            tokens: Mutex::default(),
            proofs: Mutex::default(),
        }
    }

    /// Presents this one from the next handshake on.
    pub fn replace(&self, pair: Pair) {
        self.current.store(Arc::new(pair));
    }

    /// What the certificate in use says about itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.current.load().facts.clone()
    }

    /// Offers the certificate of the local CA to whoever asks.
    pub fn set_ca(&self, pem: String) {
        self.ca.store(Some(Arc::new(pem)));
    }

    /// The certificate of the local CA, PEM; none where there is no local CA.
    #[must_use]
    pub fn ca(&self) -> Option<Arc<String>> {
        self.ca.load_full()
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
        Some(Arc::clone(&self.current.load().key))
    }
}
