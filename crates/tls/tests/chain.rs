//! Whether what lies behind a server's certificate in a file is what signed it.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tls::Pair;

fn authority(name: &str) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.self_signed(&key).unwrap().pem(), key)
}

fn signed_by((pem, key): &(String, KeyPair)) -> (String, String) {
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["*.example.com".to_owned()]).unwrap();
    let issuer = Issuer::from_ca_cert_pem(pem, key).unwrap();
    (
        params.signed_by(&own, &issuer).unwrap().pem(),
        own.serialize_pem(),
    )
}

fn pair(chain: &str, key: &str) -> Pair {
    Pair::parse(chain.as_bytes(), key.as_bytes(), Path::new("c"), Path::new("k")).unwrap()
}

#[test]
fn a_wrong_intermediate_is_told_from_the_right_one() {
    // Both have one name, as an old and a renewed authority do: only the signature tells.
    let (right, wrong) = (authority("Intermediate"), authority("Intermediate"));
    let (leaf, key) = signed_by(&right);
    assert_eq!(
        pair(&format!("{leaf}{}", right.0), &key).is_signed_within(),
        Some(true)
    );
    assert_eq!(
        pair(&format!("{leaf}{}", wrong.0), &key).is_signed_within(),
        Some(false)
    );
    assert_eq!(
        pair(&format!("{leaf}{}{}", wrong.0, right.0), &key).is_signed_within(),
        Some(true)
    );
}

#[test]
fn a_certificate_that_stands_alone_is_known() {
    let issuer = authority("Intermediate");
    let (leaf, key) = signed_by(&issuer);
    assert!(pair(&leaf, &key).is_alone());
    assert_eq!(pair(&leaf, &key).is_signed_within(), None);
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["nas.lan".to_owned()]).unwrap();
    let selfmade = params.self_signed(&own).unwrap().pem();
    assert!(!pair(&selfmade, &own.serialize_pem()).is_alone());
}
