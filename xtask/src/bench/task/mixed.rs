//! A large push while two others pull: what each side gets.
//!
//! Units: bytes; processor time is shared out over all bytes that moved, pushed and pulled. Shape: pulls go on until the push is
//! acknowledged; the push is timed by itself, because the last pulls end a little later.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::super::Bench;
use super::super::drive::each_once;
use super::super::figures::{Spent, real};
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock;
use super::Task;
use super::pull::fetch;
use super::push::{Way, push};

/// Which side is counted.
#[derive(PartialEq, Eq)]
pub(crate) enum Mixed {
    Push,
    Pull,
}

const PULLERS: u64 = 2;
/// Contents that no other case pushes.
const PUSHED: u64 = 2_000_000;
const PULLED: u64 = 3_000_000;

impl Task for Mixed {
    fn suits(&self, product: Product) -> bool {
        product != Product::Nginx
    }

    fn prepare(&self, bench: &Bench<'_>, server: &Server) -> io::Result<()> {
        stock::large(server, &bench.content(PULLED, bench.large_bytes() / 4)?)
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let pushed = bench.content(PUSHED + number, bench.large_bytes())?;
        let pulled = bench.content(PULLED, bench.large_bytes() / 4)?;
        let request = server.endpoint.get(&stock::blob_target(&pulled.digest));
        let push_micros = AtomicU64::new(0);
        rustix::fs::sync();
        let all = each_once(server, 1 + PULLERS, |wire, worker| {
            if worker == 0 {
                let began = Instant::now();
                let bytes = push(server, wire, Way::Put, &pushed);
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                // Also after a failure: the others must not go on for ever.
                push_micros.store(micros.max(1), Ordering::Release);
                return bytes;
            }
            let mut bytes = 0;
            while push_micros.load(Ordering::Acquire) == 0 {
                bytes += fetch(wire, &request, 200, pulled.bytes)?;
            }
            Ok(bytes)
        })?;
        let (units, seconds) = match self {
            Self::Push => (pushed.bytes, real(push_micros.into_inner()) / 1e6),
            Self::Pull => (all.units - pushed.bytes, all.seconds),
        };
        Ok(Spent {
            units,
            seconds,
            cpu_seconds: all.cpu_seconds * real(units) / real(all.units),
            ..all
        })
    }
}
