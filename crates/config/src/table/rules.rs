//! `retention`, `quotas`, `immutable_tags`: rules about repositories and tags.

use super::{Row, row};
use crate::kind::Kind;

pub(super) const ROWS: &[Row] = &[
    row("retention.schedule", Kind::Schedule, "0 4 * * *", "when the rules are applied: five fields of cron, in UTC").ours(),
    row("retention.rules[].name", Kind::Text, "", "what the rule is called: in reports, and in the history of what it removed").ours(),
    row(
        "retention.rules[].match",
        Kind::Text,
        "",
        "repositories that the rule is about: a glob, where `*` stays within a part of a name and `**` goes across",
    )
    .ours(),
    row("retention.rules[].tags", Kind::Texts, "", "tags that it is about: globs; left out, all of them").ours(),
    row("retention.rules[].keep_last", Kind::Integer(1), "", "so many tags stay, those that were set last").ours(),
    row("retention.rules[].keep_newer", Kind::Duration(1), "", "tags that were set within this time stay").ours(),
    row(
        "retention.rules[].keep_matching",
        Kind::Texts,
        "",
        "tags that match one of these stay: a glob, `regex:…` over the whole tag, or `semver:…`, a range of versions",
    )
    .ours(),
    row("retention.rules[].keep_pulled", Kind::Duration(1), "", "tags that were pulled or set within this time stay").ours(),
    row(
        "retention.rules[].untagged",
        Kind::Untagged,
        "",
        "manifests that no tag, index or subject holds: `keep`, or `{older: 7d}`: they go after so long, at least `gc.lease`",
    )
    .ours(),
    row(
        "quotas[].match",
        Kind::Text,
        "",
        "whose: a glob, for each repository that matches; or the first part of names with a `/` at its end, for all of these together",
    )
    .ours(),
    row("quotas[].bytes", Kind::Size, "", "most bytes, each blob of a repository counted once, what is in the trash too").ours(),
    row("quotas[].tags", Kind::Integer(0), "", "most tags").ours(),
    row("immutable_tags[].match", Kind::Text, "", "repositories that the rule is about: a glob").ours(),
    row(
        "immutable_tags[].tags",
        Kind::Texts,
        "",
        "tags that are neither moved nor deleted once they are set: globs; left out, all of them",
    )
    .ours(),
    row("immutable_tags[].except", Kind::Texts, "", "but not these: globs").ours(),
];
