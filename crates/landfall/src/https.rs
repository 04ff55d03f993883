//! From settings to certificates: whose, and the tasks that keep them fresh.
//!
//! A certificate that cannot be had never stops the server: the local CA serves meanwhile. Files that the operator names
//! and that cannot be used do stop it, because nobody would notice otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Settings, Tls, TlsSource};
use tls::acme::{Acme, Challenge};
use tls::files::Files;
use tls::local::LocalCa;
use tls::{Acceptor, Certificates, ClientAuth, Facts, Minimum, Name, is_public};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, with_causes};

/// What makes TLS out of connections, and what runs beside it.
pub(crate) struct Https {
    pub(crate) acceptor: Acceptor,
    pub(crate) certificates: Arc<Certificates>,
    watched: Option<Files>,
    renewed: Option<LocalCa>,
    asked: Option<Acme>,
}

/// Which ways a server with these settings goes.
pub(crate) struct Plan {
    pub(crate) names: Vec<Name>,
    pub(crate) local: Option<LocalCa>,
    pub(crate) acme: Option<Acme>,
    pub(crate) files: Option<Files>,
}

pub(crate) fn refuse(error: &tls::Error) -> Failure {
    Failure::failed(error.code(), with_causes(error))
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The folder of certificates in the data folder of Landfall.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("tls")
}

impl Plan {
    /// `data` is `<rootdirectory>/landfall`.
    pub(crate) fn of(tls: &Tls, data: &Path) -> Result<Self, Failure> {
        let names: Result<Vec<Name>, _> = tls.names.iter().map(|name| name.parse()).collect();
        let names = names.map_err(|error| refuse(&error))?;
        if let TlsSource::Files { certificate, key } = &tls.source {
            let (certificate, key) = (certificate.clone(), key.clone());
            return Ok(Self {
                names,
                local: None,
                acme: None,
                files: Some(Files { certificate, key }),
            });
        }
        let asks = match tls.source {
            TlsSource::Acme => true,
            TlsSource::Auto => names.iter().all(is_public),
            TlsSource::Local | TlsSource::Files { .. } => false,
        };
        let challenge = |challenge: &config::Challenge| match challenge {
            config::Challenge::Http01 => Challenge::Http01,
            config::Challenge::TlsAlpn01 => Challenge::TlsAlpn01,
            config::Challenge::Dns01 => Challenge::Dns01,
        };
        Ok(Self {
            local: Some(LocalCa {
                folder: folder(data).join("local"),
                names: names.clone(),
                lifetime: tls.ca_lifetime,
                leaf_lifetime: tls.leaf_lifetime,
            }),
            acme: asks.then(|| Acme {
                folder: folder(data).join("acme"),
                names: names.clone(),
                email: tls.acme.email.clone(),
                directory: tls.acme.directory.clone(),
                ca_root: tls.acme.ca_root.clone(),
                challenges: tls.acme.challenges.iter().map(challenge).collect(),
                dns_exec: tls.acme.dns_exec.clone(),
            }),
            names,
            files: None,
        })
    }
}

/// A certificate for another name starts all the same: clients may know the server by a name that no setting says.
fn warn_of_other_names(settings: &Settings, tls: &Tls, certificate: &Path, facts: &Facts) {
    let host = settings.http.host.as_ref();
    let host = host.and_then(|host| host.as_str().parse::<http::Uri>().ok());
    let host = host
        .as_ref()
        .and_then(http::Uri::host)
        .map(|host| host.trim_matches(['[', ']']));
    let own = tls.names.iter().map(String::as_str).chain(host);
    for name in own.filter(|name| !facts.covers(name)) {
        let file = certificate.display();
        let names = facts.names.join(", ");
        tracing::warn!(
            "the certificate in {file} is for {names}, not for {name}: clients that use that name refuse it"
        );
    }
}

impl Https {
    /// A certificate to begin with. Blocks.
    pub(crate) fn open(settings: &Settings, tls: &Tls, data: &Path) -> Result<Self, Failure> {
        let plan = Plan::of(tls, data)?;
        let mut ca = None;
        let pair = match (&plan.files, &plan.local) {
            (Some(files), _) => {
                let pair = files.load(now()).map_err(|error| refuse(&error))?;
                warn_of_other_names(settings, tls, &files.certificate, &pair.facts);
                pair
            }
            (None, Some(local)) => {
                let issued = local.issue(now()).map_err(|error| refuse(&error))?;
                ca = Some((issued.ca, issued.fingerprint));
                let kept = plan
                    .acme
                    .as_ref()
                    .and_then(|acme| acme.kept(now()).ok().flatten());
                kept.unwrap_or(issued.pair)
            }
            (None, None) => unreachable!("a plan has files or a local CA"),
        };
        let certificates = Arc::new(Certificates::new(pair));
        if let Some((pem, fingerprint)) = ca {
            certificates.set_ca(pem);
            if plan.acme.is_none() {
                tracing::info!(
                    fingerprint,
                    "a local CA signs for {}; each client has to trust it once: landfall tls trust --print docker|podman|containerd|k3s|system",
                    tls.names.join(", ")
                );
            }
        }
        let clients = tls.clients.as_ref().map(|(authorities, wanted)| {
            let wanted = match wanted {
                config::ClientAuth::Request => ClientAuth::Request,
                config::ClientAuth::RequireAny => ClientAuth::RequireAny,
                config::ClientAuth::VerifyIfGiven => ClientAuth::VerifyIfGiven,
                config::ClientAuth::RequireAndVerify => ClientAuth::RequireAndVerify,
            };
            (authorities.as_slice(), wanted)
        });
        let minimum = if tls.only_13 {
            Minimum::Tls13
        } else {
            Minimum::Tls12
        };
        let acceptor = Acceptor::new(Arc::clone(&certificates), minimum, clients, settings.http.http2)
            .map_err(|error| refuse(&error))?;
        Ok(Self {
            acceptor,
            certificates,
            watched: plan.files,
            renewed: plan.local.filter(|_| plan.acme.is_none()),
            asked: plan.acme,
        })
    }

    /// Keeps the certificate fresh until `stop`.
    pub(crate) fn keep(self, stop: &CancellationToken) {
        let certificates = self.certificates;
        if let Some(files) = self.watched {
            tokio::spawn(files.watch(Arc::clone(&certificates), now, stop.clone()));
        }
        if let Some(local) = self.renewed {
            tokio::spawn(local.renew(Arc::clone(&certificates), now, stop.clone()));
        }
        if let Some(acme) = self.asked {
            tokio::spawn(acme.run(certificates, now, stop.clone()));
        }
    }
}
