//! Pages of lists: 100 entries, beginning anywhere.

use std::io;

use e2e::dice::Dice;

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock;
use super::Task;

const PAGE: u64 = 100;
const CONNECTIONS: u64 = 4;
const REQUESTS: usize = 64;

/// Pages of the tags of one repository that has this many.
pub(crate) struct TagPages {
    pub(crate) tags: u64,
}

impl TagPages {
    fn repository(&self) -> String {
        format!("bench/tags-{}", self.tags)
    }
}

impl Task for TagPages {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || product.is_peer()
    }

    fn prepare(&self, _: &Bench<'_>, server: &Server) -> io::Result<()> {
        stock::tags(server, &self.repository(), self.tags)
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let mut dice = Dice::new(number);
        let requests: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let last = stock::tag(dice.below(self.tags - PAGE - 1));
                let target = format!("/v2/{}/tags/list?n={PAGE}&last={last}", self.repository());
                server.endpoint.get(&target)
            })
            .collect();
        for_a_while(server, CONNECTIONS, bench.round(number), |wire, worker, turn| {
            let index = usize::try_from(turn * 7 + worker).unwrap_or(0) % REQUESTS;
            wire.ask(&requests[index], 200).map(|_| ())
        })
    }
}
