//! One module per command: it parses, calls one thing of the domain, and prints.

pub(crate) mod adopt;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod garbage_collect;
pub(crate) mod healthcheck;
pub(crate) mod man;
pub(crate) mod offline;
mod password;
pub(crate) mod progress;
pub(crate) mod serve;
pub(crate) mod tls;
pub(crate) mod user;
pub(crate) mod version;
