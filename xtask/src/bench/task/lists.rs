//! Pages of lists, beginning anywhere: tags of a repository, repositories of a registry, referrers of a manifest.
//!
//! Shape: a page has 100 entries, if the registry does what it is asked: version 2 of distribution knows no pages of tags, and
//! gives them all.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::dice::Dice;

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::{seed, stock};
use super::Task;

const PAGE: u64 = 100;
const CONNECTIONS: u64 = 4;
const REQUESTS: usize = 64;

/// A list of so many entries.
pub(crate) struct Pages {
    list: List,
    wanted: u64,
    /// How many there are in the end.
    there: AtomicU64,
}

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Tags,
    /// Too many to be put there one by one.
    ManyTags,
    Repositories,
    Referrers,
}

impl Pages {
    pub(crate) fn of(list: List, wanted: u64) -> Self {
        Self {
            list,
            wanted,
            there: AtomicU64::new(0),
        }
    }
}

const TAGGED: &str = "bench/tags";
const TAGGED_OFTEN: &str = "bench/tagged-often";

impl Task for Pages {
    fn suits(&self, product: Product) -> bool {
        let is_for_all = matches!(self.list, List::Tags | List::Repositories);
        product == Product::Landfall || (is_for_all && product.is_peer())
    }

    fn prepare(&self, bench: &Bench<'_>, server: &Server) -> io::Result<()> {
        // A quick run makes do with less of what takes long to make.
        let amount = |quick| if bench.is_quick { quick } else { self.wanted };
        let there = match self.list {
            List::Tags => seed::tags(server, TAGGED, self.wanted),
            List::ManyTags => seed::many_tags(bench, server, TAGGED_OFTEN, amount(20_000)),
            List::Repositories => seed::repositories(server, amount(200)),
            List::Referrers => seed::referrers(bench, server, amount(2000)),
        };
        self.there.store(there?, Ordering::Relaxed);
        Ok(())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let mut dice = Dice::new(number);
        let end = self.there.load(Ordering::Relaxed).saturating_sub(PAGE).max(1);
        let requests: Vec<_> = (0..REQUESTS)
            .map(|_| server.endpoint.get(&self.page(dice.below(end))))
            .collect();
        for_a_while(server, CONNECTIONS, bench.round(number), |wire, worker, turn| {
            let index = usize::try_from(turn * 7 + worker).unwrap_or(0) % REQUESTS;
            wire.ask(&requests[index], 200).map(|_| ())
        })
    }
}

impl Pages {
    /// The page after this entry; of referrers the first, as their order is the registry's own.
    fn page(&self, last: u64) -> String {
        let tags = |repository| format!("/v2/{repository}/tags/list?n={PAGE}&last={}", seed::tag(last));
        match self.list {
            List::Tags => tags(TAGGED),
            List::ManyTags => tags(TAGGED_OFTEN),
            List::Repositories => format!("/v2/_catalog?n={PAGE}&last={}", seed::repository(last)),
            List::Referrers => format!(
                "/v2/{}/referrers/{}?n={PAGE}",
                stock::REPOSITORY,
                stock::image_digest()
            ),
        }
    }
}
