//! What can go wrong with a certificate: what it is, and what to do.

use std::io;
use std::path::PathBuf;

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
    /// The certificate authority, or the way to it.
    #[error("the certificate authority: {0}")]
    Authority(#[from] instant_acme::Error),
    /// The authority could not prove a name.
    #[error("{name}: {reason}")]
    Unproven {
        /// The name.
        name: String,
        /// What the authority says.
        reason: String,
    },
    /// The hook command that sets a DNS record.
    #[error("the DNS hook {command}: {reason}")]
    Hook {
        /// The command.
        command: String,
        /// Why.
        reason: String,
    },
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
            Self::Authority(_) => "LF-TLS-020",
            Self::Unproven { .. } => "LF-TLS-021",
            Self::Hook { .. } => "LF-TLS-022",
        }
    }
}
