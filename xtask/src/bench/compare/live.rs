//! How long pulls take while garbage is collected, against a server whose collector rests.
//!
//! Units: milliseconds, the 99th of a hundred pulls; a pull is a manifest by tag, its config and its layer. Shape: both kinds of
//! round alternate on one server; garbage is made before each, and there is more of it than a round can take.

use std::io;
use std::sync::Mutex;
use std::time::Instant;

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::server::Server;
use super::super::stock::{self, Image, TAG, blob_target, manifest_target};
use super::super::wire::Wire;
use super::garbage::throw_away;
use super::{Comparison, median, order, start};

const CONNECTIONS: u64 = 4;
const GOAL: f64 = 1.5;
/// Images that are thrown away before a round.
const GARBAGE: u64 = 6_000;
const GARBAGE_QUICK: u64 = 1_000;

pub(super) fn compare(bench: &Bench<'_>) -> io::Result<Comparison> {
    let server = start(bench)?;
    stock::image(&server)?;
    let garbage = if bench.is_quick { GARBAGE_QUICK } else { GARBAGE };
    let (mut at_rest, mut collecting) = (Vec::new(), Vec::new());
    let mut taken = 0;
    for round in 0..=bench.rounds() {
        throw_away(&server, round * garbage, garbage)?;
        let without = p99(bench, &server, round)?;
        let before = collected(&server)?;
        order(&server, "resume")?;
        let with = p99(bench, &server, round)?;
        order(&server, "pause")?;
        // Answered when the turn that was under way has ended.
        order(&server, "waits")?;
        taken += collected(&server)?.saturating_sub(before);
        // The first round warms up.
        if round > 0 {
            at_rest.push(without);
            collecting.push(with);
        }
    }
    if taken == 0 {
        return Err(io::Error::other("nothing was collected while pulls were timed"));
    }
    bench.note(format!(
        "gc-live: {taken} things were collected while pulls were timed"
    ));
    Ok(Comparison {
        name: "gc-live",
        heading: "p99 of pulls of an image of 9 KiB, 4 at once",
        unit: "ms",
        sides: [
            ("while the collector rests".to_owned(), median(at_rest)?),
            ("while garbage is collected".to_owned(), median(collecting)?),
        ],
        goal: Some(GOAL),
    })
}

/// Manifests and links that were collected since the start.
fn collected(server: &Server) -> io::Result<u64> {
    let words = order(server, "collected")?;
    let numbers = words.split(' ').filter_map(|word| word.parse::<u64>().ok());
    Ok(numbers.take(2).sum())
}

/// The 99th of a hundred pulls, in milliseconds.
fn p99(bench: &Bench<'_>, server: &Server, round: u64) -> io::Result<f64> {
    let image = Image::new(0);
    let requests = [
        manifest_target(TAG),
        blob_target(&image.config.digest),
        blob_target(&image.layer.digest),
    ]
    .map(|target| server.endpoint.get(&target));
    let times = Mutex::new(Vec::new());
    for_a_while(
        server,
        CONNECTIONS,
        bench.round(round),
        |wire: &mut Wire, _, _| {
            let began = Instant::now();
            for request in &requests {
                wire.ask(request, 200)?;
            }
            let ms = began.elapsed().as_secs_f64() * 1e3;
            times.lock().map_err(|_| io::ErrorKind::Other)?.push(ms);
            Ok(())
        },
    )?;
    let mut times = times.into_inner().map_err(|_| io::ErrorKind::Other)?;
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1);
    let at = times.get(last * 99 / 100).copied();
    at.ok_or_else(|| io::Error::other("there was no pull"))
}
