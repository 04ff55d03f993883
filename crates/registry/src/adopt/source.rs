//! What is asked of a running registry when it is adopted, and how that fails. Who asks over the network is not known here.
//!
//! Source: distribution-spec "Pulling", "Listing Tags", "Listing Referrers".

use bytes::Bytes;
use oci::{Digest, RepositoryName};

use crate::Body;

/// Another registry.
pub trait Remote: Send + Sync + 'static {
    /// The bytes of a blob, as they come.
    type Blob: Body;
    /// Where it is, without secrets: the import is known by it.
    fn address(&self) -> String;
    /// The names of its repositories.
    fn repositories(&self) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;
    /// The tags of a repository.
    fn tags(&self, name: &RepositoryName) -> impl Future<Output = Result<Vec<String>, RemoteError>> + Send;
    /// A manifest by tag or digest; none if it has none.
    fn manifest(
        &self,
        name: &RepositoryName,
        reference: &str,
    ) -> impl Future<Output = Result<Option<Fetched>, RemoteError>> + Send;
    /// What refers to a manifest; nothing where it cannot tell.
    fn referrers(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Vec<Digest>, RemoteError>> + Send;
    /// Whether it has a blob, and how large, without fetching it.
    fn blob_presence(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Presence, RemoteError>> + Send;
    /// A blob from this byte on; none if it has none.
    fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> impl Future<Output = Result<Option<Self::Blob>, RemoteError>> + Send;
}

/// A manifest as it came.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub body: Bytes,
    /// The digest that the registry says it has.
    pub digest: Option<Digest>,
}

/// What a registry says of a blob that it is only asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It has none.
    Absent,
    /// It has it, and does not say how large it is.
    Here,
    /// It has it, of so many bytes.
    Sized(u64),
}

/// Why another registry could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It does not answer, or stopped half-way.
    #[error("{address} does not answer")]
    Unreachable {
        /// What was asked for.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It wants a login, or another one.
    #[error(
        "{address} refuses this login: give one that may pull (`adopt`: --username with --password-stdin; `scrub run`: \
         --repair-username with --repair-password-stdin)"
    )]
    Login {
        /// What was asked for.
        address: String,
    },
    /// It is none that can be asked.
    #[error("{address} is no address of a registry: {why}")]
    Address {
        /// What was written, without a password.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// It answers what no registry should.
    #[error("{address} answers {answer}, which is not what a registry answers there")]
    Unexpected {
        /// What was asked for.
        address: String,
        /// What came.
        answer: String,
    },
}
