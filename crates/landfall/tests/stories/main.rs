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

mod admin_api;
mod ask_before_sending;
mod at_the_same_time;
mod backups;
mod bad_manifests;
mod behind_a_proxy;
mod bundles;
mod chunk_model;
mod command_line;
mod config_commands;
mod connections;
mod damage;
mod delete_things;
mod every_answer;
mod exit_codes;
mod failing_disk;
mod first_mistakes;
mod full_disk;
mod garbage;
mod http2;
mod lists;
mod login;
mod memory;
mod mount_a_blob;
mod names_and_routes;
mod odd_requests;
mod password_file;
mod pull_a_blob;
mod pull_a_large_blob;
mod push_a_blob;
mod push_a_large_blob;
mod push_a_manifest;
mod push_in_chunks;
mod referrers;
mod refused_settings;
mod refused_while_sending;
mod reload;
mod restore_one_repository;
mod restoring;
mod rules;
mod settings;
mod stop_and_go_on;
mod tags_while_pushing;
mod true_words;
mod undo;
mod unix_socket;
mod upload_limits;
mod upload_sessions;
mod users;
mod what_is_checked;
mod where_the_bytes_are;
