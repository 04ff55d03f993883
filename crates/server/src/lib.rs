//! HTTP: the `/v2/` tree, health, and the page at `/`.
//!
//! Parses requests, asks the domain, renders answers. Deliberately absent: SQL, file layout, and decisions about
//! content. Start at `v2/route.rs` for what is served, at `v2/refusal.rs` for how failures are answered, at `admin/mod.rs` for the admin API.

mod access_log;
pub mod admin;
mod beside;
mod body;
mod connection;
mod context;
mod health;
mod inlet;
mod lanes;
mod linger;
mod metrics;
mod origin;
mod outlet;
mod pages;
mod patience;
mod read_pool;
mod room;
mod serve;
mod speech;
pub mod v2;

pub use admin::types as api;

pub use access_log::{AccessLog, Entry, Journal};
pub use beside::Beside;
pub use body::{BlobBody, Body, Piece};
pub use context::{Context, Live, Options};
pub use health::{Health, debug_answer};
pub use lanes::Lanes;
pub use metrics::Metrics;
pub use origin::{Origin, Peer};
pub use read_pool::ReadPool;
pub use room::Room;
pub use serve::{Debug, Listener, serve, serve_debug};
