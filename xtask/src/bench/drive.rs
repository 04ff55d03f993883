//! Many clients at once, in the two forms that a round has: each does one thing, or each asks again and again for a while.
//!
//! Shape: connections are open before the clock runs; a worker has a number of its own.
//! Fails: with the first error of any worker.

use std::io;
use std::time::{Duration, Instant};

use super::figures::Spent;
use super::server::Server;
use super::wire::Wire;

/// Opens this many connections and gives each a piece of work, timed.
pub(crate) fn each_once(
    server: &Server,
    connections: u64,
    work: impl Fn(&mut Wire, u64) -> io::Result<u64> + Sync,
) -> io::Result<Spent> {
    let wires = open(server, connections)?;
    server.time(|| with_each(wires, |wire, number| work(wire, number)))
}

/// The same, but each works again and again until the time is up; what is counted is how often.
pub(crate) fn for_a_while(
    server: &Server,
    connections: u64,
    duration: Duration,
    work: impl Fn(&mut Wire, u64, u64) -> io::Result<()> + Sync,
) -> io::Result<Spent> {
    let wires = open(server, connections)?;
    server.time(|| {
        let end = Instant::now() + duration;
        with_each(wires, |wire, number| {
            let mut turn = 0;
            while Instant::now() < end {
                work(wire, number, turn)?;
                turn += 1;
            }
            Ok(turn)
        })
    })
}

/// Does all of `0..amount`, each once, over this many connections.
pub(crate) fn all_of(
    server: &Server,
    connections: u64,
    amount: u64,
    work: impl Fn(&mut Wire, u64) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let wires = open(server, connections)?;
    with_each(wires, |wire, number| {
        let mut index = number;
        while index < amount {
            work(wire, index)?;
            index += connections;
        }
        Ok(0)
    })
    .map(|_| ())
}

fn open(server: &Server, connections: u64) -> io::Result<Vec<Wire>> {
    (0..connections).map(|_| Wire::open(&server.endpoint)).collect()
}

fn with_each(wires: Vec<Wire>, work: impl Fn(&mut Wire, u64) -> io::Result<u64> + Sync) -> io::Result<u64> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(wires)
            .map(|(number, mut wire)| scope.spawn(move || work(&mut wire, number)))
            .collect();
        let mut sum = 0;
        for thread in threads {
            sum += thread
                .join()
                .map_err(|_| io::Error::other("a client panicked"))??;
        }
        Ok(sum)
    })
}
