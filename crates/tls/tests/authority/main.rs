//! How a server and an authority get along over months: renewals, refusals, silence. The clock is the test's own.
//!
//! Each test turns its clock and waits for what then has to happen; nothing is measured.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod stub;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use stub::{Authority, LIFE, root_in};
use tempfile::TempDir;
use tls::acme::{Acme, Challenge};
use tls::local::LocalCa;
use tls::{Certificates, Name};
use tokio_util::sync::{CancellationToken, DropGuard};

const START: i64 = 1_800_000_000;
const NAME: &str = "registry.example.com";
const DAY: i64 = 86_400;

/// A clock of one test's own.
macro_rules! clock {
    ($turn:ident, $now:ident) => {
        static $turn: AtomicI64 = AtomicI64::new(START);
        fn $now() -> i64 {
            $turn.load(Ordering::Relaxed)
        }
    };
}

struct Scene {
    folder: TempDir,
    certificates: Arc<Certificates>,
    stop: Option<DropGuard>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Scene {
    /// With a local CA that signs for these names.
    fn new(names: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let local = LocalCa {
            folder: folder.path().join("local"),
            names: names.iter().map(|text| name(text)).collect(),
            lifetime: Duration::from_hours(24 * 3650),
            leaf_lifetime: Duration::from_hours(24 * 90),
        };
        let issued = local.issue(START).unwrap();
        let certificates = Arc::new(Certificates::default());
        certificates.set_local(issued.pair, issued.ca);
        Self {
            folder,
            certificates,
            stop: None,
        }
    }

    fn acme(&self, directory: String, names: &[&str]) -> Acme {
        Acme {
            folder: self.folder.path().join("acme"),
            names: names.iter().map(|text| name(text)).collect(),
            email: None,
            directory,
            ca_root: Some(root_in(self.folder.path())),
            challenges: vec![Challenge::Http01, Challenge::TlsAlpn01],
            dns: None,
            rehearsal: None,
        }
    }

    fn run(&mut self, acme: Acme, now: fn() -> i64) {
        let stop = CancellationToken::new();
        tokio::spawn(acme.run(Arc::clone(&self.certificates), now, stop.clone()));
        self.stop = Some(stop.drop_guard());
    }

    fn issuer(&self, asked: Option<&str>) -> String {
        self.certificates.presented(asked).unwrap().facts.issuer.clone()
    }

    fn serves_the_authoritys(&self) -> bool {
        self.issuer(Some(NAME)).contains("Stub Authority")
    }
}

/// Waits for what has to happen; a test that hangs says in what.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}

#[tokio::test]
async fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("the first certificate", || scene.serves_the_authoritys()).await;
    let first = scene.certificates.issued_facts().unwrap();
    TURN.store(START + LIFE * 2 / 3 + 60, Ordering::Relaxed);
    let newer = || scene.certificates.issued_facts().unwrap().fingerprint != first.fingerprint;
    until("the second certificate", newer).await;
    let orders = authority.state().orders.clone();
    assert_eq!(orders.len(), 2, "{orders:?}");
    assert_eq!(orders[1].1, None, "this authority has no renewal information");
}

#[tokio::test]
async fn an_authority_that_names_a_window_gets_its_renewal_there_and_learns_what_it_replaces() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    authority.state().window = Some((START + 3 * DAY, START + 4 * DAY));
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("the first certificate", || scene.serves_the_authoritys()).await;
    // Inside the window's end, and long before two thirds of the life.
    TURN.store(START + 4 * DAY + 1, Ordering::Relaxed);
    until("the renewal", || authority.state().orders.len() == 2).await;
    let orders = authority.state().orders.clone();
    assert_eq!(orders[0].1, None);
    let replaced = orders[1].1.clone().unwrap();
    assert!(
        replaced.split('.').count() == 2,
        "key identifier and serial number: {replaced}"
    );
}

#[tokio::test]
async fn a_window_that_is_moved_to_now_is_noticed_within_hours() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    authority.state().window = Some((START + 15 * DAY, START + 16 * DAY));
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("the first certificate", || scene.serves_the_authoritys()).await;
    // As an authority does that has to revoke what it issued.
    authority.state().window = Some((START, START + 3_600));
    TURN.store(START + 7 * 3_600, Ordering::Relaxed);
    until("the renewal", || authority.state().orders.len() == 2).await;
}

#[tokio::test]
async fn a_certificate_that_is_over_gives_way_to_the_local_ca_until_there_is_a_new_one() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("the first certificate", || scene.serves_the_authoritys()).await;
    authority.state().down = true;
    TURN.store(START + LIFE, Ordering::Relaxed);
    until("the local CA", || scene.issuer(Some(NAME)).contains("Landfall")).await;
    authority.state().down = false;
    TURN.store(START + LIFE + DAY, Ordering::Relaxed);
    until("a new certificate", || scene.serves_the_authoritys()).await;
}

#[tokio::test]
async fn a_way_that_fails_is_followed_by_the_next_one() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    authority.state().failing = vec!["http-01"];
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("a certificate", || scene.serves_the_authoritys()).await;
    assert_eq!(authority.state().looked, ["http-01", "tls-alpn-01"]);
    let _ = &TURN;
}

#[tokio::test]
async fn several_names_are_one_certificate() {
    clock!(TURN, now);
    let names = [NAME, "cache.example.com"];
    let mut scene = Scene::new(&names);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    scene.run(scene.acme(authority.directory(), &names), now);
    until("a certificate", || scene.serves_the_authoritys()).await;
    let facts = scene.certificates.issued_facts().unwrap();
    assert!(names.iter().all(|name| facts.covers(name)), "{facts:?}");
    assert_eq!(authority.state().orders[0].0, names);
    let _ = &TURN;
}

#[tokio::test]
async fn public_and_private_names_are_each_signed_by_who_can() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME, "nas.lan", "192.168.1.20"]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("a certificate", || scene.serves_the_authoritys()).await;
    assert!(scene.issuer(Some("nas.lan")).contains("Landfall"));
    // A client that uses the address asks for no name.
    assert!(scene.issuer(None).contains("Landfall"));
    assert!(scene.issuer(Some("unknown.example.com")).contains("Stub"));
    let _ = &TURN;
}

#[tokio::test]
async fn what_fails_in_the_rehearsal_costs_no_attempt_at_the_authority() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    // Both are known by one file of roots: the twin's comes first, as the rehearsal does.
    let real = Authority::start(&scene.folder.path().join("real.pem"), now).await;
    let twin = Authority::start(&root_in(scene.folder.path()), now).await;
    twin.state().failing = vec!["http-01", "tls-alpn-01"];
    let mut acme = scene.acme(real.directory(), &[NAME]);
    acme.rehearsal = Some(twin.directory());
    scene.run(acme, now);
    until("the rehearsal", || twin.state().looked.len() == 2).await;
    TURN.store(START + 300, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        twin.state().orders.len(),
        2,
        "a failed proof is not repeated at once"
    );
    TURN.store(START + 1_200, Ordering::Relaxed);
    until("the next rehearsal", || twin.state().orders.len() == 4).await;
    assert!(real.state().orders.is_empty(), "an attempt was spent");
}

#[tokio::test]
async fn an_account_that_the_authority_lost_is_made_anew() {
    clock!(TURN, now);
    let mut scene = Scene::new(&[NAME]);
    let authority = Authority::start(&root_in(scene.folder.path()), now).await;
    scene.run(scene.acme(authority.directory(), &[NAME]), now);
    until("the first certificate", || scene.serves_the_authoritys()).await;
    authority.state().forgot = true;
    TURN.store(START + LIFE * 2 / 3 + 60, Ordering::Relaxed);
    until("the second order", || authority.state().orders.len() == 2).await;
}

/// Tokio's time stands still while anything runs and jumps to the next timer otherwise, so minutes cost nothing here.
#[tokio::test(start_paused = true)]
async fn an_authority_that_takes_connections_and_says_nothing_is_given_up_and_asked_again() {
    static TURN: AtomicI64 = AtomicI64::new(START);
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn now() -> i64 {
        TURN.fetch_add(10, Ordering::Relaxed)
    }
    let mut scene = Scene::new(&[NAME]);
    // Only its root is needed, so that there is one.
    drop(Authority::start(&root_in(scene.folder.path()), now).await);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
            ASKED.fetch_add(1, Ordering::Relaxed);
        }
    });
    scene.run(
        scene.acme(format!("https://127.0.0.1:{port}/directory"), &[NAME]),
        now,
    );
    while ASKED.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(scene.issuer(Some(NAME)).contains("Landfall"));
}
