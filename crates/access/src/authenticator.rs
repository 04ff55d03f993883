//! Who is asking: the value of an `Authorization` header becomes a [`Caller`].
//!
//! Shape: cheap to clone; shared by all connections. Fails: `Rejected`, whose texts are for the person who logs in
//! and never repeat what was sent.
//! Source: RFC 7617; RFC 9110 section 11.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::verifier::{Busy, Verifier};
use crate::{Caller, Credentials, Error, Htpasswd, Malformed};

/// How callers prove who they are.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// They do not (`auth: none`): everybody is [`Caller::anybody`], whatever they send.
    Open,
    /// With a name and a password of the password file. Made by [`Authenticator::htpasswd`].
    Htpasswd(Arc<Basic>),
}

/// A password file, and what is needed to ask for passwords and compare them.
pub struct Basic {
    realm: String,
    file: Htpasswd,
    verifier: Arc<Verifier>,
    first: Option<FirstLogin>,
}

/// A user whose first login is waited for.
struct FirstLogin {
    user: String,
    waits: AtomicBool,
    told: Box<dyn Fn() + Send + Sync>,
}

/// Nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Nothing was sent.
    #[error("log in first: docker login, with the name of this registry")]
    Missing,
    /// Name and password do not fit, or the name is unknown: which of the two is not said.
    #[error("wrong user name or password")]
    Wrong,
    /// Something was sent that is no Basic login.
    #[error("the Authorization header is not a Basic login; log out and log in again")]
    Malformed,
    /// So many passwords wait to be compared that this one was not; trying again helps.
    #[error("too many logins at once; try again in a moment")]
    Busy,
}

impl Authenticator {
    /// Logins with the users of a password file.
    pub fn htpasswd(realm: &str, file: Htpasswd) -> Result<Self, Error> {
        let verifier = Arc::new(Verifier::new(file.clock())?);
        let realm = realm.to_owned();
        Ok(Self::Htpasswd(Arc::new(Basic {
            realm,
            file,
            verifier,
            first: None,
        })))
    }

    /// Calls `told` once, when this user has logged in. To be said before anybody can.
    #[must_use]
    pub fn on_first_login(mut self, user: String, told: impl Fn() + Send + Sync + 'static) -> Self {
        if let Self::Htpasswd(basic) = &mut self
            && let Some(basic) = Arc::get_mut(basic)
        {
            basic.first = Some(FirstLogin {
                user,
                waits: AtomicBool::new(true),
                told: Box::new(told),
            });
        }
        self
    }

    /// Finds out who sends this `Authorization` header.
    pub async fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Caller, Rejected> {
        match self {
            Self::Open => Ok(Caller::anybody()),
            Self::Htpasswd(basic) => basic.authenticate(authorization).await,
        }
    }

    /// The value of the `WWW-Authenticate` header that goes with a rejection.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Htpasswd(basic) => Some(format!("Basic realm={}", Quoted(&basic.realm))),
        }
    }

    /// How many times bcrypt was computed since the start.
    #[must_use]
    pub fn bcrypt_count(&self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Htpasswd(basic) => basic.verifier.compared(),
        }
    }
}

impl Basic {
    async fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Caller, Rejected> {
        let given = Credentials::parse(authorization.ok_or(Rejected::Missing)?)?;
        if given.is_blank() {
            return Err(Rejected::Missing);
        }
        let users = self.file.users().await;
        if self.verifier.verify(&users, &given).await? {
            if let Some(first) = &self.first {
                first.has_come(given.name());
            }
            Ok(Caller::user(given.name()))
        } else {
            Err(Rejected::Wrong)
        }
    }
}

impl FirstLogin {
    fn has_come(&self, user: &str) {
        if self.waits.load(Ordering::Relaxed)
            && user == self.user
            && self.waits.swap(false, Ordering::Relaxed)
        {
            (self.told)();
        }
    }
}

impl From<Malformed> for Rejected {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Busy> for Rejected {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            realm,
            file,
            verifier: _,
            first: _,
        } = self;
        f.debug_struct("Basic")
            .field("realm", realm)
            .field("file", file)
            .finish_non_exhaustive()
    }
}

/// A quoted-string of RFC 9110 section 5.6.4; control characters, which have no place in a header, become spaces.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => f.write_str(" ")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
