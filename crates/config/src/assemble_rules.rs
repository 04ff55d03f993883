//! `retention`, `quotas`, `immutable_tags`: what is written becomes rules, or errors at the place where they are wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{
    BadRule, ImmutableRule, ImmutableSpec, QuotaRule, QuotaSpec, RetentionRule, RetentionSpec, Schedule,
    Untagged,
};

use crate::finding::{Code, Finding, Report};
use crate::node::Node;
use crate::origin::Origin;
use crate::reader::Reader;
use crate::settings::Retention;
use crate::value::{Size, UntaggedWord};

pub(crate) fn retention(read: Reader<'_>, report: &mut Report) -> Retention {
    let lease: Duration = read.read("gc.lease");
    let mut rules = Rules::new(report);
    for item in read.items("retention.rules[].") {
        let spec = RetentionSpec {
            name: item.optional("retention.rules[].name").unwrap_or_default(),
            repositories: item.optional("retention.rules[].match").unwrap_or_default(),
            tags: rules.texts(item, "retention.rules[].tags", "tags"),
            keep_last: item
                .written("retention.rules[].keep_last")
                .map(|last: i64| u32::try_from(last).unwrap_or(u32::MAX)),
            keep_newer_seconds: seconds(item.written("retention.rules[].keep_newer")),
            keep_matching: rules.texts(item, "retention.rules[].keep_matching", "keep_matching"),
            keep_pulled_seconds: seconds(item.written("retention.rules[].keep_pulled")),
            untagged: item
                .written::<UntaggedWord>("retention.rules[].untagged")
                .map(|word| match word {
                    UntaggedWord::Keep => Untagged::Keep,
                    UntaggedWord::Older(older) => Untagged::OlderSeconds(older.as_secs()),
                }),
        };
        let name = spec.name.clone();
        rules.add(
            item.node(),
            "retention",
            name,
            RetentionRule::new(spec, lease.as_secs()),
        );
    }
    let rules = rules.made;
    let schedule: String = read.read("retention.schedule");
    Retention {
        schedule: Schedule::new(&schedule).ok(),
        rules,
    }
}

pub(crate) fn quotas(read: Reader<'_>, report: &mut Report) -> Vec<QuotaRule> {
    let mut rules = Rules::new(report);
    for item in read.items("quotas[].") {
        let spec = QuotaSpec {
            repositories: item.optional("quotas[].match").unwrap_or_default(),
            bytes: item.written::<Size>("quotas[].bytes").map(|size| size.0),
            tags: item
                .written("quotas[].tags")
                .map(|tags: i64| u64::try_from(tags).unwrap_or(0)),
        };
        let name = spec.repositories.clone();
        rules.add(item.node(), "quotas", name, QuotaRule::new(spec));
    }
    rules.made
}

pub(crate) fn immutable_tags(read: Reader<'_>, report: &mut Report) -> Vec<ImmutableRule> {
    let mut rules = Rules::new(report);
    for item in read.items("immutable_tags[].") {
        let spec = ImmutableSpec {
            repositories: item.optional("immutable_tags[].match").unwrap_or_default(),
            tags: rules.texts(item, "immutable_tags[].tags", "tags"),
            except: rules.texts(item, "immutable_tags[].except", "except"),
        };
        let name = spec.repositories.clone();
        rules.add(item.node(), "immutable_tags", name, ImmutableRule::new(spec));
    }
    rules.made
}

fn seconds(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| duration.as_secs())
}

/// Rules of one section that were made, and where each name was first written.
struct Rules<'a, T> {
    report: &'a mut Report,
    made: Vec<T>,
    names: BTreeMap<String, Origin>,
}

impl<'a, T> Rules<'a, T> {
    fn new(report: &'a mut Report) -> Self {
        Self {
            report,
            made: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// The items of a list, empty ones too: they are no patterns, and must not vanish.
    fn texts(&mut self, item: Reader<'_>, path: &'static str, key: &str) -> Vec<String> {
        let Some(entry) = item.entry(path) else {
            return Vec::new();
        };
        if entry.node.items().is_empty() && entry.node.text().is_none() {
            self.report.push(
                Finding::error(Code::BadValue, &entry.key_origin, format!("`{key}` is empty"))
                    .label("leave it out, or name a pattern"),
            );
        }
        let text = |node: &Node| node.text().unwrap_or_default().to_owned();
        entry.node.items().iter().map(text).collect()
    }

    fn add(&mut self, node: &Node, section: &str, name: String, made: Result<T, BadRule>) {
        match made {
            Err(bad) => self.report.push(finding(node, section, &bad)),
            Ok(rule) => {
                let key = if section == "retention" { "name" } else { "match" };
                let origin = node.get(key).map_or(&node.origin, |node| &node.origin);
                if let Some(first) = self.names.get(&name) {
                    self.report.push(
                        Finding::error(
                            Code::DuplicateKey,
                            origin,
                            format!("two rules of `{section}` are called `{name}`"),
                        )
                        .label(format!("the other one is at {first}")),
                    );
                    return;
                }
                self.names.insert(name, origin.clone());
                self.made.push(rule);
            }
        }
    }
}

/// The place of the field, of the item in it, or of the rule where the field is not written.
fn finding(node: &Node, section: &str, bad: &BadRule) -> Finding {
    let field = node.get(bad.field);
    let item = bad.item.and_then(|at| field?.items().get(at));
    let (code, origin) = match item.or(field) {
        Some(place) => (Code::BadValue, &place.origin),
        None => (Code::Incomplete, &node.origin),
    };
    let title = format!(
        "a rule of `{section}` cannot be used, because of its `{}`",
        bad.field
    );
    Finding::error(code, origin, title)
        .label(&*bad.problem)
        .advise(format!("see `landfall config explain {section}`"))
}
