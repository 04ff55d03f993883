//! Stories over HTTP: what people and clients wish, and the traps they fall into, against the real program.
//!
//! Each module is a wish; each test starts the real binary on a port of its own and looks only at what a client sees.
//! Source: distribution-spec (opencontainers), RFC 9110, RFC 9112, RFC 9113, RFC 7617.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a story that cannot go on fails, and says where"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod every_answer;
mod behind_a_proxy;
mod names_and_routes;
mod push_a_blob;
mod push_in_chunks;
mod upload_sessions;
mod chunk_model;
mod mount_a_blob;
mod pull_a_blob;
mod bad_manifests;
mod push_a_manifest;
mod tags_while_pushing;
mod delete_things;
mod lists;
mod referrers;
