//! The page of all settings is the table that the program reads, and nothing else.

#[test]
fn the_page_of_settings_is_up_to_date() {
    let page = include_str!("../../../docs/configuration.md");
    assert!(
        page == config::settings_reference(),
        "docs/configuration.md is not what the table says; write it anew: cargo run -- config reference > docs/configuration.md"
    );
}
