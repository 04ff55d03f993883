//! What is done to a server in a round, one file for each kind of work.
//!
//! Shape: a [`Task`] prepares a server once, then does the same work every round; round 0 warms up and is not counted.
//! Fails: an answer that the specification does not allow ends the case for that server.

mod idle;
mod images;
mod lists;
mod mixed;
mod pull;
mod push;
mod reads;
mod start;

use std::io;

use super::Bench;
use super::figures::Spent;
use super::product::Product;
use super::server::Server;

pub(crate) use idle::Idle;
pub(crate) use images::{Images, Mounts, Tags};
pub(crate) use lists::{List, Pages};
pub(crate) use mixed::Mixed;
pub(crate) use pull::Pull;
pub(crate) use push::{Push, Way};
pub(crate) use reads::{Reads, What};
pub(crate) use start::{BinarySize, Start};

/// A kind of work.
pub(crate) trait Task {
    /// Whether this server can do it at all.
    fn suits(&self, product: Product) -> bool;

    /// Puts there what the rounds need.
    fn prepare(&self, _bench: &Bench<'_>, _server: &Server) -> io::Result<()> {
        Ok(())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent>;
}
