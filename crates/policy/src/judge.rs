//! What becomes of each tag of one repository, by all rules that are about it.
//!
//! Tags come newest first, so that "the last N" is a count, and memory does not grow with the number of tags; the counts
//! can be taken out and put back, to go on with a later page. What any rule holds stays. Units: Unix milliseconds.

use std::fmt;

use crate::RetentionRule;

/// What is known of a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was last set.
    pub set_at: i64,
    /// When it, or its manifest by digest, was last pulled.
    pub pulled_at: Option<i64>,
    /// The rule that makes it immutable.
    pub immutable_by: Option<&'a str>,
    /// The live manifest that it signs or describes by its name (`sha256-….sig`).
    pub describes: Option<&'a str>,
}

/// What becomes of a tag or of an untagged manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No rule is about it.
    NoRule,
    /// It stays.
    Stays(Reason),
    /// It goes, by these rules.
    Goes(Vec<String>),
}

/// Why something stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is among the newest.
    Last {
        /// By which rule.
        rule: String,
        /// Its place, from 1.
        place: u32,
        /// How many stay.
        of: u32,
    },
    /// It was set a short time ago.
    Newer {
        /// By which rule.
        rule: String,
    },
    /// It was pulled, or set, a short time ago.
    Pulled {
        /// By which rule.
        rule: String,
        /// Whether it was pulled; else it is too new to tell.
        pulled: bool,
    },
    /// Its name matches.
    Matching {
        /// By which rule.
        rule: String,
        /// What.
        pattern: String,
    },
    /// It is immutable.
    Immutable {
        /// By which rule.
        rule: String,
    },
    /// It signs or describes an image that is here.
    Describes {
        /// The image.
        digest: String,
    },
    /// It has not been untagged for long enough.
    Young {
        /// By which rule.
        rule: String,
    },
    /// Untagged manifests stay.
    Untagged {
        /// By which rule.
        rule: String,
    },
}

/// Judges the tags of one repository, newest first.
#[derive(Clone, Debug)]
pub struct Judge<'a> {
    rules: Vec<&'a RetentionRule>,
    /// Tags that each rule was about so far, without those that describe an image.
    counts: Vec<u32>,
    now: i64,
    /// Since when pulls of this repository are recorded.
    recorded_since: i64,
}

impl<'a> Judge<'a> {
    /// The rules that are about `repository`; none if no rule is.
    pub fn of(
        rules: impl IntoIterator<Item = &'a RetentionRule>,
        repository: &str,
        now: i64,
        recorded_since: i64,
    ) -> Option<Self> {
        let rules: Vec<_> = rules
            .into_iter()
            .filter(|rule| rule.is_about(repository))
            .collect();
        (!rules.is_empty()).then(|| Self {
            counts: vec![0; rules.len()],
            rules,
            now,
            recorded_since,
        })
    }

    /// Whether any rule is about tags here.
    #[must_use]
    pub fn is_about_tags(&self) -> bool {
        self.rules.iter().any(|rule| rule.is_about_tags())
    }

    /// Whether any rule says what becomes of untagged manifests here.
    #[must_use]
    pub fn is_about_untagged(&self) -> bool {
        self.rules.iter().any(|rule| rule.untagged_ms.is_some())
    }

    /// How long untagged manifests stay, by the rule that keeps them longest; none if they stay for good.
    #[must_use]
    pub fn untagged_ms(&self) -> Option<i64> {
        let longest = self.rules.iter().filter_map(|rule| rule.untagged_ms).max();
        longest.filter(|&ms| ms < i64::MAX)
    }

    /// How far the counts are, to go on with later.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Goes on from counts that were taken out before. False where they are not those of these rules.
    pub fn resume(&mut self, counts: &[u32]) -> bool {
        let fits = counts.len() == self.counts.len();
        if fits {
            self.counts.copy_from_slice(counts);
        }
        fits
    }

    /// The next tag, not newer than the one before.
    pub fn tag(&mut self, tag: &TagFacts<'_>) -> Verdict {
        let (mut about, mut held) = (Vec::new(), None);
        for (rule, count) in self.rules.iter().zip(&mut self.counts) {
            if !rule.has_tag(tag.name) {
                continue;
            }
            // What signs an image is no image: it takes no place, and stays as long as that one is here.
            *count = count.saturating_add(u32::from(tag.describes.is_none()));
            about.push(rule.name().to_owned());
            held = held.or_else(|| holds(rule, tag, *count, self.now, self.recorded_since));
        }
        if about.is_empty() {
            return Verdict::NoRule;
        }
        let immutable = tag.immutable_by.map(|rule| Reason::Immutable {
            rule: rule.to_owned(),
        });
        let describes = tag.describes.map(|digest| Reason::Describes {
            digest: digest.to_owned(),
        });
        match immutable.or(describes).or(held) {
            Some(reason) => Verdict::Stays(reason),
            None => Verdict::Goes(about),
        }
    }

    /// A manifest that nothing has held since `loose_at`.
    #[must_use]
    pub fn untagged(&self, loose_at: i64) -> Verdict {
        let mut about = Vec::new();
        for rule in &self.rules {
            let Some(keep_ms) = rule.untagged_ms else { continue };
            if keep_ms == i64::MAX {
                return Verdict::Stays(Reason::Untagged {
                    rule: rule.name().to_owned(),
                });
            }
            if self.now.saturating_sub(loose_at) < keep_ms {
                return Verdict::Stays(Reason::Young {
                    rule: rule.name().to_owned(),
                });
            }
            about.push(rule.name().to_owned());
        }
        if about.is_empty() {
            Verdict::NoRule
        } else {
            Verdict::Goes(about)
        }
    }
}

fn holds(
    rule: &RetentionRule,
    tag: &TagFacts<'_>,
    place: u32,
    now: i64,
    recorded_since: i64,
) -> Option<Reason> {
    let within = |at: i64, ms: i64| now.saturating_sub(at) < ms;
    let name = || rule.name().to_owned();
    if let Some(of) = rule.keep_last.filter(|&last| place <= last) {
        return Some(Reason::Last {
            rule: name(),
            place,
            of,
        });
    }
    if rule.keep_newer_ms.is_some_and(|ms| within(tag.set_at, ms)) {
        return Some(Reason::Newer { rule: name() });
    }
    if let Some(pattern) = rule
        .keep_matching
        .iter()
        .find(|pattern| pattern.matches(tag.name))
    {
        return Some(Reason::Matching {
            rule: name(),
            pattern: pattern.to_string(),
        });
    }
    let ms = rule.keep_pulled_ms?;
    let pulled = tag.pulled_at.is_some_and(|at| within(at, ms));
    // Who has only just come has had no time to be pulled; and of the time before pulls were recorded nobody knows.
    (pulled || within(tag.set_at, ms) || within(recorded_since, ms))
        .then(|| Reason::Pulled { rule: name(), pulled })
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last { rule, place, of } => write!(f, "{rule}: number {place} of the last {of}"),
            Self::Newer { rule } => write!(f, "{rule}: set within keep_newer"),
            Self::Pulled { rule, pulled: true } => write!(f, "{rule}: pulled within keep_pulled"),
            Self::Pulled { rule, pulled: false } => write!(f, "{rule}: here for less than keep_pulled"),
            Self::Matching { rule, pattern } => write!(f, "{rule}: matches {pattern}"),
            Self::Immutable { rule } => write!(f, "immutable, by {rule}"),
            Self::Describes { digest } => write!(f, "signs or describes {digest}, which is here"),
            Self::Young { rule } => write!(f, "{rule}: untagged for less than older"),
            Self::Untagged { rule } => write!(f, "{rule}: untagged manifests stay"),
        }
    }
}

#[cfg(test)]
mod tests;
