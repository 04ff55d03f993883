//! Memory: of a server that has nothing to do, and of one that holds many connections.
//!
//! Units: bytes, what is resident. Shape: connections each get one manifest, or begin to pull a large blob and hardly go on.

use std::io;
use std::time::Duration;

use super::super::Bench;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock;
use super::super::usage;
use super::super::wire::Wire;
use super::Task;
use super::pull::Pull;

const SETTLE: Duration = Duration::from_secs(3);
const SETTLE_QUICK: Duration = Duration::from_secs(1);

/// With this many connections, which pull or do nothing.
pub(crate) struct Idle {
    pub(crate) connections: usize,
    pub(crate) is_pulling: bool,
}

impl Task for Idle {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || product.is_peer() || product == Product::Nginx
    }

    fn prepare(&self, bench: &Bench<'_>, server: &Server) -> io::Result<()> {
        if self.is_pulling {
            return Pull::whole(1).prepare(bench, server);
        }
        if self.connections > 0 {
            stock::image(server)?;
        }
        Ok(())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        // There is nothing to warm up.
        if number == 0 {
            return Ok(Spent::default());
        }
        let mut wires = (0..self.connections)
            .map(|_| Wire::open(&server.endpoint))
            .collect::<io::Result<Vec<_>>>()?;
        let target = if self.is_pulling {
            stock::blob_target(&super::pull::content(bench)?.digest)
        } else {
            stock::manifest_target(stock::TAG)
        };
        let request = server.endpoint.get(&target);
        for wire in &mut wires {
            if self.is_pulling {
                wire.write(&request)?;
                wire.sip()?;
            } else {
                wire.ask(&request, 200)?;
            }
        }
        std::thread::sleep(if bench.is_quick { SETTLE_QUICK } else { SETTLE });
        let family = server.family()?;
        Ok(Spent {
            units: usage::resident_bytes(&family)?,
            peak_bytes: usage::peak_bytes(&family)?,
            ..Spent::default()
        })
    }
}
