//! Comparing passwords with bcrypt hashes: once per credential, on few threads, with a bounded queue.
//!
//! Shape: a pair that was found right is remembered for [`GOOD_FOR`] under a keyed hash of name, password and stored
//! hash, so that a changed password finds nothing. Whoever asks for a pair that is being compared waits for that one
//! comparison. Names that are not in the file are compared with a hash that cannot match and costs the same.
//! Fails: `Busy`, when more comparisons wait than [`WAITING_MAX`].

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::sync::{Semaphore, watch};

use crate::hash::StoredHash;
use crate::{Clock, Credentials, Error, Users};

/// How long a right pair is remembered.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// How many right pairs are remembered.
const GOOD_MAX: usize = 1024;
/// How many comparisons may run and wait together.
pub(crate) const WAITING_MAX: usize = 256;

/// Compares, and remembers what was right.
pub(crate) struct Verifier {
    clock: Arc<dyn Clock>,
    key: Hmac<Sha256>,
    decoy_salt: [u8; 16],
    /// When each right pair was compared.
    good: Cache<Fingerprint, SystemTime>,
    running: Mutex<HashMap<Fingerprint, watch::Receiver<Option<bool>>>>,
    seats: Semaphore,
    compared: AtomicU64,
}

/// Too many comparisons are waiting already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// A name, a password and a stored hash under this process's own key: of no use to who reads our memory dump
/// without the key, and of none in another process.
type Fingerprint = [u8; 32];

impl Verifier {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (mut key, mut decoy_salt) = ([0; 64], [0; 16]);
        getrandom::fill(&mut key).map_err(Error::Randomness)?;
        getrandom::fill(&mut decoy_salt).map_err(Error::Randomness)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            clock,
            key: Hmac::new(&key.into()),
            decoy_salt,
            good: Cache::new(GOOD_MAX),
            running: Mutex::new(HashMap::new()),
            seats: Semaphore::new((cores / 2).max(1)),
            compared: AtomicU64::new(0),
        })
    }

    /// Whether these are the credentials of one of the users.
    pub(crate) async fn verify(self: &Arc<Self>, users: &Users, given: &Credentials) -> Result<bool, Busy> {
        let known = users.hash(given.name());
        let hash = known.unwrap_or_else(|| StoredHash::decoy(users.cost_usual(), self.decoy_salt));
        let fingerprint = self.fingerprint(given, &hash);
        if self.is_good(&fingerprint) {
            return Ok(true);
        }
        let mut outcome = self.outcome(fingerprint, hash, known.is_some(), given)?;
        // The sender goes away without a word only when the process ends or the comparison panicked.
        let outcome = outcome.wait_for(Option::is_some).await;
        outcome.map_or(Err(Busy), |found| Ok(found.unwrap_or(false)))
    }

    /// How many times bcrypt was computed.
    pub(crate) fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }

    /// Joins the comparison that runs, or starts one. It runs to its end even if nobody waits for it any more.
    fn outcome(
        self: &Arc<Self>,
        fingerprint: Fingerprint,
        hash: StoredHash,
        known: bool,
        given: &Credentials,
    ) -> Result<watch::Receiver<Option<bool>>, Busy> {
        let mut running = self.running();
        if let Some(outcome) = running.get(&fingerprint) {
            return Ok(outcome.clone());
        }
        // One that has just ended left the map after it was remembered.
        if self.is_good(&fingerprint) {
            return Ok(watch::channel(Some(true)).1);
        }
        if running.len() >= WAITING_MAX {
            return Err(Busy);
        }
        let (tell, outcome) = watch::channel(None);
        running.insert(fingerprint, outcome.clone());
        drop(running);
        let place = Place {
            verifier: self.clone(),
            fingerprint,
        };
        let password = given.password().into();
        tokio::spawn(async move {
            if let Some(matches) = place.compare(hash, password).await {
                place.leave(known && matches);
                tell.send_replace(Some(known && matches));
            }
        });
        Ok(outcome)
    }

    fn is_good(&self, fingerprint: &Fingerprint) -> bool {
        let Some(since) = self.good.get(fingerprint) else {
            return false;
        };
        // A clock that was set back makes no pair good for longer: the age is then an error.
        self.clock
            .now()
            .duration_since(since)
            .is_ok_and(|age| age < GOOD_FOR)
    }

    fn fingerprint(&self, given: &Credentials, hash: &StoredHash) -> Fingerprint {
        let mut mac = self.key.clone();
        mac.update(given.name().as_bytes());
        mac.update(&[0]); // neither name nor password has a NUL
        mac.update(given.password());
        mac.update(&[0]);
        for part in hash.parts() {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Fingerprint, watch::Receiver<Option<bool>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the running comparisons, given up in whatever way the comparison ends.
struct Place {
    verifier: Arc<Verifier>,
    fingerprint: Fingerprint,
}

impl Place {
    /// `None`: the process is ending.
    async fn compare(&self, hash: StoredHash, password: Box<[u8]>) -> Option<bool> {
        let _seat = self.verifier.seats.acquire().await.ok()?;
        let verifier = self.verifier.clone();
        let comparing = tokio::task::spawn_blocking(move || {
            verifier.compared.fetch_add(1, Ordering::Relaxed);
            hash.matches(&password)
        });
        comparing.await.ok()
    }

    /// First remembered, then out of the map: who comes between finds one or the other.
    fn leave(self, right: bool) {
        if right {
            self.verifier
                .good
                .insert(self.fingerprint, self.verifier.clock.now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.verifier.running().remove(&self.fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use base64::Engine as _;
    use tokio::sync::SemaphorePermit;

    use super::*;

    /// Ann's password is `apple`.
    fn users() -> Users {
        let text = format!("ann:{}", bcrypt::hash("apple", 4).unwrap());
        Users::parse(Path::new("htpasswd"), text.as_bytes()).0
    }

    fn verifier() -> Arc<Verifier> {
        Arc::new(Verifier::new(Arc::new(SystemTime::now)).unwrap())
    }

    fn credentials(name: &str, password: &str) -> Credentials {
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        Credentials::parse(format!("Basic {token}").as_bytes()).unwrap()
    }

    /// Nothing is compared until this is dropped.
    fn hold(verifier: &Verifier) -> SemaphorePermit<'_> {
        let seats = verifier.seats.available_permits();
        verifier
            .seats
            .try_acquire_many(seats.try_into().unwrap())
            .unwrap()
    }

    /// Takes a future as far as it gets, which is not its end.
    fn begin(waiting: &mut Pin<Box<impl Future<Output = Result<bool, Busy>>>>) {
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }

    #[tokio::test]
    async fn docker_opens_many_connections_at_once_and_pays_once() {
        let (verifier, users) = (verifier(), users());
        for (password, right, compared) in [("wrong", false, 1), ("apple", true, 2)] {
            let given = credentials("ann", password);
            let held = hold(&verifier);
            let mut waiting: Vec<_> = (0..20)
                .map(|_| Box::pin(verifier.verify(&users, &given)))
                .collect();
            waiting.iter_mut().for_each(begin);
            drop(held);
            for outcome in waiting {
                assert_eq!(outcome.await, Ok(right));
            }
            assert_eq!(verifier.compared(), compared);
        }
        assert!(verifier.running().is_empty());
    }

    #[tokio::test]
    async fn a_flood_of_logins_is_told_to_come_again_and_who_is_in_stays_in() {
        let (verifier, users) = (verifier(), users());
        let ann = credentials("ann", "apple");
        assert_eq!(verifier.verify(&users, &ann).await, Ok(true));
        let guesses: Vec<_> = (0..=WAITING_MAX)
            .map(|n| credentials("ann", &n.to_string()))
            .collect();
        let (last, guesses) = guesses.split_last().unwrap();
        let held = hold(&verifier);
        let mut waiting: Vec<_> = guesses
            .iter()
            .map(|guess| Box::pin(verifier.verify(&users, guess)))
            .collect();
        waiting.iter_mut().for_each(begin);
        assert_eq!(verifier.verify(&users, last).await, Err(Busy));
        assert_eq!(verifier.verify(&users, &ann).await, Ok(true));
        drop(held);
        for outcome in waiting {
            assert_eq!(outcome.await, Ok(false));
        }
        assert_eq!(verifier.verify(&users, last).await, Ok(false));
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_leaves_nobody_waiting() {
        let (verifier, users, ann) = (verifier(), users(), credentials("ann", "apple"));
        let held = hold(&verifier);
        let mut gone = Box::pin(verifier.verify(&users, &ann));
        let mut stays = Box::pin(verifier.verify(&users, &ann));
        begin(&mut gone);
        begin(&mut stays);
        drop(gone);
        drop(held);
        assert_eq!(stays.await, Ok(true));
        assert_eq!(verifier.compared(), 1);
    }

    #[tokio::test]
    async fn a_clock_set_back_makes_no_password_good_for_longer() {
        let start = SystemTime::now();
        let back = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_back = back.clone();
        let clock = move || {
            if is_back.load(Ordering::SeqCst) {
                start - GOOD_FOR
            } else {
                start
            }
        };
        let verifier = Arc::new(Verifier::new(Arc::new(clock)).unwrap());
        let (users, ann) = (users(), credentials("ann", "apple"));
        assert_eq!(verifier.verify(&users, &ann).await, Ok(true));
        back.store(true, Ordering::SeqCst);
        assert_eq!(verifier.verify(&users, &ann).await, Ok(true));
        assert_eq!(verifier.compared(), 2);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let verifier = verifier();
        for n in 0..10_000_u64 {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&n.to_le_bytes());
            verifier.good.insert(fingerprint, SystemTime::now());
        }
        assert!(verifier.good.len() <= 2 * GOOD_MAX, "{}", verifier.good.len());
    }

    #[test]
    fn a_name_that_nobody_has_costs_what_most_names_cost() {
        let hash = |cost: u8| format!("$2y${cost:02}$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK");
        let cost = |costs: &[u8]| {
            let lines = costs
                .iter()
                .enumerate()
                .map(|(n, &cost)| format!("u{n}:{}\n", hash(cost)));
            Users::parse(Path::new("htpasswd"), lines.collect::<String>().as_bytes())
                .0
                .cost_usual()
        };
        assert_eq!(
            [cost(&[5]), cost(&[5, 10]), cost(&[5, 5, 10]), cost(&[])],
            [5, 10, 5, 10]
        );
    }
}
