//! Large pulls: whole or in ranges, from the page cache or from the disk.
//!
//! Units: bytes. Shape: what comes is counted and forgotten while the clock runs; its digest is verified once before.

use std::fs;
use std::io;

use super::super::Bench;
use super::super::content::{Content, MIB};
use super::super::drive::each_once;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock;
use super::super::wire::Wire;
use super::Task;

/// Of a blob of a GiB.
pub(crate) struct Pull {
    pub(crate) at_once: u64,
    /// Nothing of it is in memory when the round begins.
    pub(crate) is_cold: bool,
    /// In ranges of this many bytes, so many of them; else whole.
    pub(crate) ranges: Option<(u64, u64)>,
}

impl Pull {
    pub(crate) const fn whole(at_once: u64) -> Self {
        Self {
            at_once,
            is_cold: false,
            ranges: None,
        }
    }
}

/// Contents that are pulled have numbers that no push uses.
const NUMBER: u64 = 1_000_000;

/// What is pulled.
pub(super) fn content(bench: &Bench<'_>) -> io::Result<Content> {
    bench.content(NUMBER, bench.large_bytes())
}

impl Task for Pull {
    fn suits(&self, _: Product) -> bool {
        true
    }

    fn prepare(&self, bench: &Bench<'_>, server: &Server) -> io::Result<()> {
        let content = content(bench)?;
        stock::large(server, &content)?;
        server.stock("the large blob is what it should be", || {
            let request = server.endpoint.get(&stock::blob_target(&content.digest));
            if Wire::open(&server.endpoint)?.digest_of(&request, 200)? == content.digest {
                return Ok(());
            }
            Err(io::Error::other("what came back is not what was sent"))
        })
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, _: u64) -> io::Result<Spent> {
        let content = content(bench)?;
        let target = stock::blob_target(&content.digest);
        if self.is_cold {
            forget_files()?;
        }
        let Some((bytes, amount)) = self.ranges else {
            let request = server.endpoint.get(&target);
            let times = if self.is_cold { 1 } else { bench.pulls_a_round() };
            return each_once(server, self.at_once, |wire, _| {
                (0..times).try_fold(0, |sum, _| Ok(sum + fetch(wire, &request, 200, content.bytes)?))
            });
        };
        let bytes = bytes.min(content.bytes);
        let amount = amount.min(64 * content.bytes / bytes);
        // Ranges lie apart, so that one does not read ahead for the next.
        let requests: Vec<Vec<u8>> = (0..amount)
            .map(|index| {
                let first = index * 7 * MIB % (content.bytes - bytes + 1);
                let range = format!("Range: bytes={first}-{}", first + bytes - 1);
                server.endpoint.head("GET", &target, &range)
            })
            .collect();
        each_once(server, self.at_once, |wire, _| {
            requests
                .iter()
                .try_fold(0, |sum, request| Ok(sum + fetch(wire, request, 206, bytes)?))
        })
    }
}

/// Asks for bytes, forgets them, and demands that so many came.
pub(super) fn fetch(wire: &mut Wire, request: &[u8], status: u16, expected: u64) -> io::Result<u64> {
    wire.write(request)?;
    let answer = wire.answer(status)?;
    let bytes = wire.forget(&answer)?;
    if bytes == expected {
        return Ok(bytes);
    }
    Err(io::Error::other(format!(
        "{bytes} bytes came instead of {expected}"
    )))
}

/// Leaves no page of any file in memory that can be left.
pub(crate) fn forget_files() -> io::Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| io::Error::other(format!("only root can empty the page cache: {error}")))
}
