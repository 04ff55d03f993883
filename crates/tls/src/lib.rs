//! Certificates: the operator's own files with hot reload, a local CA, and an ACME authority.
//!
//! Shape: [`Certificates`] holds what handshakes present at this moment; [`files`], [`local`] and [`acme`] put certificates
//! in; [`Acceptor`] turns a TCP stream into a TLS [`Stream`]. Deliberately absent: routes, listeners, configuration.
//! Units: points in time are seconds since 1970 (`i64`) of the clock that is handed in.
//! Source: RFC 8446 and 5246 (TLS), RFC 5280 (certificates, name constraints), RFC 8555 (ACME), RFC 8737 (TLS-ALPN-01),
//! RFC 9773 (renewal information).

mod acceptor;
pub mod acme;
mod certificates;
mod clients;
mod disk;
mod error;
pub mod files;
pub mod local;
mod names;
mod pair;
pub mod trust;

pub use acceptor::{Accepted, Acceptor, Minimum, Stream};
pub use certificates::Certificates;
pub use clients::ClientAuth;
pub use error::{Error, Try};
pub use names::{Name, is_public};
pub use pair::{Facts, Pair, fingerprint};
