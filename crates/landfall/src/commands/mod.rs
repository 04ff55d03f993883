//! One module per command: it parses, calls one thing of the domain, and prints.

pub(crate) mod adopt;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod du;
pub(crate) mod export;
pub(crate) mod garbage_collect;
pub(crate) mod gc;
pub(crate) mod healthcheck;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod mode;
pub(crate) mod offline;
pub(crate) mod password;
pub(crate) mod policies;
pub(crate) mod progress;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod scrub;
pub(crate) mod serve;
pub(crate) mod tls;
pub(crate) mod user;
pub(crate) mod version;
pub(crate) mod why;
