//! The harness of the journeys: the server as a process, real clients beside it, and a small client of our own.
//!
//! Nothing in here knows the inside of Landfall (`hasty/` does, which is a program of its own). The program under test is the file that `LANDFALL_BIN` names; it is started
//! as an operator would start it, and asked over sockets as a client would ask it.
//!
//! Shape: [`landfall`] the server process · [`hasty`] one that collects garbage within seconds · [`command`] other programs · [`docker`], [`containers`] the clients with their own
//! storage · [`http`], [`client`] the small client · [`image`] generated images · [`load`] many pushes at once, which fill
//! a [`ledger`] of what was acknowledged · [`audit`] holds a server against a ledger · [`disks`] loop-mounted file systems ·
//! [`papers`] certificates · [`traffic`] what was asked of the server · [`pages`] what documents tell people to type ·
//! [`terminal`] a terminal with somebody at it.
//! Fails: by panic, with the sentence that a person needs; only the small client returns errors, because its server is killed.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a harness: what goes wrong here ends the test, with its reason"
)]

pub mod audit;
pub mod client;
pub mod command;
pub mod compose;
pub mod containers;
pub mod dice;
pub mod disks;
pub mod docker;
pub mod hasty;
pub mod http;
pub mod image;
pub mod landfall;
pub mod ledger;
pub mod load;
pub mod old_registry;
pub mod pages;
pub mod papers;
pub mod terminal;
pub mod traffic;
