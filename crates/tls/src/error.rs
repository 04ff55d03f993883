//! What can go wrong with a certificate: what it is, and what to do.
//!
//! Texts have a first line that says what happened, then `why` and `fix` lines. Source: RFC 8555 section 6.7 for the kinds of
//! problems that an authority names.

use std::io;
use std::path::PathBuf;

use crate::acme::Challenge;

/// A certificate that cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that the operator named cannot be read.
    #[error(
        "{} cannot be read: {reason}\n  fix   put the file there for the user that Landfall runs as, or name another in {setting}",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate\n  fix   it has to be PEM text with BEGIN CERTIFICATE, the server's own first, then those that signed it", .0.display())]
    NoCertificate(PathBuf),
    /// A file holds no private key.
    #[error("{} holds no private key\n  fix   it has to be PEM text with BEGIN PRIVATE KEY, without a passphrase", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key do not belong together.
    #[error(
        "the key in {} does not belong to the certificate in {}\n  fix   give both files of one certificate; a renewal replaces both",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate in {} expired on {when}\n  fix   put the renewed one and its key in their places; a running server reads them by itself", path.display())]
    Expired {
        /// The certificate file.
        path: PathBuf,
        /// The last day.
        when: String,
    },
    /// A certificate or key that the TLS library does not take.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// Which.
        what: String,
        /// Why.
        reason: String,
    },
    /// A name that is neither a host name nor an IP address.
    #[error(
        "{0:?} is neither a host name nor an IP address\n  fix   write it without https://, port and path: registry.example.com"
    )]
    BadName(String),
    /// Making a certificate failed.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// The certificate authority said no, or could not be reached.
    #[error("{authority}: {doing} failed: {}", explain(cause))]
    Authority {
        /// Its directory URL.
        authority: String,
        /// At which step.
        doing: &'static str,
        /// Why; it stands in the text with its own causes, before the advice, so it is no `source`.
        cause: Box<instant_acme::Error>,
    },
    /// The certificate authority took a connection and then said nothing.
    #[error(
        "{authority}: {doing} took longer than {seconds} s\n  \
         why   it, or something between it and this machine, takes connections and stays silent\n  \
         fix   nothing, if it is back soon; else see its status page, or whether a proxy or firewall holds up HTTPS to it"
    )]
    Silent {
        /// Its directory URL.
        authority: String,
        /// At which step.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The authority could not prove a name.
    #[error(
        "{authority} could not prove that {name} is this server's{}\n  \
         fix   mend that, then: landfall tls renew; or prove it another way: landfall config explain tls.acme.challenges",
        lines(tries)
    )]
    Unproven {
        /// Its directory URL.
        authority: String,
        /// The name.
        name: String,
        /// Each way that was tried, and what the authority says about it.
        tries: Vec<Try>,
    },
    /// The hook command that sets a DNS record.
    #[error(
        "the DNS hook {command}: {reason}\n  fix   run it by hand: {command} present _acme-challenge.NAME VALUE"
    )]
    Hook {
        /// The command.
        command: String,
        /// Why.
        reason: String,
    },
    /// A DNS server that should take an update.
    #[error(transparent)]
    Dns(#[from] crate::acme::rfc2136::Refused),
}

/// One way by which a name was to be proven.
#[derive(Clone, Debug)]
pub struct Try {
    /// Such as `http-01`; nothing if it did not come to that.
    pub way: Option<Challenge>,
    /// What the authority says.
    pub said: String,
}

fn lines(tries: &[Try]) -> String {
    let line = |one: &Try| match one.way {
        Some(way) => format!("\n  why   {way}: {}\n        {}", one.said, way.needs()),
        None => format!("\n  why   {}", one.said),
    };
    tries.iter().map(line).collect()
}

/// An error of the ACME client with its causes, then what to do about it.
fn explain(error: &instant_acme::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    let (why, fix) = match error {
        instant_acme::Error::Api(problem) => refusal(problem.r#type.as_deref().unwrap_or_default()),
        instant_acme::Error::Json(_) | instant_acme::Error::Str(_) => (
            "what answered there is no ACME authority, or is one that is out of order",
            "tls.acme.directory has to be the directory URL of an authority; a proxy in between may answer in its place",
        ),
        instant_acme::Error::Timeout(_) => (
            "the authority has not finished in time",
            "nothing: the next attempt goes on from there",
        ),
        _ if text.contains("certificate") => (
            "this machine does not accept the certificate that the authority shows",
            "set the clock right if it is wrong; an authority of your own: put its root into tls.acme.ca_root",
        ),
        _ => (
            "this machine does not reach the authority",
            "let it go out to that address by HTTPS (DNS, firewall, proxy), or correct tls.acme.directory",
        ),
    };
    format!("{text}\n  why   {why}\n  fix   {fix}")
}

/// What a problem document means for the operator. Source: RFC 8555 section 6.7.
fn refusal(kind: &str) -> (&'static str, &'static str) {
    match kind.rsplit(':').next().unwrap_or_default() {
        "rateLimited" => (
            "too many orders or failed proofs in a short time",
            "wait: Landfall asks again by itself, less and less often; the authority's message says from when on it will work",
        ),
        "rejectedIdentifier" => (
            "the authority gives no certificate for this name",
            "use a name in a public domain of yours, or --tls local",
        ),
        "caa" => (
            "a CAA record of the domain names other authorities",
            "add a CAA record that allows this one, or remove it",
        ),
        "invalidContact" | "unsupportedContact" => (
            "the authority does not take that address",
            "correct tls.acme.email",
        ),
        "externalAccountRequired" => (
            "this authority wants an account that was made beforehand",
            "use an authority without that, in tls.acme.directory",
        ),
        "serverInternal" => (
            "something is wrong at the authority",
            "nothing: Landfall asks again by itself; see the authority's status page",
        ),
        _ => (
            "the authority refuses the order",
            "what it says above; another authority can be named in tls.acme.directory",
        ),
    }
}

impl Error {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Unreadable { .. } => "LF-TLS-001",
            Self::NoCertificate(_) => "LF-TLS-002",
            Self::NoKey(_) => "LF-TLS-003",
            Self::Mismatch { .. } => "LF-TLS-004",
            Self::Expired { .. } => "LF-TLS-005",
            Self::Unusable { .. } => "LF-TLS-006",
            Self::BadName(_) => "LF-TLS-007",
            Self::Make(_) => "LF-TLS-008",
            Self::Authority { .. } | Self::Silent { .. } => "LF-TLS-020",
            Self::Unproven { .. } => "LF-TLS-021",
            Self::Hook { .. } => "LF-TLS-022",
            Self::Dns(_) => "LF-TLS-024",
        }
    }
}
