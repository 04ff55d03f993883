//! What operators write about repositories and tags: patterns, retention, quotas, immutable tags. Pure: nothing is read
//! or written here.
//!
//! Shape: a `…Spec` is what somebody wrote, in a file or by the API; `…Rule::new` makes of it a rule that means something,
//! or says what is wrong and in which field. Whoever holds a rule need not check it again.
//! Units: durations of a spec are seconds, all else milliseconds; sizes bytes. Fails: [`BadRule`].

mod glob;
mod immutable;
mod judge;
mod quota;
mod retention;
mod schedule;
mod selector;

pub use glob::{RepositoryGlob, TagGlob};
pub use immutable::{ImmutableRule, ImmutableSpec};
pub use judge::{Judge, Reason, TagFacts, Verdict};
pub use quota::{QuotaRule, QuotaScope, QuotaSpec};
pub use retention::{RetentionRule, RetentionSpec, Untagged};
pub use schedule::Schedule;
pub use selector::TagSelector;

/// What is wrong with a rule, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct BadRule {
    /// The key of the field, as in the file.
    pub field: &'static str,
    /// Which item of it, counted from 0, where it is a list.
    pub item: Option<usize>,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl BadRule {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            item: None,
            problem: problem.into(),
        }
    }

    fn item(field: &'static str, item: usize, problem: impl Into<String>) -> Self {
        Self {
            item: Some(item),
            ..Self::new(field, problem)
        }
    }
}

/// Names of rules are words that can stand in a command and in a path.
fn check_name(name: &str) -> Result<(), BadRule> {
    const NAME_BYTES_MAX: usize = 64;
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() {
        return Err(BadRule::new("name", "a rule needs a name"));
    }
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_word) || name.starts_with(['-', '.']) {
        let problem = format!(
            "{name:?} cannot be a name: up to {NAME_BYTES_MAX} lower-case letters, digits, `-`, `_` and `.`, a letter or \
             digit first"
        );
        return Err(BadRule::new("name", problem));
    }
    Ok(())
}
