//! `admin`: who works with the admin API, and where it is on this machine.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "admin.users",
        Kind::Texts,
        "[admin]",
        "users who may work with the admin API over HTTP, with their login",
    )
    .ours(),
    row(
        "admin.socket",
        Kind::Path,
        "",
        "unix socket of the admin API, for root and the server's own user, without a login; \
         absent: `landfall/admin.sock` in the data folder",
    )
    .ours(),
];
