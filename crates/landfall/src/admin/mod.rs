//! Commands that ask a running server: which one, who asks, and what its answers mean to whoever typed the command.
//!
//! Shape: a command flattens [`Target`] into its arguments; `target.open()` is the [`Api`], with one method for each method of
//! HTTP over the types of `server::api`; [`Consent`] shows a plan and asks; [`Table`] and [`until`] print.
//! How to add one: the head of `server/src/admin/mod.rs`.
//! Exit codes: 2 what was asked for makes no sense, 4 not an admin, 5 not found, 6 not as things are, 8 no server answers, 9 no room.

mod api;
mod consent;
mod print;
mod target;

pub(crate) use api::{Api, print_json};
pub(crate) use consent::Consent;
pub(crate) use print::{Table, now, until};
pub(crate) use server::v2::query::encode;
pub(crate) use target::{Reach, Target};
