//! A setting that is wrong or not supported stops the start, with the place, the nearest right one and the way out.
//!
//! Source: the CNCF registry's configuration reference; exit code 3 says that the configuration is invalid.

use crate::harness::Landfall;

#[test]
fn a_typo_stops_the_start_and_shows_the_place_and_the_nearest_key() {
    let typo = Landfall::builder().config("version: 0.1\nstorage:\n  filesystem:\n    rootdirectry: /x\n");
    typo.start_refused().expect_invalid_configuration(&[
        "rootdirectry",
        "landfall.yaml:4:5",
        "rootdirectory",
    ]);
    let typo = Landfall::builder().config("htp: {addr: '127.0.0.1:0'}\n");
    typo.start_refused()
        .expect_invalid_configuration(&["htp", "landfall.yaml:1:1", "http"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config =
        "version: 0.1\nhttp:\n  adr: x\nlog:\n  level: loud\nstorage:\n  delete:\n    enabled: perhaps\n";
    Landfall::builder()
        .config(config)
        .start_refused()
        .expect_invalid_configuration(&["adr", "loud", "perhaps"]);
}

#[test]
fn what_is_not_supported_is_refused_with_what_to_do() {
    let cases = [
        ("storage: {s3: {bucket: b, region: r}}", vec!["s3"]),
        ("storage: {azure: {accountname: a}}", vec!["azure"]),
        ("storage: {gcs: {bucket: b}}", vec!["gcs"]),
        (
            "proxy: {remoteurl: 'https://registry-1.docker.io'}",
            vec!["proxy"],
        ),
        (
            "notifications: {endpoints: [{name: n, url: 'https://example.com'}]}",
            vec!["notifications"],
        ),
        ("auth: {silly: {realm: r, service: s}}", vec!["silly"]),
        (
            "auth: {token: {realm: 'https://a', service: s, issuer: i, rootcertbundle: /x}}",
            vec!["auth.token"],
        ),
        (
            "middleware: {storage: [{name: cloudfront, options: {}}]}",
            vec!["middleware"],
        ),
        ("version: 0.2", vec!["version", "0.1"]),
        (
            "storage: {filesystem: {rootdirectory: /x}, s3: {bucket: b}}",
            vec!["filesystem", "s3"],
        ),
        (
            "auth: {htpasswd: {realm: r, path: /x}, token: {realm: r}}",
            vec!["htpasswd", "token"],
        ),
        ("tags: {maxtags: -1}", vec!["maxtags"]),
        ("http: {addr: 'nonsense'}", vec!["http.addr"]),
        (
            "storage: {maintenance: {uploadpurging: {age: soon}}}",
            vec!["age", "soon"],
        ),
        ("- a list", vec!["landfall.yaml"]),
        ("storage: [", vec!["landfall.yaml"]),
    ];
    for (config, words) in cases {
        let builder = Landfall::builder().listen(None).without_data().config(config);
        builder.start_refused().expect_invalid_configuration(&words);
    }
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let cases = [
        (
            "REGISTRY_STORAGE_DELETE_ENABLED",
            "[oops",
            "REGISTRY_STORAGE_DELETE_ENABLED",
        ),
        (
            "REGISTRY_STORAGE_DELETE_ENABLED",
            "perhaps",
            "REGISTRY_STORAGE_DELETE_ENABLED",
        ),
        ("REGISTRY_STORAGE_S3_BUCKET", "b", "s3"),
        (
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL",
            "https://example.com",
            "notifications",
        ),
        ("LANDFALL_TRSH__UNDO_WINDOW", "14d", "LANDFALL_TRSH__UNDO_WINDOW"),
        ("LANDFALL_LIMITS__MANIFEST", "much", "LANDFALL_LIMITS__MANIFEST"),
    ];
    for (name, value, word) in cases {
        Landfall::builder()
            .env(name, value)
            .start_refused()
            .expect_invalid_configuration(&[word]);
    }
}

#[test]
fn an_open_address_without_authentication_is_refused_with_the_ways_out() {
    let refusal = Landfall::builder().listen(Some("0.0.0.0:0")).start_refused();
    refusal.expect_invalid_configuration(&["htpasswd", "auth: none", "127.0.0.1"]);
    let refusal = Landfall::builder()
        .listen(None)
        .config("http: {addr: ':0'}\n")
        .start_refused();
    refusal.expect_invalid_configuration(&["htpasswd", "auth: none"]);
}

#[test]
fn a_missing_configuration_file_is_named() {
    let builder = Landfall::builder();
    let refusal = builder.arg("./not-there.yml").start_refused();
    refusal.expect_invalid_configuration(&["not-there.yml"]);
}
