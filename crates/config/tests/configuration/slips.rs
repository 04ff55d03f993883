//! What can be read and is hardly meant: it is refused, or there is a word about it.
//!
//! Source: docs/configuration.md.

use crate::harness::{file, nothing};

#[test]
fn an_admin_has_a_name_that_somebody_can_log_in_by() {
    for users in [
        "['']",
        "[admin, '']",
        "['  ']",
        "[null]",
        "['busy:bee']",
        "[\"a\\tb\"]",
    ] {
        let refused = file(&format!("admin:\n  users: {users}\n"));
        assert_eq!(refused.codes(), ["LF-CFG-014"], "{users}");
        let said = refused.problems();
        assert!(
            said.contains("/config.yml:2:") && said.contains("admin.users: []"),
            "{said}"
        );
    }
    assert_eq!(
        nothing().env("LANDFALL_ADMIN__USERS", "['']").codes(),
        ["LF-CFG-014"]
    );
    let twice = file("admin: {users: [admin, busy, admin]}");
    assert!(
        twice.warnings().contains("names admin twice"),
        "{}",
        twice.warnings()
    );
    let nobody = file("admin: {users: []}").load_clean();
    assert!(nobody.admin.users.is_empty());
    assert_eq!(
        file("admin: {users: [a, b]}").load_clean().admin.users,
        ["a", "b"]
    );
}

#[test]
fn a_folder_of_backups_is_the_same_from_everywhere() {
    for to in ["backups", "./backups", "../b"] {
        let refused = file(&format!("backup: {{to: {to}}}"));
        assert_eq!(refused.codes(), ["LF-CFG-014"], "{to}");
        assert!(
            refused.problems().contains("expected a path from `/` on"),
            "{}",
            refused.problems()
        );
    }
    file("backup: {to: /mnt/backups}").load_clean();
}

#[test]
fn a_socket_that_most_programs_cannot_name_is_told_of() {
    // With `/landfall/admin.sock` after it, the longest that fits has 107 bytes.
    let fits = format!("/{}", "d".repeat(107 - 1 - "/landfall/admin.sock".len()));
    nothing().flag("--data", &fits).load_clean();
    let long = nothing().flag("--data", &format!("{fits}d"));
    let said = long.warnings();
    assert!(
        said.contains("LF-CFG-104") && said.contains("108 bytes") && said.contains("flag --data"),
        "{said}"
    );
    assert!(said.contains("admin.socket"), "{said}");
    // A socket elsewhere is what counts.
    long.clone()
        .env("LANDFALL_ADMIN__SOCKET", "/run/landfall.sock")
        .load_clean();
    let said = nothing()
        .env("LANDFALL_ADMIN__SOCKET", &format!("/{}", "s".repeat(107)))
        .warnings();
    assert!(said.contains("env LANDFALL_ADMIN__SOCKET"), "{said}");
}

#[test]
fn no_undo_window_is_taken_and_said() {
    for window in ["0", "0s", "'0'"] {
        let said = file(&format!("trash: {{undo_window: {window}}}")).warnings();
        assert!(said.contains("LF-CFG-105") && said.contains("for good"), "{said}");
    }
    file("trash: {undo_window: 1h}").load_clean();
}
