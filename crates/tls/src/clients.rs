//! Certificates of clients: who has to show one, and who signed it.
//!
//! Source: `http.tls.clientauth` of the CNCF registry, which has Go's four words for it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use crate::{Error, disk};

/// What is asked of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Asked for one, of whoever signed it; none is fine.
    Request,
    /// Any one, whoever signed it.
    RequireAny,
    /// If there is one, it has to be signed by one of ours.
    VerifyIfGiven,
    /// One that is signed by one of ours.
    RequireAndVerify,
}

/// The verifier for these authorities. Blocks.
pub(crate) fn verifier(
    provider: &Arc<CryptoProvider>,
    authorities: &[PathBuf],
    wanted: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    if matches!(wanted, ClientAuth::Request | ClientAuth::RequireAny) {
        return Ok(Arc::new(Anybody {
            provider: Arc::clone(provider),
            mandatory: wanted == ClientAuth::RequireAny,
        }));
    }
    let mut roots = RootCertStore::empty();
    for path in authorities {
        let text = disk::read_of_operator(path, "http.tls.clientcas")?;
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|_| Error::NoCertificate(path.clone()))?;
            roots.add(certificate).map_err(|error| Error::Unusable {
                what: path.display().to_string(),
                reason: error.to_string(),
            })?;
        }
        if roots.len() == before {
            return Err(Error::NoCertificate(path.clone()));
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match wanted {
        ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
        _ => builder,
    };
    let verifier = builder.build();
    verifier
        .map(|verifier| verifier as _)
        .map_err(|error| Error::Unusable {
            what: "the certificate authorities of clients".into(),
            reason: error.to_string(),
        })
}

/// Takes any certificate, as long as the client has its key.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
