//! `backup`: where backups of this registry go, and when they are made by themselves.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "backup.to",
        Kind::Path,
        "",
        "folder of backups, on another disk, as a path from `/` on: where `landfall backup` writes if it is told nothing else, and the only one \
         that may be named over HTTP",
    )
    .ours(),
    row(
        "backup.schedule",
        Kind::Schedule,
        "",
        "when a backup is made by itself: five fields of cron, in UTC; absent: never",
    )
    .ours(),
    row(
        "backup.keep",
        Kind::CountLimit,
        "none",
        "how many of the latest backups stay there when one was made by itself; `none`: all",
    )
    .ours(),
];
