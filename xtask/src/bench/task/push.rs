//! Large pushes: as containerd does (POST, PUT with a length) or as docker does (POST, one chunked PATCH, PUT).
//!
//! Units: bytes. Shape: every round pushes contents that this server has never seen.

use std::io;

use super::super::Bench;
use super::super::content::{Content, MIB};
use super::super::drive::each_once;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock::{REPOSITORY, begin_upload, ending, session};
use super::super::wire::Wire;
use super::Task;

/// How the bytes go up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Put,
    Patch,
}

/// So many at once, each its share of a GiB.
pub(crate) struct Push {
    pub(crate) way: Way,
    pub(crate) at_once: u64,
}

/// A round that warms up is this much smaller.
const WARM_UP_SHARE: u64 = 8;

impl Task for Push {
    fn suits(&self, product: Product) -> bool {
        product != Product::Nginx
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let share = if number == 0 { WARM_UP_SHARE } else { 1 };
        let bytes = (bench.large_bytes() / self.at_once / share).next_multiple_of(MIB);
        let contents = (0..self.at_once)
            .map(|worker| bench.content(number * self.at_once + worker, bytes))
            .collect::<io::Result<Vec<_>>>()?;
        // What earlier rounds left to be written must not be written now.
        rustix::fs::sync();
        each_once(server, self.at_once, |wire, worker| {
            let index = usize::try_from(worker).unwrap_or(0);
            push(server, wire, self.way, &contents[index])
        })
    }
}

/// Pushes one blob; how many bytes.
pub(crate) fn push(server: &Server, wire: &mut Wire, way: Way, content: &Content) -> io::Result<u64> {
    let endpoint = &server.endpoint;
    match way {
        Way::Put => {
            let target = begin_upload(server, wire, REPOSITORY, &content.digest)?;
            wire.write(&endpoint.head("PUT", &target, &format!("Content-Length: {}", content.bytes)))?;
            content.send(wire)?;
        }
        Way::Patch => {
            let target = session(server, wire, REPOSITORY)?;
            wire.write(&endpoint.head("PATCH", &target, "Transfer-Encoding: chunked"))?;
            content.send_chunked(wire)?;
            let answer = wire.answer(202)?;
            wire.forget(&answer)?;
            let target = ending(answer.location()?, &content.digest);
            wire.write(&endpoint.request("PUT", &target, b""))?;
        }
    }
    let answer = wire.answer(201)?;
    wire.forget(&answer)?;
    Ok(content.bytes)
}
