//! The rules of a manifest, each as an example that keeps or breaks it.

use super::*;
use proptest::prelude::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn image(extra: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{D}","size":0}},"layers":[]{extra}}}"#
    )
}

fn index(extra: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{D}","size":7}}]{extra}}}"#)
}

fn parse(body: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    Manifest::parse(body.as_bytes(), content_type)
}

#[test]
fn the_type_comes_from_header_or_body_or_shape() {
    let with_type = image(r#","mediaType":"application/vnd.docker.distribution.manifest.v2+json""#);
    assert_eq!(
        parse(&with_type, None).unwrap().media_type,
        MediaType::DockerManifest
    );
    assert_eq!(
        parse(&image(""), None).unwrap().media_type,
        MediaType::OciManifest
    );
    assert_eq!(parse(&index(""), None).unwrap().media_type, MediaType::OciIndex);
    let header = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
    assert_eq!(
        parse(&image(""), Some(header)).unwrap().media_type,
        MediaType::OciManifest
    );
    assert!(matches!(
        parse(&with_type, Some(header)),
        Err(ManifestError::TypesDiffer { .. })
    ));
    assert!(matches!(
        parse(r#"{"schemaVersion":2}"#, None),
        Err(ManifestError::NoMediaType)
    ));
}

#[test]
fn withdrawn_types_are_refused_by_name() {
    for withdrawn in media_types::WITHDRAWN {
        let error = parse(r#"{"schemaVersion":1,"history":[]}"#, Some(withdrawn)).unwrap_err();
        assert!(error.to_string().contains(withdrawn), "{error}");
    }
}

#[test]
fn a_document_is_one_thing_only() {
    let both = image(r#","manifests":[]"#);
    assert!(matches!(
        parse(&both, Some(media_types::OCI_MANIFEST)),
        Err(ManifestError::Ambiguous { .. })
    ));
    for extra in [
        r#","layers":[]"#,
        &format!(r#","config":{{"digest":"{D}","size":1}}"#),
    ] {
        let both = index(extra);
        assert!(
            matches!(parse(&both, None), Err(ManifestError::Ambiguous { .. })),
            "{extra}"
        );
    }
}

#[test]
fn null_lists_are_empty_lists() {
    let body = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{D}","size":1,"urls":null}},"layers":null,"annotations":null,"manifests":null}}"#
    );
    assert!(
        parse(&body, Some(media_types::OCI_MANIFEST))
            .unwrap()
            .layers
            .is_empty()
    );
    assert!(
        parse(r#"{"schemaVersion":2,"manifests":[]}"#, None)
            .unwrap()
            .manifests
            .is_empty()
    );
}

#[test]
fn nonsense_is_refused() {
    let deep = format!("{}{}{}", r#"{"a":"#, "[".repeat(200), "]".repeat(200));
    let index_type = Some(media_types::OCI_INDEX);
    for bad in [
        "",
        "null",
        "[]",
        "1",
        "{",
        "{}x",
        r#"{"schemaVersion":1,"manifests":[]}"#,
        r#"{"manifests":[]}"#,
        &deep,
    ] {
        assert!(parse(bad, index_type).is_err(), "{bad}");
    }
    let negative = index("").replace(":7", ":-7");
    assert!(matches!(parse(&negative, None), Err(ManifestError::Size(_))));
    let digest = index("").replace(D, "sha256:no");
    assert!(matches!(parse(&digest, None), Err(ManifestError::Digest { .. })));
    assert!(matches!(
        parse(
            &image("").replace("config", "konfig"),
            Some(media_types::OCI_MANIFEST)
        ),
        Err(ManifestError::NoConfig)
    ));
}

#[test]
fn duplicate_keys_are_refused_wherever_they_are() {
    for bad in [index(r#","a":1,"a":2"#), index(r#","x":[{"k":1,"\u006b":2}]"#)] {
        let error = parse(&bad, None).unwrap_err();
        assert!(error.to_string().contains("duplicate key"), "{error}");
    }
}

#[test]
fn a_field_in_another_case_is_refused_and_an_annotation_is_not() {
    let error = parse(&image(r#","Layers":[]"#), None).unwrap_err();
    assert!(error.to_string().contains("in another case"), "{error}");
    assert!(parse(&image(r#","annotations":{"Layers":"x","layers":"y"}"#), None).is_ok());
}

#[test]
fn depth_is_bounded_and_64_is_enough() {
    let nested = |n: usize| index(&format!(r#","x":{}1{}"#, "[".repeat(n), "]".repeat(n)));
    assert!(parse(&nested(DEPTH_MAX - 1), None).is_ok());
    assert!(parse(&nested(DEPTH_MAX), None).is_err());
}

#[test]
fn ten_thousand_descriptors_and_no_more() {
    let child = format!(r#"{{"digest":"{D}","size":7}}"#);
    let list = |n: usize| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            vec![child.as_str(); n].join(",")
        )
    };
    assert!(parse(&list(DESCRIPTORS_MAX), None).is_ok());
    assert!(matches!(
        parse(&list(DESCRIPTORS_MAX + 1), None),
        Err(ManifestError::TooMany(_))
    ));
}

#[test]
fn the_listed_artifact_type_falls_back_to_the_config_type() {
    let plain = parse(&image(""), None).unwrap();
    assert_eq!(
        plain.listed_artifact_type(),
        Some("application/vnd.oci.image.config.v1+json")
    );
    let typed = parse(&image(r#","artifactType":"application/vnd.example+json""#), None).unwrap();
    assert_eq!(typed.listed_artifact_type(), Some("application/vnd.example+json"));
    assert_eq!(parse(&index(""), None).unwrap().listed_artifact_type(), None);
}

proptest! {
    #[test]
    fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200), header in proptest::option::of(".{0,40}")) {
        let _ = Manifest::parse(&body, header.as_deref());
    }

    #[test]
    fn mutilated_manifests_never_panic(cut in 0_usize..200, at in 0_usize..200, byte: u8) {
        let mut body = image(r#","annotations":{"a":"b"}"#).into_bytes();
        if let Some(place) = body.get_mut(at) { *place = byte; }
        body.truncate(body.len().saturating_sub(cut));
        let _ = Manifest::parse(&body, None);
    }
}

#[test]
fn a_type_with_parameters_in_the_document_is_refused_with_and_without_a_header() {
    let body = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}; charset=utf-8","manifests":[]}}"#,
        media_types::OCI_INDEX
    );
    assert!(matches!(
        Manifest::parse(body.as_bytes(), None),
        Err(ManifestError::MediaType(_))
    ));
    let with_header = Manifest::parse(body.as_bytes(), Some(media_types::OCI_INDEX));
    assert!(matches!(with_header, Err(ManifestError::TypesDiffer { .. })));
}

#[test]
fn an_error_does_not_repeat_the_document() {
    let long = "A".repeat(100_000);
    for body in [
        format!(r#"{{"layers":"{long}"}}"#),
        format!(r#"{{"{long}":1,"{long}":2}}"#),
    ] {
        let text = Manifest::parse(body.as_bytes(), None).unwrap_err().to_string();
        assert!(text.len() < 400 && text.contains("line 1 column"), "{text}");
    }
}
