//! `backup`: where backups of this registry go.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "backup.to",
        Kind::Path,
        "",
        "folder of backups, on another disk: where `landfall backup` writes if it is told nothing else, and the only one \
         that may be named over HTTP",
    )
    .ours(),
];
