//! What the catalog promises, as stories; each is run on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the server at `LANDFALL_TEST_POSTGRES`; without it those stories fail, because a story that is not run
//! proves nothing. `cargo xtask test` starts one.

mod blobs;
mod engines;
mod harness;
mod imports;
mod lists;
mod manifests;
mod tags;
mod trash;
