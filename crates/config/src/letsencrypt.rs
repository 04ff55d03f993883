//! `http.tls.letsencrypt`, as the CNCF registry has it: what of it cannot work here is said before it surprises anybody.
//!
//! That registry asks its authority for whatever name a client sends; Landfall asks for the names that it is told.
//! Fails: `Incomplete` without a name, `TwoCertificates` beside certificate files. Both stop the start: going on would be
//! plain HTTP on a port where clients expect HTTPS, or another certificate than somebody meant.
//! Source: the `tls` section of the CNCF registry's configuration reference.

use crate::finding::{Code, Finding, Report};
use crate::reader::Reader;

/// Looks at the section, where there is one and `tls.mode` does not say what is meant. `has_files`: a certificate or key file is named; `has_names`: some name is.
pub(crate) fn check(read: Reader<'_>, has_files: bool, has_names: bool, report: &mut Report) {
    let section = read.node().entry_at("http.tls.letsencrypt");
    let Some(section) = section.filter(|section| !section.node.is_blank()) else {
        return;
    };
    if has_files {
        let title = "two sources of certificates: `http.tls.letsencrypt` and `http.tls.certificate`";
        report.push(
            Finding::error(Code::TwoCertificates, &section.key_origin, title)
                .label("keep one of them")
                .advise("certificates that come and renew by themselves: remove `http.tls.certificate` and `http.tls.key`")
                .advise("the files that you have: remove `http.tls.letsencrypt`")
                .advise("or say which with `tls.mode`"),
        );
    } else if !has_names {
        let title = "`http.tls.letsencrypt.hosts` is missing";
        report.push(
            Finding::error(Code::Incomplete, &section.key_origin, title)
                .label("a certificate needs a name")
                .advise("such as `hosts: [registry.example.com]`, or `landfall serve registry.example.com`")
                .advise("no HTTPS here, on purpose: `tls.mode: off`"),
        );
    }
}
