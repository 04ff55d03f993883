//! Damage: stored bytes that are not what their digest names. Written down, said once in the log, and put aside.
//!
//! The row comes first: from then on the blob is not "here" for a pusher, so the next push brings its bytes, which repairs it.
//! Its file, if there is one, is moved to quarantine and stays there for as long as the row names it, and for
//! `gc.orphan_hold` after that: perhaps somebody can still make something of it. Fails: what could not be written down is
//! found again.

use std::fmt;
use std::sync::atomic::Ordering;

use catalog::{DamageCause, Tx};
use oci::Digest;
use store::Location;

use crate::error::causes;
use crate::{Error, Registry};

/// What is wrong with stored bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// There are none.
    Missing,
    /// There are more or fewer than there should be.
    WrongSize {
        /// How many there should be.
        expected: u64,
        /// How many there are, where that is known.
        found: Option<u64>,
    },
    /// They are others.
    Changed,
    /// The disk cannot read them.
    Unreadable(String),
}

impl Damage {
    /// What a failure of the store tells of the bytes; none if it is about something else.
    pub(crate) fn of(error: &store::Error) -> Option<Self> {
        match error {
            store::Error::Missing { .. } => Some(Self::Missing),
            store::Error::ShortFile { expected, found, .. } => Some(Self::WrongSize {
                expected: *expected,
                found: Some(*found),
            }),
            other if other.is_damage() => Some(Self::Unreadable(causes(other))),
            _ => None,
        }
    }

    /// What was written down of the damage of a blob of `size` bytes.
    pub(crate) fn noted(cause: DamageCause, size: u64) -> Self {
        match cause {
            DamageCause::Missing => Self::Missing,
            DamageCause::WrongSize => Self::WrongSize {
                expected: size,
                found: None,
            },
            DamageCause::Changed => Self::Changed,
            DamageCause::Unreadable => Self::Unreadable("the log of that time says why".to_owned()),
        }
    }

    /// Whether reading again can find nothing else.
    pub(crate) fn is_certain(&self) -> bool {
        matches!(self, Self::Missing | Self::WrongSize { .. })
    }

    fn cause(&self) -> DamageCause {
        match self {
            Self::Missing => DamageCause::Missing,
            Self::WrongSize { .. } => DamageCause::WrongSize,
            Self::Changed => DamageCause::Changed,
            Self::Unreadable(_) => DamageCause::Unreadable,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("its file is missing"),
            Self::WrongSize {
                expected,
                found: Some(found),
            } => write!(f, "it has {} instead of {expected}", oci::counted(*found, "byte")),
            Self::WrongSize {
                expected,
                found: None,
            } => write!(f, "it does not have its {}", oci::counted(*expected, "byte")),
            Self::Changed => f.write_str("its bytes have changed"),
            Self::Unreadable(why) => write!(f, "the disk cannot read it: {why}"),
        }
    }
}

impl Registry {
    /// Writes down that a blob is damaged, and puts its file aside. `location`: none for one that lies in the catalog. False
    /// if that is known, or the bytes have gone or been replaced since.
    pub(crate) async fn note_damage(&self, digest: &Digest, location: Option<&str>, damage: &Damage) -> bool {
        let now = self.now();
        let mark = {
            let (digest, cause) = (digest.clone(), damage.cause());
            let place = location.map(str::to_owned);
            move |tx: &mut Tx<'_>| catalog::mark_bad(tx, &digest, place.as_deref(), cause, now)
        };
        match self.inner.catalog.write(mark).await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                tracing::warn!(%digest, %error, "damage could not be written down");
                return false;
            }
        }
        tracing::error!(
            %digest, location = location.unwrap_or("the catalog"), damage = %damage,
            "a stored blob is damaged; a push of it repairs it, or landfall scrub run --repair-from"
        );
        self.count_damages().await;
        if let Some(location) = location.and_then(|location| location.parse().ok())
            && let Err(error) = self.put_damaged_aside(&location).await
        {
            tracing::warn!(%location, %error, "a damaged file could not be moved to quarantine");
        }
        true
    }

    /// Writes down that a manifest's document is damaged.
    pub(crate) async fn note_damaged_manifest(&self, digest: &Digest) {
        let now = self.now();
        let mark = {
            let digest = digest.clone();
            move |tx: &mut Tx<'_>| catalog::mark_manifest_bad(tx, &digest, now)
        };
        match self.inner.catalog.write(mark).await {
            Ok(true) => {
                tracing::error!(%digest, "a stored manifest is damaged; a push of it repairs it, or landfall scrub run --repair-from");
                self.count_damages().await;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%digest, %error, "damage could not be written down"),
        }
    }

    /// Moves a damaged file out of the way, unless bytes may not be moved now.
    pub(crate) async fn put_damaged_aside(&self, location: &Location) -> Result<(), Error> {
        if !self.must_keep_bytes().await? {
            self.inner.store.put_aside(location, self.now()).await?;
        }
        Ok(())
    }

    /// Keeps the number that is told to a monitoring system.
    pub(crate) async fn count_damages(&self) {
        if let Ok(count) = self.inner.catalog.read(catalog::count_damages).await {
            self.inner.scrubber.damaged.store(count, Ordering::Relaxed);
        }
    }
}
