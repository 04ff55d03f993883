//! One module per command: it parses, calls one thing of the domain, and prints.

pub(crate) mod config;
pub(crate) mod serve;
