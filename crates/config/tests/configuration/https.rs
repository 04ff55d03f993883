//! `http.tls` and `tls`, in the words of the CNCF registry and in ours: what comes out, and what cannot be meant.

use config::{Challenge, ClientAuth, Tls, TlsSource};
use insta::assert_snapshot;

use crate::harness::{file, nothing};

const FILES: &str = "certificate: /c.pem, key: /k.pem";

/// HTTPS out of this section of `http`, and nothing to complain of.
fn tls(section: &str) -> Tls {
    let settings = file(&format!("http: {{tls: {{{section}}}}}")).load_clean();
    match settings.tls {
        Some(tls) => tls,
        None => panic!("this is plain HTTP: {section}"),
    }
}

#[test]
fn letsencrypt_as_the_older_registry_has_it_asks_for_the_hosts_that_it_names() {
    let tls = tls(
        "letsencrypt: {email: ops@example.com, hosts: [a.example.com, b.example.com], directoryurl: 'https://ca.example/dir'}",
    );
    assert_eq!(tls.source, TlsSource::Acme);
    assert_eq!(tls.names, ["a.example.com", "b.example.com"]);
    assert_eq!(tls.acme.email.as_deref(), Some("ops@example.com"));
    assert_eq!(tls.acme.directory, "https://ca.example/dir");
    assert_eq!(tls.acme.challenges, [Challenge::Http01, Challenge::TlsAlpn01]);
    assert_eq!(tls.plain_addr.unwrap().to_string(), "[::]:80");
    // Our own words win over those of the other registry.
    let both = "http: {tls: {letsencrypt: {email: a@b, hosts: [a.example.com]}}}\ntls: {names: [c.example.com], acme: {email: c@d}}";
    let tls = file(both).load_clean().tls.unwrap();
    assert_eq!(
        (tls.names, tls.acme.email),
        (vec!["c.example.com".into()], Some("c@d".into()))
    );
    // Its folder is not read; the account and the certificates lie in ours.
    let cached = file("http: {tls: {letsencrypt: {hosts: [a.example.com], cachefile: /cache}}}");
    assert!(
        cached.warnings().contains("in landfall/tls"),
        "{}",
        cached.warnings()
    );
}

#[test]
fn letsencrypt_without_a_name_is_refused_and_never_becomes_plain_http() {
    assert_snapshot!(file("http: {tls: {letsencrypt: {email: a@b, cachefile: /cache}}}").problems(), @r#"
    error[LF-CFG-019]: `http.tls.letsencrypt.hosts` is missing
     ┌─ /config.yml:1:14
    1│ http: {tls: {letsencrypt: {email: a@b, cachefile: /cache}}}
     │              ^^^^^^^^^^^ a certificate needs a name
     = such as `hosts: [registry.example.com]`, or `landfall serve registry.example.com`
     = no HTTPS here, on purpose: `tls.mode: off`
    "#);
    assert_eq!(
        nothing()
            .env("REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE", "/cache")
            .codes(),
        ["LF-CFG-019"]
    );
    // Empty values are nobody's wish, a name may come from elsewhere, and off is off.
    assert!(
        file("http: {tls: {letsencrypt: {email: '', hosts: []}}}")
            .load_clean()
            .tls
            .is_none()
    );
    let named = file("http: {tls: {letsencrypt: {email: a@b}}}").flag("NAME", "a.example.com");
    assert_eq!(named.load_clean().tls.unwrap().acme.email.as_deref(), Some("a@b"));
    let off = file("http: {tls: {letsencrypt: {email: a@b}}}\ntls: {mode: off}");
    assert!(off.load_clean().tls.is_none());
}

#[test]
fn letsencrypt_beside_certificate_files_is_refused_because_only_one_can_be_meant() {
    let text = format!(
        "http:\n  tls:\n    {}\n    letsencrypt: {{hosts: [a.example.com]}}\n",
        FILES.replace(", ", "\n    ")
    );
    assert_snapshot!(file(&text).problems(), @r#"
    error[LF-CFG-023]: two sources of certificates: `http.tls.letsencrypt` and `http.tls.certificate`
     ┌─ /config.yml:5:5
    5│     letsencrypt: {hosts: [a.example.com]}
     │     ^^^^^^^^^^^ keep one of them
     = certificates that come and renew by themselves: remove `http.tls.certificate` and `http.tls.key`
     = the files that you have: remove `http.tls.letsencrypt`
    "#);
}

#[test]
fn the_oldest_version_that_is_spoken_is_1_2_whatever_is_written() {
    let minimum = |word: &str| file(&format!("http: {{tls: {{{FILES}, minimumtls: {word}}}}}"));
    for old in ["tls1.0", "tls1.1"] {
        let loaded = minimum(old).load();
        assert!(!loaded.settings.tls.unwrap().only_13);
        assert_eq!(
            loaded.warnings[0].title(),
            format!("{old} is not spoken: TLS 1.2 is the oldest")
        );
    }
    assert!(!minimum("tls1.2").load_clean().tls.unwrap().only_13);
    assert!(minimum("TLS1.3").load_clean().tls.unwrap().only_13);
    assert_eq!(minimum("tls1.4").codes(), ["LF-CFG-014"]);
}

#[test]
fn what_is_asked_of_clients_is_what_the_word_says() {
    let clients = |more: &str| tls(&format!("{FILES}{more}")).clients;
    assert_eq!(clients(""), None);
    let cas = ", clientcas: [/a.pem, /b.pem]";
    let paths = vec!["/a.pem".into(), "/b.pem".into()];
    for (word, wanted) in [
        ("", ClientAuth::RequireAndVerify),
        (
            ", clientauth: require-and-verify-client-cert",
            ClientAuth::RequireAndVerify,
        ),
        (
            ", clientauth: verify-client-cert-if-given",
            ClientAuth::VerifyIfGiven,
        ),
        (", clientauth: require-any-client-cert", ClientAuth::RequireAny),
        (", clientauth: Request-Client-Cert", ClientAuth::Request),
    ] {
        assert_eq!(
            clients(&format!("{cas}{word}")),
            Some((paths.clone(), wanted)),
            "{word}"
        );
    }
    // Asking without checking needs no authority; checking without one asks nobody.
    for (word, wanted) in [
        ("request-client-cert", Some(ClientAuth::Request)),
        ("require-any-client-cert", Some(ClientAuth::RequireAny)),
        ("verify-client-cert-if-given", None),
    ] {
        let asked = clients(&format!(", clientauth: {word}"));
        assert_eq!(asked, wanted.map(|wanted| (Vec::new(), wanted)), "{word}");
    }
    assert_eq!(
        file(&format!("http: {{tls: {{{FILES}, clientauth: nobody}}}}")).codes(),
        ["LF-CFG-014"]
    );
}

#[test]
fn metrics_have_a_path_on_the_debug_address() {
    let metrics = |more: &str| {
        file(&format!(
            "http: {{debug: {{addr: '127.0.0.1:5001', prometheus: {{{more}}}}}}}"
        ))
    };
    assert_eq!(metrics("").load_clean().http.metrics_path, None);
    assert_eq!(
        metrics("enabled: true").load_clean().http.metrics_path.as_deref(),
        Some("/metrics")
    );
    let path = metrics("enabled: true, path: /m").load_clean().http.metrics_path;
    assert_eq!(path.as_deref(), Some("/m"));
    assert_eq!(metrics("enabled: true, path: m").codes(), ["LF-CFG-014"]);
    assert_eq!(
        metrics("enabled: true, path: /debug/health").codes(),
        ["LF-CFG-014"]
    );
    let nowhere = file("http: {debug: {prometheus: {enabled: true}}}");
    assert!(nowhere.warnings().contains("`http.debug.addr`, which is not set"));
}
