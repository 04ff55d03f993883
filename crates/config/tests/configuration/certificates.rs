//! Where certificates come from, and what is said when half of it is missing.

use crate::harness::{file, nothing};
use config::{Challenge, Dns, KeyAlgorithm};

/// As documented, every key written.
const UPDATES: &str = "tls:\n  names: [registry.example.com]\n  acme:\n    dns:\n      rfc2136:\n        server: ns1.example.com:53\n        \
zone: example.com\n        key_name: landfall\n        key_algorithm: hmac-sha512\n        key_secret: c2VjcmV0\n";

#[test]
fn names_are_proven_by_updates_of_their_zone() {
    let tls = file(UPDATES).load_clean().tls.unwrap();
    // Who says how records are set wants them to be used.
    assert_eq!(tls.acme.challenges, [Challenge::Dns01]);
    let Some(Dns::Rfc2136(update)) = tls.acme.dns else {
        panic!("{:?}", tls.acme.dns);
    };
    assert_eq!(
        (
            update.server.to_string(),
            update.zone.as_str(),
            update.key_name.as_str()
        ),
        ("ns1.example.com:53".to_owned(), "example.com", "landfall")
    );
    assert_eq!(update.key_algorithm, KeyAlgorithm::HmacSha512);
    assert_eq!(update.key_secret.expose(), "c2VjcmV0");
}

#[test]
fn the_key_of_a_name_server_comes_from_a_file_and_is_shown_nowhere() {
    let without = UPDATES.replace("        key_secret: c2VjcmV0\n", "");
    let settings = file(&without)
        .with_file("/run/secrets/tsig", "aHVudGVyMg==\n")
        .env(
            "LANDFALL_TLS__ACME__DNS__RFC2136__KEY_SECRET_FILE",
            "/run/secrets/tsig",
        )
        .load_clean();
    assert!(!format!("{settings:?}").contains("aHVudGVy"), "{settings:?}");
    let Some(Dns::Rfc2136(update)) = settings.tls.unwrap().acme.dns else {
        panic!("no name server");
    };
    assert_eq!(update.key_secret.expose(), "aHVudGVyMg==");
}

#[test]
fn an_update_without_its_key_is_refused() {
    let without = UPDATES.replace("        key_name: landfall\n", "");
    let said = file(&without).problems();
    assert!(
        said.contains("`tls.acme.dns.rfc2136.key_name` is missing"),
        "{said}"
    );
    assert!(
        said.contains("an update needs `server`, `zone`, `key_name` and `key_secret`"),
        "{said}"
    );
    let nobody = nothing()
        .flag("NAME", "registry.example.com")
        .env("LANDFALL_TLS__ACME__CHALLENGES", "[dns-01]");
    let said = nobody.problems();
    assert!(said.contains("`tls.acme.dns` is missing"), "{said}");
    let both = file(UPDATES).env("LANDFALL_TLS__ACME__DNS__EXEC", "/hook");
    let said = both.problems();
    assert!(said.contains("`tls.acme.dns.provider` is missing"), "{said}");
    let chosen = both.env("LANDFALL_TLS__ACME__DNS__PROVIDER", "exec").load_clean();
    assert_eq!(chosen.tls.unwrap().acme.dns, Some(Dns::Exec("/hook".into())));
}

#[test]
fn of_files_and_letsencrypt_one_can_be_chosen() {
    let text = "http:\n  tls:\n    certificate: /c.pem\n    key: /k.pem\n    letsencrypt:\n      hosts: [r.example.com]\n";
    let chosen = file(text).env("LANDFALL_TLS__MODE", "files").load_clean();
    assert!(matches!(
        chosen.tls.unwrap().source,
        config::TlsSource::Files { .. }
    ));
}
