//! What the catalog promises, as stories; each is run on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the server at `LANDFALL_TEST_POSTGRES`; without it those stories fail, because a story that is not run
//! proves nothing. `cargo xtask test` starts one.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod blobs;
mod copies;
mod cost;
mod engines;
mod finality;
mod frees;
mod gc;
mod harness;
mod imports;
mod journey;
mod lists;
mod manifests;
mod model;
mod postgres;
mod pulls;
mod pushes;
mod quotas;
mod races;
mod repositories;
mod restore;
mod retention;
mod rollback;
mod rules;
mod scrub;
mod space;
mod sqlite;
mod tags;
mod traces;
mod trash;
mod trash_views;
