//! From settings to certificates: whose, and the tasks that keep them fresh.
//!
//! A certificate that cannot be had never stops the server: the local CA serves meanwhile. Files that the operator names
//! and that cannot be used do stop it, because nobody would notice otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Loaded, Settings, Tls, TlsSource};
use tls::acme::rfc2136::{Algorithm, Rfc2136};
use tls::acme::{Acme, Challenge, Dns};
use tls::files::Files;
use tls::local::LocalCa;
use tls::{Acceptor, Certificates, ClientAuth, Facts, Minimum, Name, is_public, trust};
use tokio_util::sync::CancellationToken;

use crate::cli::ServeArguments;
use crate::failure::{Failure, with_causes};

/// The directory of Let's Encrypt, and its twin where failures do not count.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// What makes TLS out of connections, and what runs beside it.
pub(crate) struct Https {
    pub(crate) acceptor: Acceptor,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) plan: Plan,
    /// Of the local CA, where there is one.
    pub(crate) fingerprint: Option<String>,
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
        // A local CA stands by for all names, so that none is without a certificate at any time.
        let asked: Vec<Name> = match tls.source {
            TlsSource::Acme => names.clone(),
            TlsSource::Auto => names.iter().filter(|name| is_public(name)).cloned().collect(),
            TlsSource::Local | TlsSource::Files { .. } => Vec::new(),
        };
        let acme = if asked.is_empty() {
            None
        } else {
            Some(acme(&tls.acme, folder(data).join("acme"), asked)?)
        };
        Ok(Self {
            local: Some(LocalCa {
                folder: folder(data).join("local"),
                names: names.clone(),
                lifetime: tls.ca_lifetime,
                leaf_lifetime: tls.leaf_lifetime,
            }),
            acme,
            names,
            files: None,
        })
    }

    /// The names that clients meet the local CA under, also when all goes well.
    pub(crate) fn local_names(&self) -> Vec<Name> {
        let asked = |name: &Name| self.acme.as_ref().is_some_and(|acme| acme.names.contains(name));
        match self.local {
            Some(_) => self.names.iter().filter(|name| !asked(name)).cloned().collect(),
            None => Vec::new(),
        }
    }
}

fn acme(settings: &config::Acme, folder: PathBuf, names: Vec<Name>) -> Result<Acme, Failure> {
    let challenge = |challenge: &config::Challenge| match challenge {
        config::Challenge::Http01 => Challenge::Http01,
        config::Challenge::TlsAlpn01 => Challenge::TlsAlpn01,
        config::Challenge::Dns01 => Challenge::Dns01,
    };
    Ok(Acme {
        folder,
        names,
        email: settings.email.clone(),
        directory: settings.directory.clone(),
        ca_root: settings.ca_root.clone(),
        challenges: settings.challenges.iter().map(challenge).collect(),
        dns: settings.dns.as_ref().map(dns).transpose()?,
        rehearsal: (settings.directory == LETS_ENCRYPT).then(|| LETS_ENCRYPT_STAGING.to_owned()),
    })
}

fn dns(settings: &config::Dns) -> Result<Dns, Failure> {
    let update = match settings {
        config::Dns::Exec(command) => return Ok(Dns::Hook(command.clone())),
        config::Dns::Rfc2136(update) => update,
    };
    let host = match &update.server.host {
        config::Host::AllInterfaces => "127.0.0.1".to_owned(),
        config::Host::Ip(ip) => ip.to_string(),
        config::Host::Name(name) => name.clone(),
    };
    let algorithm = match update.key_algorithm {
        config::KeyAlgorithm::HmacSha256 => Algorithm::HmacSha256,
        config::KeyAlgorithm::HmacSha512 => Algorithm::HmacSha512,
    };
    let key = (update.key_name.as_str(), algorithm, update.key_secret.expose());
    let made = Rfc2136::new((&host, update.server.port), &update.zone, key);
    made.map(|server| Dns::Update(Box::new(server))).map_err(|error| {
        Failure::configuration(format!(
            "error[LF-TLS-025]: `tls.acme.dns.rfc2136` cannot be used: {error}\n  fix   landfall config explain tls.acme.dns.rfc2136.key_secret"
        ))
    })
}

/// `<rootdirectory>/landfall`; a store in memory has none.
pub(crate) fn data_folder(settings: &Settings) -> Option<PathBuf> {
    let file = settings.storage.password_file()?;
    Some(file.parent()?.to_owned())
}

/// The directory URL of the authority that a server with these settings asks.
pub(crate) fn authority_of(settings: &Settings) -> Option<String> {
    let plan = Plan::of(settings.tls.as_ref()?, Path::new("")).ok()?;
    plan.acme.map(|acme| acme.directory)
}

/// The settings of a server whose names stand on its command line alone: the local CA's certificate tells them.
pub(crate) fn with_names_in_use<E>(
    mut serve: ServeArguments,
    load: impl Fn(&ServeArguments) -> Result<Loaded, E>,
) -> Result<Loaded, E> {
    let loaded = load(&serve)?;
    if loaded.settings.tls.is_some() || !serve.names.is_empty() {
        return Ok(loaded);
    }
    let kept = data_folder(&loaded.settings).and_then(|data| {
        let local = LocalCa {
            folder: folder(&data).join("local"),
            names: Vec::new(),
            lifetime: std::time::Duration::ZERO,
            leaf_lifetime: std::time::Duration::ZERO,
        };
        local.kept().ok().flatten()
    });
    match kept {
        Some(kept) => {
            serve.names = kept.pair.facts.names;
            load(&serve)
        }
        None => Ok(loaded),
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
        let certificates = Arc::new(Certificates::default());
        let mut fingerprint = None;
        if let Some(files) = &plan.files {
            let pair = files.load(now()).map_err(|error| refuse(&error))?;
            warn_of_other_names(settings, tls, &files.certificate, &pair.facts);
            certificates.set_issued(pair);
        }
        if let Some(acme) = &plan.acme
            && let Some(pair) = acme.kept(now()).ok().flatten()
        {
            certificates.set_issued(pair);
        }
        if let Some(local) = &plan.local {
            match local.issue(now()) {
                Ok(issued) => {
                    fingerprint = Some(issued.fingerprint);
                    certificates.set_local(issued.pair, issued.ca);
                }
                // Nobody needs it yet.
                Err(error) if certificates.issued_facts().is_some() => {
                    tracing::error!(
                        code = error.code(),
                        "there is no local CA to stand in: {}",
                        with_causes(&error)
                    );
                }
                Err(error) => return Err(refuse(&error)),
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
            plan,
            fingerprint,
        })
    }

    /// Says who signs what, and how clients learn to trust the local CA: `port` is the one of HTTPS, `plain` that of HTTP.
    pub(crate) fn announce(&self, port: u16, plain: Option<u16>) {
        let (Some(fingerprint), Some(local)) = (&self.fingerprint, &self.plan.local) else {
            return;
        };
        if let Some(acme) = &self.plan.acme
            && self.certificates.issued_facts().is_none()
        {
            tracing::info!(
                fingerprint,
                "no certificate of {} is here yet: it is ordered now, and the local CA serves meanwhile",
                acme.directory
            );
        }
        let file = std::path::absolute(local.ca_path()).unwrap_or_else(|_| local.ca_path());
        let names = self.plan.local_names();
        let Some(first) = names.first() else {
            return;
        };
        let listed: Vec<_> = names.iter().map(ToString::to_string).collect();
        let also = plain.map_or_else(String::new, |plain| {
            format!(", also at {}", trust::download(first, plain))
        });
        tracing::info!(
            fingerprint,
            "a local CA signs for {}: each client has to trust it once; its certificate is {}{also}, to be compared by this fingerprint",
            listed.join(", "),
            file.display()
        );
        for step in trust::brief(&names, port, &file) {
            tracing::info!("trust: {step}");
        }
    }

    /// Keeps the certificate fresh until `stop`. Without plain HTTP nothing can be proven by it.
    pub(crate) fn keep(self, has_plain_http: bool, stop: &CancellationToken) {
        let certificates = self.certificates;
        tokio::spawn(self.acceptor.watch_clients(stop.clone()));
        if let Some(files) = self.plan.files {
            tokio::spawn(files.watch(Arc::clone(&certificates), now, stop.clone()));
        }
        if let Some(local) = self.plan.local {
            tokio::spawn(local.renew(Arc::clone(&certificates), now, stop.clone()));
        }
        if let Some(mut acme) = self.plan.acme {
            let others: Vec<_> = acme
                .challenges
                .iter()
                .copied()
                .filter(|way| *way != Challenge::Http01)
                .collect();
            // Where it is the only way, the attempt says at least what is wrong.
            if !has_plain_http && !others.is_empty() {
                acme.challenges = others;
            }
            tokio::spawn(acme.run(certificates, now, stop.clone()));
        }
    }
}
