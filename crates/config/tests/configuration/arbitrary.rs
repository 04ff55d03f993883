//! Whatever stands in the file or the environment: an answer, never a panic.

use crate::harness::{file, nothing};
use proptest::prelude::*;

/// Texts near the format: keys of the table, punctuation of YAML, odd values.
fn near_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("http"),
        Just("addr"),
        Just("storage"),
        Just("filesystem"),
        Just("health"),
        Just("file"),
        Just("auth"),
        Just("none"),
        Just("htpasswd"),
        Just("<<"),
        Just("&a "),
        Just("*a"),
        Just("!!str "),
        Just("!x "),
        Just(": "),
        Just("\n"),
        Just("\n  "),
        Just("\n    - "),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(", "),
        Just("\""),
        Just("'"),
        Just("|"),
        Just(">"),
        Just("#"),
        Just("? "),
        Just("---\n"),
        Just("...\n"),
        Just("%YAML 1.2\n"),
        Just(":5000"),
        Just("1s"),
        Just("é"),
        Just("\u{feff}"),
        Just("\t"),
        Just("\r\n"),
        Just("\0"),
        Just("secret"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_file_gets_an_answer(text in prop_oneof![near_yaml(), "\\PC{0,200}"]) {
        if let Err(problems) = file(&text).try_load() {
            prop_assert!(!problems.errors.is_empty());
            prop_assert!(problems.to_string().contains("error[LF-CFG-"));
        }
    }

    #[test]
    fn any_variable_gets_an_answer(
        names in proptest::collection::vec("(REGISTRY|LANDFALL)_(HTTP|STORAGE|HEALTH|LOG|AUTH|FILE|0|1|A|_|HEADERS|FIELDS|REDIS){1,8}", 1..5),
        value in prop_oneof![near_yaml(), "\\PC{0,40}"],
    ) {
        let mut configuration = nothing();
        for name in &names {
            configuration = configuration.env(name, &value);
        }
        let _ = configuration.try_load();
    }

    #[test]
    fn any_flag_gets_an_answer(value in "\\PC{0,40}") {
        let _ = nothing().flag("--listen", &value).flag("--trust-proxy", &value).flag("--data", &value).try_load();
    }
}
