//! What a caller may do: the one decision, and the permits that come out of it.
//!
//! Shape: `Caller` --may(right, repository)--> `Permit<right>`. Fails: `Denied`, which says who, what and where.
//! Today everybody who is let in may pull, push and delete everywhere; `allows` is where that is said, and where
//! rights by repository will be.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use oci::RepositoryName;

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: Option<Arc<str>>,
    remote: Option<Remote>,
}

/// Where a caller is, for history to tell: no right comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// At this address.
    Ip(IpAddr),
    /// On this machine, at a unix socket.
    Local,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read manifests, blobs, tags, referrers.
    Pull,
    /// Write blobs, manifests, tags.
    Push,
    /// Remove manifests, blobs, tags.
    Delete,
}

/// A right as a type, so that a permit for one cannot stand in for a permit for another.
pub trait Right: Copy + fmt::Debug + Send + Sync + 'static + sealed::Sealed {
    /// The same as a value.
    const ACTION: Action;
}

macro_rules! right {
    ($name:ident, $does:literal) => {
        #[doc = $does]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Right for $name {
            const ACTION: Action = Action::$name;
        }
    };
}
right!(Pull, "The right to read a repository.");
right!(Push, "The right to write to a repository.");
right!(Delete, "The right to remove from a repository.");

mod sealed {
    pub trait Sealed {}
}

/// One right in one repository, held by one caller. Made by [`Caller::may`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit<R: Right> {
    right: R,
    repository: RepositoryName,
    actor: Option<Arc<str>>,
    remote: Option<Remote>,
}

/// Leave to list repositories: those that [`CatalogPermit::shows`]. Made by [`Caller::may_list_catalog`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogPermit {
    caller: Caller,
}

/// The caller is known, and may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} may not {action} {repository}", .actor.as_deref().unwrap_or("a caller without a login"))]
pub struct Denied {
    /// Who asked; `None` without a login.
    pub actor: Option<Arc<str>>,
    /// What for.
    pub action: Action,
    /// Where.
    pub repository: RepositoryName,
}

/// The decision. Everybody who is let in may do everything: all users of the password file, or whoever asks where
/// authentication is off.
fn allows(_caller: &Caller, action: Action, _repository: &RepositoryName) -> bool {
    match action {
        Action::Pull | Action::Push | Action::Delete => true,
    }
}

impl Caller {
    /// Whoever asks where authentication is off. For [`crate::Authenticator::Open`], and for tests of what needs a
    /// permit.
    #[must_use]
    pub fn anybody() -> Self {
        Self {
            name: None,
            remote: None,
        }
    }

    /// Somebody whose password was right.
    pub(crate) fn user(name: &str) -> Self {
        Self {
            name: Some(name.into()),
            remote: None,
        }
    }

    /// The same caller, known to be there.
    #[must_use]
    pub fn at(self, remote: Remote) -> Self {
        Self {
            remote: Some(remote),
            ..self
        }
    }

    /// Whoever owns the data, on the server's own machine; `name` is for histories. For the admin socket, which the
    /// kernel lets nobody else come through.
    #[must_use]
    pub fn owner(name: &str) -> Self {
        Self {
            name: Some(name.into()),
            remote: Some(Remote::Local),
        }
    }

    /// The name that they logged in with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Asks for a right in a repository, whether or not that repository exists.
    pub fn may<R: Right>(&self, right: R, repository: &RepositoryName) -> Result<Permit<R>, Denied> {
        if allows(self, R::ACTION, repository) {
            Ok(Permit {
                right,
                repository: repository.clone(),
                actor: self.name.clone(),
                remote: self.remote,
            })
        } else {
            Err(Denied {
                actor: self.name.clone(),
                action: R::ACTION,
                repository: repository.clone(),
            })
        }
    }

    /// Asks for the list of repositories. Nobody who was let in is refused: they get what they may pull.
    #[must_use]
    pub fn may_list_catalog(&self) -> CatalogPermit {
        CatalogPermit { caller: self.clone() }
    }

    /// Whether the caller may know that this repository exists: who may pull it may.
    #[must_use]
    pub fn visible(&self, repository: &RepositoryName) -> bool {
        allows(self, Action::Pull, repository)
    }
}

impl<R: Right> Permit<R> {
    /// The repository that it is for.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Who holds it; `None` without a login.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Where who holds it is, if that is known.
    #[must_use]
    pub fn remote(&self) -> Option<Remote> {
        self.remote
    }

    /// The right that it gives.
    #[must_use]
    pub fn right(&self) -> R {
        self.right
    }
}

impl CatalogPermit {
    /// Whether a repository belongs on the list.
    #[must_use]
    pub fn shows(&self, repository: &RepositoryName) -> bool {
        self.caller.visible(repository)
    }

    /// Who holds it; `None` without a login.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.caller.name()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Local => f.write_str("unix socket"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push to",
            Self::Delete => "delete from",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_says_who_may_do_what_where() {
        let name: RepositoryName = "busy/hello".parse().unwrap();
        let permit = Caller::user("busy").may(Push, &name).unwrap();
        assert_eq!(
            (permit.repository(), permit.actor(), permit.right()),
            (&name, Some("busy"), Push)
        );
        let permit = Caller::anybody().may(Pull, &name).unwrap();
        assert_eq!(permit.actor(), None);
    }

    #[test]
    fn whoever_is_let_in_may_do_everything() {
        let name: RepositoryName = "busy/hello".parse().unwrap();
        for caller in [Caller::user("busy"), Caller::anybody()] {
            assert!(caller.may(Pull, &name).is_ok() && caller.may(Push, &name).is_ok());
            assert!(caller.may(Delete, &name).is_ok() && caller.visible(&name));
            assert!(caller.may_list_catalog().shows(&name));
        }
    }

    #[test]
    fn a_denial_says_who_may_not_do_what_where() {
        let repository: RepositoryName = "team/app".parse().unwrap();
        let denied = Denied {
            actor: Some("busy".into()),
            action: Action::Push,
            repository: repository.clone(),
        };
        assert_eq!(denied.to_string(), "busy may not push to team/app");
        let denied = Denied {
            actor: None,
            action: Action::Delete,
            repository,
        };
        assert_eq!(
            denied.to_string(),
            "a caller without a login may not delete from team/app"
        );
    }
}
