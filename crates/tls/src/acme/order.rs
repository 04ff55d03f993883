//! One order: names are proven, a certificate comes back, and both lie on disk before anybody sees it.
//!
//! Source: RFC 8555 section 7.4; the certificate of TLS-ALPN-01 is RFC 8737 section 3.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::dns::Record;
use super::{Acme, Challenge};
use crate::{Certificates, Error, Name, Pair, disk};

const PATIENCE: Duration = Duration::from_mins(2);

impl Acme {
    /// A new certificate, kept on disk.
    pub(super) async fn obtain(&self, certificates: &Certificates) -> Result<Pair, Error> {
        let account = self.account().await?;
        let identifiers: Vec<_> = self.names.iter().map(identifier).collect();
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut records = Vec::new();
        let outcome = self.prove(&mut order, certificates, &mut records).await;
        for record in records {
            record.remove().await;
        }
        outcome?;
        let key = order.finalize().await?;
        let chain = order
            .poll_certificate(&RetryPolicy::new().timeout(PATIENCE))
            .await?;
        let (chain_path, key_path) = (self.place("chain.pem"), self.place("chain.key"));
        let keeping = tokio::task::spawn_blocking(move || {
            let pair = Pair::parse(chain.as_bytes(), key.as_bytes(), &chain_path, &key_path)?;
            disk::keep(&key_path, key.as_bytes())?;
            disk::keep(&chain_path, chain.as_bytes())?;
            Ok(pair)
        });
        keeping.await.unwrap_or_else(|stopped| {
            Err(Error::Unusable {
                what: "the new certificate".into(),
                reason: stopped.to_string(),
            })
        })
    }

    async fn prove(
        &self,
        order: &mut Order,
        certificates: &Certificates,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => self.offer(authorization, certificates, records).await?,
                status => {
                    return Err(Error::Unproven {
                        name: authorization.identifier().to_string(),
                        reason: format!("the authority holds its proof to be {status:?}"),
                    });
                }
            }
        }
        match order.poll_ready(&RetryPolicy::new().timeout(PATIENCE)).await? {
            OrderStatus::Ready | OrderStatus::Valid => Ok(()),
            status => Err(why(order, status).await),
        }
    }

    /// Shows the proof that the authority will look for, by the first way that both sides know.
    async fn offer(
        &self,
        mut authorization: AuthorizationHandle<'_>,
        certificates: &Certificates,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        let name = authorization.identifier().to_string();
        let offered = |wanted: &&Challenge| {
            let usable = **wanted != Challenge::Dns01 || self.dns_exec.is_some();
            usable
                && authorization
                    .challenges
                    .iter()
                    .any(|one| one.r#type == kind(**wanted))
        };
        let wanted = self.challenges.iter().find(offered).copied();
        let chosen = wanted.and_then(|wanted| Some((wanted, authorization.challenge(kind(wanted))?)));
        let Some((wanted, mut challenge)) = chosen else {
            return Err(Error::Unproven {
                name,
                reason: "the authority offers none of the ways in tls.acme.challenges".into(),
            });
        };
        let proof = challenge.key_authorization();
        match (wanted, &self.dns_exec) {
            (Challenge::Http01, _) => {
                certificates.offer_answer(challenge.token.clone(), proof.as_str().to_owned());
            }
            (Challenge::TlsAlpn01, _) => {
                certificates.offer_proof(name.clone(), proof_certificate(&name, proof.digest().as_ref())?);
            }
            (Challenge::Dns01, Some(command)) => {
                let host = name.trim_start_matches("*.");
                records.push(Record::set(command, host, proof.dns_value()).await?);
            }
            (Challenge::Dns01, None) => unreachable!("only what can be used is chosen"),
        }
        challenge.set_ready().await?;
        Ok(())
    }
}

fn identifier(name: &Name) -> Identifier {
    match name {
        Name::Host(host) => Identifier::Dns(host.clone()),
        Name::Ip(ip) => Identifier::Ip(*ip),
    }
}

fn kind(challenge: Challenge) -> ChallengeType {
    match challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::Dns01 => ChallengeType::Dns01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

fn proof_certificate(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, Error> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let chain = vec![params.self_signed(&key)?.der().clone()];
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    let signer = any_supported_type(&der.into()).map_err(|error| Error::Unusable {
        what: "the answer to a challenge".into(),
        reason: error.to_string(),
    })?;
    // Not compared with the key: its critical extension is one that ordinary readers of certificates refuse.
    Ok(Arc::new(CertifiedKey::new(chain, signer)))
}

/// What the authority says about the name that it could not prove.
async fn why(order: &mut Order, status: OrderStatus) -> Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let failed = authorization
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = failed {
            return Error::Unproven {
                name: authorization.identifier().to_string(),
                reason: format!(
                    "the authority could not reach this server or its record: {}\n  \
                     why   its DNS has to lead here, and port 80 (http-01) or 443 (tls-alpn-01) has to be open from outside\n  \
                     fix   mend that, then: landfall tls renew; or prove it by DNS: landfall config explain tls.acme.challenges",
                    problem.detail.as_deref().unwrap_or("no reason was given")
                ),
            };
        }
    }
    Error::Unproven {
        name: "the order".into(),
        reason: format!("the authority holds it to be {status:?}"),
    }
}
