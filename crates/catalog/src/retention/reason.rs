//! The reason that is written down with what a run of retention removes: the run, and the rules.

/// What stands before the names of the rules.
const BEFORE_RULES: &str = ", rule ";

/// The reason of a removal.
#[must_use]
pub fn retention_reason(run: i64, rules: &[String]) -> String {
    format!("retention run {run}{BEFORE_RULES}{}", rules.join(", "))
}

/// The rules that it names; none if it is the reason of something else.
#[must_use]
pub fn rules_of_reason(reason: &str) -> Option<&str> {
    let run = reason.strip_prefix("retention run ")?;
    Some(run.split_once(BEFORE_RULES)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_back_out_of_the_reason() {
        let reason = retention_reason(7, &["short".to_owned(), "pr-images".to_owned()]);
        assert_eq!(reason, "retention run 7, rule short, pr-images");
        assert_eq!(rules_of_reason(&reason), Some("short, pr-images"));
        assert_eq!(rules_of_reason("adopted from another registry"), None);
    }
}
