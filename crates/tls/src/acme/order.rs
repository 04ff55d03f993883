//! One order: names are proven, a certificate comes back, and both lie on disk before anybody sees it.
//!
//! Each way to prove a name is tried in turn: what is wrong with port 80 may be right with port 443. An authority that
//! counts failures and has a twin for trying is first asked there, so that a mistake costs nothing.
//! Source: RFC 8555 section 7.4; RFC 9773 section 5 (`replaces`); the certificate of TLS-ALPN-01 is RFC 8737 section 3.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::account::blocking;
use super::authority::{ANSWER, is_about_the_proof, said};
use super::dns::Record;
use super::{Acme, Challenge, kind};
use crate::{Certificates, Error, Name, Pair, disk};

/// Until the authority has looked at a proof, or made the certificate.
const PATIENCE: Duration = Duration::from_mins(2);

/// What one order leaves behind while it runs.
#[derive(Default)]
struct Traces {
    /// The ways that were used, of one authorization after the other.
    used: Vec<Challenge>,
    records: Vec<Record>,
}

impl Acme {
    /// A new certificate, kept on disk. `old` is the one that it takes the place of.
    pub(super) async fn obtain(
        &self,
        certificates: &Certificates,
        old: Option<&Pair>,
    ) -> Result<Pair, Error> {
        if let (Some(directory), None) = (&self.rehearsal, old) {
            let twin = Self {
                directory: directory.clone(),
                rehearsal: None,
                ..self.clone()
            };
            twin.by_any_way(certificates, None).await?;
            tracing::info!("a rehearsal at {directory} went well; the real order follows");
        }
        let (chain, key) = self.by_any_way(certificates, old).await?;
        let (chain_path, key_path) = (self.place("chain.pem"), self.place("chain.key"));
        blocking(move || {
            let pair = Pair::parse(chain.as_bytes(), key.as_bytes(), &chain_path, &key_path)?;
            disk::keep(&key_path, key.as_bytes())?;
            disk::keep(&chain_path, chain.as_bytes())?;
            Ok(pair)
        })
        .await
    }

    /// Chain and key, PEM, by the first of the ways that leads there.
    async fn by_any_way(
        &self,
        certificates: &Certificates,
        old: Option<&Pair>,
    ) -> Result<(String, String), Error> {
        let usable = |way: &Challenge| *way != Challenge::Dns01 || self.dns.is_some();
        let ways: Vec<_> = self.challenges.iter().copied().filter(usable).collect();
        let mut left = ways.as_slice();
        let mut failed = Vec::new();
        loop {
            let mut traces = Traces::default();
            let outcome = self.one_order(certificates, old, left, &mut traces).await;
            for record in traces.records {
                record.remove().await;
            }
            certificates.withdraw();
            let Err(Error::Unproven {
                authority,
                name,
                tries,
            }) = outcome
            else {
                return outcome;
            };
            failed.extend(tries);
            // The last one used: those before it in the list are not offered, or failed.
            let used = traces
                .used
                .iter()
                .filter_map(|way| left.iter().position(|one| one == way));
            let next = used.max().map_or(left.len(), |at| at + 1);
            left = left.get(next..).unwrap_or_default();
            let Some(next) = left.first() else {
                return Err(Error::Unproven {
                    authority,
                    name,
                    tries: failed,
                });
            };
            tracing::warn!("{name} could not be proven so; {next} is tried next");
        }
    }

    async fn one_order(
        &self,
        certificates: &Certificates,
        old: Option<&Pair>,
        ways: &[Challenge],
        traces: &mut Traces,
    ) -> Result<(String, String), Error> {
        let mut order = match self.open_order(old).await {
            Err(Error::Authority { cause, .. })
                if is_without_account(&cause) && self.forget_account().await =>
            {
                tracing::warn!(
                    "{} does not know our account any more; a new one is made",
                    self.directory
                );
                self.open_order(old).await?
            }
            opened => opened?,
        };
        self.prove(&mut order, certificates, ways, traces).await?;
        let key = self.ask("sending the key", ANSWER, order.finalize()).await?;
        let patience = RetryPolicy::new().timeout(PATIENCE);
        let fetching = order.poll_certificate(&patience);
        let chain = self
            .ask("fetching the certificate", PATIENCE + ANSWER, fetching)
            .await?;
        Ok((chain, key))
    }

    /// Says which certificate this one replaces, where the authority wants to know: such orders are not counted.
    async fn open_order(&self, old: Option<&Pair>) -> Result<Order, Error> {
        const DOING: &str = "ordering a certificate";
        let account = self.account().await?;
        let identifiers: Vec<_> = self.names.iter().map(identifier).collect();
        let old = old.and_then(|pair| CertificateIdentifier::try_from(pair.key.cert.first()?).ok());
        if let Some(old) = old {
            let replacing = NewOrder::new(&identifiers).replaces(old);
            match self.ask(DOING, ANSWER, account.new_order(&replacing)).await {
                // An authority without renewal information, or one that holds it to be replaced already.
                Err(Error::Authority { cause, .. }) => tracing::debug!("ordered without `replaces`: {cause}"),
                other => return other,
            }
        }
        let plain = NewOrder::new(&identifiers);
        self.ask(DOING, ANSWER, account.new_order(&plain)).await
    }

    async fn prove(
        &self,
        order: &mut Order,
        certificates: &Certificates,
        ways: &[Challenge],
        traces: &mut Traces,
    ) -> Result<(), Error> {
        let mut authorizations = order.authorizations();
        loop {
            let next = async { authorizations.next().await.transpose() };
            let Some(authorization) = self.ask("asking what to prove", ANSWER, next).await? else {
                break;
            };
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => {
                    self.offer(authorization, certificates, ways, traces).await?;
                }
                status => {
                    let name = authorization.identifier().to_string();
                    let said = format!("the authority holds its proof to be {status:?}");
                    return Err(self.unproven(name, None, said));
                }
            }
        }
        let patience = RetryPolicy::new().timeout(PATIENCE);
        let looked = self
            .ask(
                "waiting for the proof",
                PATIENCE + ANSWER,
                order.poll_ready(&patience),
            )
            .await;
        let told = match looked {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => return Ok(()),
            Ok(status) => format!("the authority holds the order to be {status:?}"),
            Err(Error::Authority { cause, .. }) if matches!(*cause, instant_acme::Error::Api(_)) => {
                cause.to_string()
            }
            Err(other) => return Err(other),
        };
        Err(self.why(order, &traces.used, told).await)
    }

    /// Shows the proof that the authority will look for, by the first way that both sides know.
    async fn offer(
        &self,
        mut authorization: AuthorizationHandle<'_>,
        certificates: &Certificates,
        ways: &[Challenge],
        traces: &mut Traces,
    ) -> Result<(), Error> {
        let name = authorization.identifier().to_string();
        let offered: Vec<ChallengeType> = authorization
            .challenges
            .iter()
            .map(|one| one.r#type.clone())
            .collect();
        let wanted = ways.iter().copied().find(|way| offered.contains(&kind(*way)));
        let chosen = wanted.and_then(|wanted| Some((wanted, authorization.challenge(kind(wanted))?)));
        let Some((wanted, mut challenge)) = chosen else {
            return Err(self.unproven(
                name,
                None,
                "none of the ways in tls.acme.challenges can be used for it",
            ));
        };
        traces.used.push(wanted);
        let proof = challenge.key_authorization();
        match (wanted, &self.dns) {
            (Challenge::Http01, _) => {
                certificates.offer_answer(challenge.token.clone(), proof.as_str().to_owned());
            }
            (Challenge::TlsAlpn01, _) => {
                certificates.offer_proof(name.clone(), proof_certificate(&name, proof.digest().as_ref())?);
            }
            (Challenge::Dns01, Some(dns)) => {
                let host = name.trim_start_matches("*.");
                traces
                    .records
                    .push(Record::set(dns, host, proof.dns_value()).await?);
            }
            (Challenge::Dns01, None) => unreachable!("only ways that can be used are in the list"),
        }
        match self
            .ask("asking for a look at the proof", ANSWER, challenge.set_ready())
            .await
        {
            Err(Error::Authority { cause, .. }) => match *cause {
                instant_acme::Error::Api(problem) if is_about_the_proof(&problem) => {
                    Err(self.unproven(name, Some(wanted), said(&problem)))
                }
                cause => Err(Error::Authority {
                    authority: self.directory.clone(),
                    doing: "asking for a look at the proof",
                    cause: Box::new(cause),
                }),
            },
            other => other,
        }
    }
}

fn is_without_account(error: &instant_acme::Error) -> bool {
    matches!(error, instant_acme::Error::Api(problem)
        if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":accountDoesNotExist")))
}

fn identifier(name: &Name) -> Identifier {
    match name {
        Name::Host(host) => Identifier::Dns(host.clone()),
        Name::Ip(ip) => Identifier::Ip(*ip),
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
