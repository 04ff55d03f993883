//! What became of something that is not there, in words that say how to bring it back: docker prints them as they are.
//!
//! Units: Unix milliseconds; dates are those of UTC.

use std::fmt;

use access::{Permit, Pull};
use catalog::{Fate, Trace};
use oci::{Digest, Reference, RepositoryName};

use crate::{Error, Registry};

/// What somebody looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sought {
    /// A manifest.
    Manifest(Reference),
    /// A blob.
    Blob(Digest),
    /// The repository itself.
    Repository,
}

/// Something that was there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gone {
    /// What somebody looked for.
    pub sought: Sought,
    /// Where.
    pub repository: RepositoryName,
    /// What became of it.
    pub fate: Fate,
    /// When.
    pub at: i64,
    /// Who did that.
    pub by: Option<String>,
    /// The retention rules that took it, if they did.
    pub rules: Option<String>,
    /// Until when it can be brought back, if it can.
    pub until: Option<i64>,
    /// Whether it is still there after that, for the collector to come.
    pub is_there: bool,
    /// The time at which this is said.
    pub now: i64,
}

impl Gone {
    /// The error that says no more than that it is not there.
    #[must_use]
    pub fn plain(self) -> Error {
        match self.sought {
            Sought::Manifest(reference) => Error::ManifestUnknown(reference),
            Sought::Blob(digest) => Error::BlobUnknown(digest),
            Sought::Repository => Error::RepositoryUnknown(self.repository),
        }
    }

    /// As people write it, and as commands take it.
    fn reference(&self) -> String {
        match &self.sought {
            Sought::Manifest(Reference::Tag(tag)) => format!("{}:{tag}", self.repository),
            Sought::Manifest(Reference::Digest(digest)) | Sought::Blob(digest) => {
                format!("{}@{digest}", self.repository)
            }
            Sought::Repository => self.repository.to_string(),
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let when = ago(self.now.saturating_sub(self.at));
        let target = match &self.fate {
            Fate::RepositoryRenamed(new) => {
                return write!(
                    f,
                    "repository {} was renamed to {new} {when}{by}: use that name",
                    self.repository
                );
            }
            Fate::RepositoryDeleted => {
                write!(f, "repository {} was deleted {when}{by}", self.repository)?;
                self.repository.to_string()
            }
            Fate::Deleted => {
                let target = self.reference();
                match &self.rules {
                    // Who asked for the run had no part in what it chose.
                    Some(rules) => write!(f, "{target} was removed by retention rule {rules} {when}")?,
                    None => write!(f, "{target} was deleted {when}{by}")?,
                }
                target
            }
        };
        match self.until.filter(|&until| until > self.now || self.is_there) {
            Some(until) if until > self.now => write!(
                f,
                "; `landfall trash restore {target}` brings it back until {}",
                day(until, self.now)
            ),
            Some(_) => write!(
                f,
                "; its undo window is over, but it is still there: until it is collected, `landfall trash restore \
                 {target}` brings it back"
            ),
            None => f.write_str(", and the time to bring it back is over"),
        }
    }
}

/// `3 minutes ago`.
fn ago(ms: i64) -> String {
    let seconds = ms / 1000;
    let (count, unit) = match seconds {
        ..1 => return "just now".to_owned(),
        1..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{} ago", oci::counted(count, unit))
}

/// `2 December`, with a time of day where that is today or tomorrow, and with a year where it is another one.
fn day(at: i64, now: i64) -> String {
    let (Ok(at), Ok(now)) = (
        jiff::Timestamp::from_millisecond(at),
        jiff::Timestamp::from_millisecond(now),
    ) else {
        return "then".to_owned();
    };
    let year = |time: jiff::Timestamp| time.strftime("%Y").to_string();
    let form = if at.duration_since(now).as_hours() < 24 {
        "%-d %B %H:%M UTC"
    } else if year(at) == year(now) {
        "%-d %B"
    } else {
        "%-d %B %Y"
    };
    at.strftime(form).to_string()
}

impl Registry {
    /// Why a manifest that was asked for is not there.
    pub(crate) async fn what_became_of_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Error {
        let (name, wanted) = (permit.repository().clone(), reference.clone());
        let trace = move |tx: &mut catalog::Tx<'_>| catalog::trace_manifest(tx, &name, &wanted);
        let traced = self.inner.catalog.read(trace).await;
        self.gone(
            permit.repository(),
            Sought::Manifest(reference.clone()),
            traced.ok().flatten(),
        )
    }

    /// The same for a blob.
    pub(crate) async fn what_became_of_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Error {
        let (name, wanted) = (permit.repository().clone(), digest.clone());
        let trace = move |tx: &mut catalog::Tx<'_>| catalog::trace_blob(tx, &name, &wanted);
        let traced = self.inner.catalog.read(trace).await;
        self.gone(
            permit.repository(),
            Sought::Blob(digest.clone()),
            traced.ok().flatten(),
        )
    }

    /// The same for a repository.
    pub(crate) async fn what_became_of_repository(&self, repository: &RepositoryName) -> Error {
        let name = repository.clone();
        let trace = move |tx: &mut catalog::Tx<'_>| catalog::trace_repository(tx, &name);
        let traced = self.inner.catalog.read(trace).await;
        self.gone(repository, Sought::Repository, traced.ok().flatten())
    }

    fn gone(&self, repository: &RepositoryName, sought: Sought, trace: Option<Trace>) -> Error {
        match (trace, sought) {
            (Some(trace), sought) => Error::Gone(Box::new(Gone {
                sought,
                repository: repository.clone(),
                fate: trace.fate,
                at: trace.at,
                by: trace.by,
                rules: trace.rules,
                until: trace.until,
                is_there: trace.is_there,
                now: self.now(),
            })),
            (None, Sought::Manifest(reference)) => Error::ManifestUnknown(reference),
            (None, Sought::Blob(digest)) => Error::BlobUnknown(digest),
            (None, Sought::Repository) => Error::RepositoryUnknown(repository.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1000;
    const DAY: i64 = 24 * 60 * MINUTE;
    /// 25 November 2026, 12:00 UTC.
    const NOW: i64 = 1_795_608_000_000;

    fn gone(sought: Sought, fate: Fate, until: Option<i64>) -> String {
        let gone = Gone {
            sought,
            repository: "team/app".parse().unwrap(),
            fate,
            at: NOW - 3 * MINUTE,
            by: Some("busy".to_owned()),
            rules: None,
            until,
            is_there: until == Some(NOW - 1),
            now: NOW,
        };
        gone.to_string()
    }

    #[test]
    fn words_name_the_rule_that_took_it() {
        let gone = Gone {
            sought: Sought::Manifest("1.2".parse().unwrap()),
            repository: "team/app".parse().unwrap(),
            fate: Fate::Deleted,
            at: NOW - 3 * MINUTE,
            by: None,
            rules: Some("rest".to_owned()),
            until: Some(NOW + 7 * DAY),
            is_there: true,
            now: NOW,
        };
        assert_eq!(
            gone.to_string(),
            "team/app:1.2 was removed by retention rule rest 3 minutes ago; `landfall trash restore team/app:1.2` \
             brings it back until 2 December"
        );
    }

    #[test]
    fn words_say_who_when_and_how_to_bring_it_back() {
        let tag = Sought::Manifest("1.2".parse().unwrap());
        assert_eq!(
            gone(tag.clone(), Fate::Deleted, Some(NOW + 7 * DAY)),
            "team/app:1.2 was deleted 3 minutes ago by busy; `landfall trash restore team/app:1.2` brings it back \
             until 2 December"
        );
        assert_eq!(
            gone(tag.clone(), Fate::Deleted, Some(NOW - 1)),
            "team/app:1.2 was deleted 3 minutes ago by busy; its undo window is over, but it is still there: until it \
             is collected, `landfall trash restore team/app:1.2` brings it back"
        );
        assert_eq!(
            gone(tag.clone(), Fate::Deleted, Some(NOW - 2)),
            "team/app:1.2 was deleted 3 minutes ago by busy, and the time to bring it back is over"
        );
        assert_eq!(
            gone(tag.clone(), Fate::RepositoryDeleted, Some(NOW + 60 * MINUTE)),
            "repository team/app was deleted 3 minutes ago by busy; `landfall trash restore team/app` brings it back \
             until 25 November 13:00 UTC"
        );
        assert_eq!(
            gone(tag, Fate::RepositoryRenamed("prod/app".parse().unwrap()), None),
            "repository team/app was renamed to prod/app 3 minutes ago by busy: use that name"
        );
        assert_eq!(day(NOW + 60 * DAY, NOW), "24 January 2027");
        assert_eq!(
            (ago(0), ago(MINUTE), ago(DAY * 2)),
            (
                "just now".to_owned(),
                "1 minute ago".to_owned(),
                "2 days ago".to_owned()
            )
        );
    }
}
