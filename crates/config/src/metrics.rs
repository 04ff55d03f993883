//! `http.debug.prometheus`: where the metrics are, and what keeps them from being anywhere.
//!
//! Fails: `BadValue` for a path that is none, or taken. Without `http.debug.addr` there is nothing to serve them on: a warning,
//! as the CNCF registry looks at these keys only below that address.
//! Source: the `debug` section of the CNCF registry's configuration reference.

use crate::address::ListenAddr;
use crate::finding::{Code, Finding, Report};
use crate::reader::Reader;

/// Where the metrics are, if they are wanted and have an address.
pub(crate) fn path(read: Reader<'_>, report: &mut Report) -> Option<String> {
    let (enabled, path): (bool, String) = (
        read.read("http.debug.prometheus.enabled"),
        read.read("http.debug.prometheus.path"),
    );
    if !enabled {
        return None;
    }
    if !path.starts_with('/') || path == "/debug/health" {
        let title = format!("`http.debug.prometheus.path` cannot be `{path}`");
        report.push(
            Finding::error(Code::BadValue, &read.origin("http.debug.prometheus.path"), title)
                .label("expected a path of its own, such as `/metrics`"),
        );
    }
    if read.optional::<ListenAddr>("http.debug.addr").is_none() {
        let title = "`http.debug.prometheus.enabled` has no effect";
        report.push(
            Finding::warning(
                Code::NoEffect,
                &read.origin("http.debug.prometheus.enabled"),
                title,
            )
            .label("metrics are served at `http.debug.addr`, which is not set"),
        );
        return None;
    }
    Some(path)
}
