//! The server is killed again and again while clients push; what it acknowledged it must serve afterwards, whole.
//! Then the same with a server that collects garbage without pause, while clients delete and take deletes back.
//!
//! `KILL_CYCLES` sets how often (40 unless said otherwise, a minute or so), `SEED` which dice are thrown.
//! Kinds of death: in the middle of pushes, and in the middle of a start.
//! After each: the manifests acknowledged since the last one are served whole. At the end: everything in the ledger, the lists
//! agree with it, sessions hold no more than was sent, and when they are cancelled no part of an upload is left on disk.
//! Where garbage was collected, the rows then agree with the files, and no file is unknown.

#![expect(clippy::expect_used, reason = "helpers of a test fail it")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::audit::Audit;
use e2e::client::Client;
use e2e::dice::Dice;
use e2e::hasty::{self, Door, Windows};
use e2e::landfall::{Landfall, Launch, parts_below, program};
use e2e::load::Load;

const CLIENTS: usize = 4;
const CYCLES: u64 = 40;

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let launch = Launch::with_data(&program(), folder.path());
    let landfall = kill_again_and_again(&launch, Load::start);
    drop(landfall);
}

#[test]
fn what_was_acknowledged_survives_every_kill_while_garbage_is_collected() {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let windows = Windows::default();
    let launch = windows.launch(folder.path());
    let mut landfall = kill_again_and_again(&launch, |address, clients, seed| {
        Load::start_collected(address, clients, seed, folder.path(), windows)
    });
    let mut door = Door::of(folder.path()).expect("the server is there");
    println!("orphans: {}", door.ask("scan").expect("the server answers"));
    landfall.stop();
    hasty::check(folder.path()).expect_clean();
}

/// The server after the last kill, with nothing left of any upload.
fn kill_again_and_again(launch: &Launch, start: impl FnOnce(SocketAddr, usize, u64) -> Load) -> Landfall {
    let mut dice = Dice::new(Dice::seed_of_run());
    let cycles =
        std::env::var("KILL_CYCLES").map_or(CYCLES, |text| text.parse().expect("KILL_CYCLES is a number"));
    let mut landfall = launch.start();
    let load = start(landfall.address(), CLIENTS, dice.throw());
    let mut slowest = Duration::ZERO;

    for cycle in 0..cycles {
        std::thread::sleep(Duration::from_millis(50 + dice.below(1_500)));
        landfall.kill();
        let mut address = load.hold();
        if dice.one_in(4) {
            die_while_starting(launch, &mut dice);
        }
        let began = Instant::now();
        landfall = launch.start();
        slowest = slowest.max(began.elapsed());
        *address = landfall.address();
        let fresh = load.ledger().take_fresh();
        let audit = Audit::of_manifests(landfall.address(), &fresh);
        assert!(
            audit.faults().is_empty(),
            "after kill {cycle}:\n{}",
            audit.faults().join("\n")
        );
    }

    let ledger = load.end();
    landfall.kill();
    let landfall = launch.start();
    println!("{cycles} kills; {}", ledger.summary());
    let audit = Audit::of(landfall.address(), &ledger, &ledger);
    println!("{}; slowest start {} ms", audit.summary(), slowest.as_millis());
    audit.expect_clean();
    no_part_is_left(&landfall, launch.data(), ledger.sessions.iter());
    landfall
}

fn die_while_starting(launch: &Launch, dice: &mut Dice) {
    let mut landfall = launch.spawn();
    std::thread::sleep(Duration::from_millis(dice.below(60)));
    landfall.kill();
}

/// Files of uploads belong to sessions that still answer; when those are cancelled, none is left.
fn no_part_is_left<'a>(landfall: &Landfall, data: &Path, sessions: impl Iterator<Item = &'a String> + Clone) {
    let mut client = Client::connect(landfall.address()).expect("the server listens");
    let alive = sessions
        .clone()
        .filter(|session| client.upload_size(session).expect("a status").is_some())
        .count();
    let parts = parts_below(data);
    println!("{alive} sessions alive, {parts} parts on disk");
    assert!(
        parts <= alive,
        "{parts} parts of uploads on disk, but only {alive} sessions that know of them"
    );
    for session in sessions {
        client.cancel_upload(session).expect("a session can be cancelled");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while parts_below(data) > 0 {
        assert!(
            Instant::now() < deadline,
            "{} parts are left after every session was cancelled",
            parts_below(data)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
