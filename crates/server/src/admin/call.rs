//! Who calls, and by which door. Nothing behind `Call::admit` is reached by anybody else.
//!
//! Over HTTP: a login, and a name in `admin.users`. On the socket: root or the server's own user, as the kernel says.
//! Where the registry asks nobody for a login, HTTP leads nowhere here. Fails: 401, 403, 429.

use std::convert::Infallible;
use std::sync::Arc;

use access::{Authenticator, Caller, Rejected};
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use registry::Registry;

use super::Refusal;
use crate::context::Context;
use crate::origin::Peer;

/// How a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Where the registry listens.
    Http,
    /// The admin socket; who is at its other end, if the kernel says.
    Socket(Option<u32>),
}

/// The way that a call came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) door: Door,
    pub(crate) peer: Peer,
}

/// One call of an admin.
#[derive(Clone)]
pub struct Call {
    /// What it works with.
    pub server: Arc<Context>,
    /// The admin, for what needs a permit.
    pub caller: Caller,
}

impl Call {
    /// Lets an admin in.
    pub(super) async fn admit(server: Arc<Context>, way: Way, headers: &HeaderMap) -> Result<Self, Refusal> {
        let caller = match way.door {
            Door::Http => {
                let remote = server.origin.client(headers, way.peer).into();
                logged_in(&server, headers).await?.at(remote)
            }
            Door::Socket(uid) => owner(uid).await?,
        };
        Ok(Self { server, caller })
    }

    /// Who it is, for histories: a user's name, or `local:` and the name on this machine.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.caller.name().unwrap_or_default()
    }

    /// Whether it comes from the server's own machine, by whoever could read and write there what the server can.
    #[must_use]
    pub fn is_local(&self) -> bool {
        // No user's name has a colon in it: an htpasswd file could not hold it.
        self.actor().starts_with("local:")
    }

    /// A permit for a repository.
    pub fn may<R: access::Right>(
        &self,
        right: R,
        repository: &oci::RepositoryName,
    ) -> Result<access::Permit<R>, Refusal> {
        self.caller
            .may(right, repository)
            .map_err(|denied| Refusal::new(http::StatusCode::FORBIDDEN, "LF-API-005", denied.to_string()))
    }

    /// The domain.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.server.registry
    }
}

async fn logged_in(server: &Context, headers: &HeaderMap) -> Result<Caller, Refusal> {
    if matches!(server.access, Authenticator::Open) {
        return Err(Refusal::no_logins());
    }
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let caller = server
        .access
        .authenticate(authorization)
        .await
        .map_err(|rejected| match rejected {
            Rejected::Busy => registry::Error::Busy.into(),
            Rejected::Missing | Rejected::Wrong | Rejected::Malformed => {
                Refusal::login(rejected, server.access.challenge())
            }
        })?;
    let name = caller.name().unwrap_or_default();
    if server.options.admins.iter().any(|admin| admin == name) {
        Ok(caller)
    } else {
        Err(Refusal::no_admin(name))
    }
}

async fn owner(uid: Option<u32>) -> Result<Caller, Refusal> {
    let ours = rustix::process::geteuid().as_raw();
    match uid {
        Some(uid) if uid == 0 || uid == ours => {
            let name = tokio::task::spawn_blocking(move || name_of(uid)).await;
            let name = name.ok().flatten().unwrap_or_else(|| uid.to_string());
            Ok(Caller::owner(&format!("local:{name}")))
        }
        _ => Err(Refusal::stranger(uid, ours)),
    }
}

/// Source: passwd(5).
fn name_of(uid: u32) -> Option<String> {
    let file = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = file.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let call = parts.extensions.get::<Self>().cloned();
        call.ok_or_else(|| registry::Error::Interrupted("a call that nobody let in".into()).into())
    }
}

/// Never fails, so that a rejection of an extractor is always a refusal of ours.
impl From<Infallible> for Refusal {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
