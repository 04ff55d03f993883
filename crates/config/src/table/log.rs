//! `version` and `log`.

use super::{Row, When, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row(
        "version",
        Kind::Version,
        "0.1",
        "version of the format of this file",
    ),
    row(
        "log.level",
        Kind::Word(&["error", "warn", "info", "debug"]),
        "info",
        "least important lines to write",
    )
    .old("loglevel"),
    row(
        "log.formatter",
        Kind::Word(&["text", "json", "logstash"]),
        "text",
        "form of the log: `text` is coloured on a terminal and `key=value` elsewhere",
    ),
    row(
        "log.fields",
        Kind::Fields,
        "",
        "names and values added to every line",
    ),
    row(
        "log.accesslog.disabled",
        Kind::Bool,
        "false",
        "write no line per request",
    ),
    row(
        "log.accesslog.format",
        Kind::Word(&["log", "combined"]),
        "log",
        "form of the line per request: `log` as every other line, `combined` Apache's combined format",
    )
    .ours(),
    row(
        "log.reportcaller",
        Kind::Bool,
        "false",
        "name the source line of each log line",
    )
    .warn(
        When::On,
        "Landfall's log lines say what happened, not where in its source",
    ),
    row(
        "log.hooks",
        Kind::Any,
        "",
        "mail on log lines: `type`, `disabled`, `levels`, `options`",
    )
    .warn(
        When::Active,
        "Landfall sends no mail: let the log collector alert on the log",
    ),
];
