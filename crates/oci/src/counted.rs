//! How many of something, in words: `1 manifest`, `2 manifests`, `0 repositories`. For every sentence that counts.

use std::fmt::Display;

/// `count` of what `noun` names; words may stand before the noun, such as `untagged manifest`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

/// The verb that fits: `is` for one, `are` for any other number.
pub fn either<'a, N: Copy + PartialEq + From<u8>>(count: N, one: &'a str, other: &'a str) -> &'a str {
    if count == N::from(1) { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(0_u64, "manifest"), "0 manifests");
        assert_eq!(counted(1_usize, "untagged manifest"), "1 untagged manifest");
        assert_eq!(counted(2_i64, "repository"), "2 repositories");
        assert_eq!(counted(1_u32, "repository"), "1 repository");
        assert_eq!(counted(3_u64, "day"), "3 days");
        assert_eq!(
            (either(1_u64, "is", "are"), either(0_u64, "is", "are")),
            ("is", "are")
        );
    }
}
