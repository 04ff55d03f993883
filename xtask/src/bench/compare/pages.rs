//! What a page of tags costs, in a repository with few and with very many.
//!
//! Units: microseconds of the server's processor time. Shape: every page begins somewhere else, at a name that no other page began at, so
//! that no answer is one that the server remembers.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::dice::Dice;

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::figures::{number, real};
use super::super::{seed, stock};
use super::{Comparison, Sized, median};

const PAGE: u64 = 100;
const CONNECTIONS: u64 = 4;

pub(super) fn compare(bench: &Bench<'_>, servers: &[Sized; 2]) -> io::Result<Comparison> {
    let mut costs = [Vec::new(), Vec::new()];
    let page = AtomicU64::new(0);
    for round in 0..=bench.rounds() {
        for ((server, tags), costs) in servers.iter().zip(&mut costs) {
            let spent = for_a_while(server, CONNECTIONS, bench.round(round), |wire, _, _| {
                let number = page.fetch_add(1, Ordering::Relaxed);
                let last = seed::tag(Dice::new(number).below(tags.saturating_sub(PAGE).max(1)));
                let repository = stock::REPOSITORY;
                let target = format!("/v2/{repository}/tags/list?n={PAGE}&last={last}.{number}");
                wire.ask(&server.endpoint.get(&target), 200).map(|_| ())
            })?;
            if round > 0 {
                costs.push(spent.cpu_seconds * 1e6 / real(spent.units.max(1)));
            }
        }
    }
    let [few, many] = costs;
    let side = |(_, tags): &Sized| format!("of {} tags", number(real(*tags)));
    Ok(Comparison {
        name: "tag-page",
        heading: "a page of 100 tags",
        unit: "CPU-us",
        sides: [
            (side(&servers[0]), median(few)?),
            (side(&servers[1]), median(many)?),
        ],
        goal: None,
    })
}
