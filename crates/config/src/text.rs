//! Lines of the configuration file as messages may show them: without secrets.

use crate::table;

/// The file's text, kept for excerpts.
#[derive(Debug)]
pub(crate) struct SourceText(String);

/// Longer lines are cut, so that a message stays readable.
const LINE_CHARS_MAX: usize = 160;

impl SourceText {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Line `number` (from 1). What follows a key that holds a secret is masked, whatever the line is shown for.
    pub(crate) fn excerpt(&self, number: usize) -> Option<String> {
        let line = self.0.lines().nth(number.checked_sub(1)?)?;
        Some(
            mask(line)
                .chars()
                .filter(|c| *c == '\t' || !c.is_control())
                .take(LINE_CHARS_MAX)
                .collect(),
        )
    }
}

/// What follows the first key that holds a secret, or that may be one mistyped, is not shown.
fn mask(line: &str) -> String {
    let key_before = |at: usize| {
        let mut words = line[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_');
        words.find(|word| !word.is_empty()).unwrap_or_default()
    };
    let mut colons = line.match_indices(':').map(|(at, _)| at);
    match colons.find(|at| table::may_be_secret(key_before(*at))) {
        Some(at) if !line[at + 1..].trim().is_empty() => format!("{}: ***", &line[..at]),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_is_shown_without_it() {
        let text = SourceText::new(
            "http: {secret: s3cr3t, addr: \":5000\"}\n  password: \"hunter2\n  secret:\naddr: :5000",
        );
        assert_eq!(text.excerpt(1).as_deref(), Some("http: {secret: ***"));
        assert_eq!(text.excerpt(2).as_deref(), Some("  password: ***"));
        assert_eq!(text.excerpt(3).as_deref(), Some("  secret:"));
        assert_eq!(text.excerpt(4).as_deref(), Some("addr: :5000"));
        assert_eq!(
            SourceText::new("  secrte: hunter2").excerpt(1).as_deref(),
            Some("  secrte: ***")
        );
        assert_eq!(text.excerpt(5), None);
        assert_eq!(text.excerpt(0), None);
    }
}
