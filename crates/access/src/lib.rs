//! Who is asking, and what they may do.
//!
//! Two questions, in this order. [`Authenticator`] turns the value of an `Authorization` header into a [`Caller`]
//! or a [`Rejected`]; [`Caller::may`] turns a caller, a right and a repository into a [`Permit`] or a [`Denied`].
//! Operations on repositories take a permit, so that nobody can forget to ask; permits are made here only.
//!
//! Deliberately absent: HTTP frameworks and statuses (the header comes in as bytes), and blobs.
//! Source: RFC 7617 (Basic), the password files of Apache's `htpasswd -B`.

mod authenticator;
mod clock;
mod credentials;
mod error;
mod hash;
mod htpasswd;
mod password;
mod policy;
mod users;
mod verifier;
mod warning;
mod write;

pub use authenticator::{Authenticator, Basic, Rejected};
pub use clock::Clock;
pub use credentials::{Credentials, Malformed};
pub use error::Error;
pub use htpasswd::Htpasswd;
pub use password::{HashFailure, NewPassword, Unfit, UserName, Weakness};
pub use policy::{Action, Caller, CatalogPermit, Delete, Denied, Permit, Pull, Push, Remote, Right};
pub use users::Users;
pub use warning::{BadHash, Fault, Warning};
pub use write::{Draft, Listed, WriteError};
