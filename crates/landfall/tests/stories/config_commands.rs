//! `config check` and `config explain` say beforehand what will hold, where it came from, and what is wrong; and never a secret.
//!
//! Exit codes: 0 fine, 2 wrong usage, 3 configuration invalid, 7 check found problems.

use crate::harness::Landfall;

const GOOD: &str = "\
version: 0.1
log: {fields: {service: registry}}
storage: {cache: {blobdescriptor: inmemory}, filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: '127.0.0.1:5000', headers: {X-Content-Type-Options: [nosniff]}}
";

#[test]
fn config_check_says_yes_or_shows_the_mistake() {
    let builder = Landfall::builder();
    let good = builder.file("good.yml", GOOD);
    let bad = builder.file("bad.yml", "version: 0.1\nhttp:\n  adr: x\n");
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    assert_eq!(builder.run(&["config", "check", good]).code, Some(0));
    let refused = builder.run(&["config", "check", bad]);
    assert!(matches!(refused.code, Some(3 | 7)), "{refused:?}");
    let told = refused.stdout.clone() + &refused.stderr;
    assert!(told.contains("bad.yml:3:3") && told.contains("`addr`"), "{told}");
    for (file, fine) in [(good, true), (bad, false)] {
        let output = builder.run(&["config", "check", file, "--json"]);
        assert_eq!(output.code == Some(0), fine, "{output:?}");
        let report: serde_json::Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert!(report.is_object(), "{report}");
    }
}

#[test]
fn config_explain_tells_value_default_and_origin() {
    let builder = Landfall::builder().env("REGISTRY_STORAGE_DELETE_ENABLED", "false");
    let path = builder.file("landfall.yml", "http: {prefix: /reg/}\n");
    let builder = builder.env("LANDFALL_CONFIG", path);
    let explain = |key: &str| {
        let output = builder.run(&["config", "explain", key]);
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout
    };
    let delete = explain("storage.delete.enabled");
    assert!(
        delete.contains("false") && delete.contains("REGISTRY_STORAGE_DELETE_ENABLED"),
        "{delete}"
    );
    let prefix = explain("http.prefix");
    assert!(
        prefix.contains("/reg/") && prefix.contains("landfall.yml"),
        "{prefix}"
    );
    let all = builder.run(&["config", "explain"]).stdout;
    for key in [
        "http.addr",
        "storage.filesystem.rootdirectory",
        "auth.htpasswd.path",
        "limits.manifest",
    ] {
        assert!(all.contains(key), "{key} in:\n{all}");
    }
    for args in [
        vec!["config", "explain", "--json"],
        vec!["config", "explain", "http.addr", "--json"],
    ] {
        let output = builder.run(&args);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&output.stdout);
        assert!(output.code == Some(0) && parsed.is_ok(), "{output:?}");
    }
    let unknown = builder.run(&["config", "explain", "http.adr"]);
    assert!(unknown.code != Some(0) && (unknown.stderr + &unknown.stdout).contains("http.addr"));
}

#[test]
fn secrets_are_never_shown() {
    let builder = Landfall::builder().env("REGISTRY_HTTP_SECRET", "hushhushhush");
    let path = builder.file("with-secret.yml", "http: {secret: alsohushhush}\n");
    for args in [
        vec!["config", "explain"],
        vec!["config", "explain", "http.secret"],
        vec!["config", "explain", "--json"],
        vec!["config", "check", path.to_str().unwrap()],
    ] {
        let output = builder.run(&args);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(!(output.stdout + &output.stderr).contains("hushhush"), "{args:?}");
    }
    let landfall = builder.start();
    assert!(!landfall.log().contains("hushhush"), "{}", landfall.log());
}

#[test]
fn wrong_usage_ends_with_two() {
    let builder = Landfall::builder();
    for args in [
        vec!["--nonsense"],
        vec!["nonsense"],
        vec!["serve", "--nonsense"],
        vec!["config"],
        vec!["config", "nonsense"],
    ] {
        let output = builder.run(&args);
        assert_eq!(output.code, Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
    let version = builder.run(&["--version"]);
    assert!(
        version.code == Some(0) && version.stdout.contains("landfall"),
        "{version:?}"
    );
    assert_eq!(builder.run(&["--help"]).code, Some(0));
}

#[test]
fn a_file_alone_means_serve() {
    let builder = Landfall::builder();
    let bad = builder.file("alone.yml", "htp: {}\n");
    let output = builder.run(&[bad.to_str().unwrap()]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!((output.stdout + &output.stderr).contains("alone.yml:1:1"));
}
