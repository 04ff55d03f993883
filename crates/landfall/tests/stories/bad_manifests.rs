//! A manifest that would break an image is refused with a reason that can be acted on, and leaves nothing behind.
//!
//! Source: distribution-spec "Pushing manifests", code-5 to code-7; image-spec; CVE-2021-41190 for documents that are two things.

use serde_json::{Value, json};

use crate::harness::{Image, Landfall, Manifest, Response, descriptor, digest_of, index, noise, types};

const REPO: &str = "team/app";

/// Pushes text as an OCI manifest; whatever comes back, nothing may be tagged.
fn push_text(landfall: &Landfall, text: impl Into<Vec<u8>>) -> Response {
    let answer = landfall.put_manifest(REPO, "bad", &Manifest::new(types::OCI_MANIFEST, text));
    landfall.head_manifest(REPO, "bad").expect(404);
    answer
}

#[test]
fn what_is_no_manifest_is_refused() {
    let landfall = Landfall::start();
    let good = Image::new("good");
    landfall.push_blobs(REPO, &good);
    let texts = [
        "",
        " ",
        "not json",
        "[]",
        "null",
        "2",
        "\"text\"",
        "{}",
        "{\"schemaVersion\":2",
        "{\"schemaVersion\":2,}",
        "{\"schemaVersion\":2} trailing",
        "\u{feff}{\"schemaVersion\":2}",
    ];
    for text in texts {
        push_text(&landfall, text).expect_error(400, "MANIFEST_INVALID");
    }
    push_text(&landfall, b"{\"schemaVersion\":2,\"x\":\"\xff\xfe\"}".as_slice())
        .expect_error(400, "MANIFEST_INVALID");
    for version in [json!(1), json!(3), json!("2"), json!(2.5), Value::Null, json!(-2)] {
        push_text(
            &landfall,
            good.clone().set("schemaVersion", version).manifest().bytes,
        )
        .expect_error(400, "MANIFEST_INVALID");
    }
    push_text(&landfall, good.without("schemaVersion").manifest().bytes)
        .expect_error(400, "MANIFEST_INVALID");
}

#[test]
fn wrong_shapes_are_refused() {
    let landfall = Landfall::start();
    let good = Image::new("shape");
    landfall.push_blobs(REPO, &good);
    for (field, value) in [
        ("config", json!([])),
        ("config", json!("x")),
        ("config", Value::Null),
        ("layers", json!({})),
        ("layers", json!("x")),
        ("layers", json!([1])),
        ("layers", json!([{}])),
        ("subject", json!("x")),
        ("subject", json!({"mediaType": "a/b", "size": 1})),
        ("annotations", json!([])),
        ("annotations", json!({"a": 1})),
        ("mediaType", json!(7)),
    ] {
        let answer = push_text(&landfall, good.clone().set(field, value.clone()).manifest().bytes);
        assert_eq!(
            (answer.status, &*answer.codes()[0]),
            (400, "MANIFEST_INVALID"),
            "{field}: {value}\n{answer}"
        );
    }
    push_text(&landfall, good.without("config").manifest().bytes).expect_error(400, "MANIFEST_INVALID");
}

#[test]
fn bad_descriptors_are_refused() {
    let landfall = Landfall::start();
    let good = Image::new("descriptor");
    landfall.push_blobs(REPO, &good);
    let digests = [
        "sha256:XYZ",
        "sha256:",
        "",
        "nonsense",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        &format!("sha256:{}", "A".repeat(64)),
    ];
    for digest in digests {
        let mut image = good.clone();
        image.document["layers"][0]["digest"] = digest.into();
        let answer = push_text(&landfall, image.manifest().bytes).expect(400);
        assert!(
            ["MANIFEST_INVALID", "DIGEST_INVALID"].contains(&&*answer.codes()[0]),
            "{digest}:\n{answer}"
        );
    }
    for size in [json!(-1), json!("700"), json!(1.5), Value::Null, json!(1e30)] {
        let mut image = good.clone();
        image.document["layers"][0]["size"] = size;
        push_text(&landfall, image.manifest().bytes).expect_error(400, "MANIFEST_INVALID");
    }
}

#[test]
fn a_document_that_is_both_image_and_index_is_refused() {
    let landfall = Landfall::start();
    let image = Image::new("both");
    let manifest = landfall.push_untagged(REPO, &image);
    let both = image.clone().set("manifests", json!([manifest.descriptor()]));
    push_text(&landfall, both.manifest().bytes).expect_error(400, "MANIFEST_INVALID");
    for (field, value) in [
        ("layers", image.document["layers"].clone()),
        ("config", image.document["config"].clone()),
    ] {
        let mut document: Value = serde_json::from_slice(&index(&[manifest.descriptor()]).bytes).unwrap();
        document[field] = value;
        let answer = landfall.put_manifest(REPO, "bad", &Manifest::of(types::OCI_INDEX, &document));
        answer.expect_error(400, "MANIFEST_INVALID");
    }
}

#[test]
fn repeated_keys_are_refused_because_readers_disagree_on_them() {
    let landfall = Landfall::start();
    let image = Image::new("repeated");
    landfall.push_blobs(REPO, &image);
    let text = image.manifest().bytes;
    let text = String::from_utf8(text).unwrap();
    for extra in [
        "\"schemaVersion\":2,",
        "\"layers\":[],",
        "\"unknown\":1,\"unknown\":2,",
        "\"l\\u0061yers\":[],",
    ] {
        push_text(&landfall, text.replacen('{', &format!("{{{extra}"), 1))
            .expect_error(400, "MANIFEST_INVALID");
    }
    let nested = text.replacen("\"size\"", "\"size\":1,\"size\"", 1);
    push_text(&landfall, nested).expect_error(400, "MANIFEST_INVALID");
}

#[test]
fn a_document_deeper_than_64_is_refused_and_one_of_64_is_not() {
    let landfall = Landfall::start();
    let image = Image::new("deep");
    landfall.push_blobs(REPO, &image);
    let nested = |depth: usize| {
        let text = String::from_utf8(image.manifest().bytes).unwrap();
        text.replacen(
            '{',
            &format!("{{\"x\":{}{},", "[".repeat(depth - 1), "]".repeat(depth - 1)),
            1,
        )
    };
    push_text(&landfall, nested(65)).expect_error(400, "MANIFEST_INVALID");
    push_text(&landfall, nested(100_000)).expect_error(400, "MANIFEST_INVALID");
    let deep = Manifest::new(types::OCI_MANIFEST, nested(64));
    landfall.put_manifest(REPO, "deep", &deep).expect(201);
}

#[test]
fn manifest_of_exactly_four_mib_is_stored_and_one_byte_more_is_413() {
    const LIMIT: usize = 4_194_304;
    let landfall = Landfall::start();
    let image = Image::new("large");
    landfall.push_blobs(REPO, &image);
    let sized = |size: usize| {
        let mut bytes = image.manifest().bytes;
        bytes.resize(size, b' ');
        Manifest::new(types::OCI_MANIFEST, bytes)
    };
    landfall.put_manifest(REPO, "limit", &sized(LIMIT)).expect(201);
    assert!(landfall.get_manifest(REPO, "limit").expect(200).body == sized(LIMIT).bytes);
    landfall
        .put_manifest(REPO, "over", &sized(LIMIT + 1))
        .expect_error(413, "MANIFEST_INVALID");
    let chunks = sized(LIMIT + 1)
        .bytes
        .chunks(100_000)
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>();
    let put = landfall
        .put(&format!("/v2/{REPO}/manifests/over"))
        .header("Content-Type", types::OCI_MANIFEST);
    put.chunked_body(chunks)
        .send()
        .expect_error(413, "MANIFEST_INVALID");
    landfall.head_manifest(REPO, "over").expect(404);
    landfall.get("/v2/").send().expect(200);
}

#[test]
fn the_manifest_limit_can_be_set() {
    let landfall = Landfall::builder()
        .env("LANDFALL_LIMITS__MANIFEST", "2KiB")
        .start();
    let image = Image::new("limited");
    landfall.push(REPO, "small", &image);
    let large = image.set("annotations", json!({"a": "x".repeat(2048)}));
    landfall
        .put_manifest(REPO, "large", &large.manifest())
        .expect_error(413, "MANIFEST_INVALID");
}

#[test]
fn ten_thousand_descriptors_pass_and_one_more_does_not() {
    let landfall = Landfall::start();
    let mut image = Image::bare("many");
    let layer = noise("many", 10);
    landfall.push_blobs(REPO, &image);
    landfall.push_blob(REPO, &layer);
    let layers = |count: usize| Value::from(vec![descriptor(types::OCI_LAYER, &layer); count]);
    image.document["layers"] = layers(9_999); // and the config
    landfall.put_manifest(REPO, "many", &image.manifest()).expect(201);
    image.document["layers"] = layers(10_000);
    push_text(&landfall, image.manifest().bytes).expect_error(400, "MANIFEST_INVALID");
}

#[test]
fn every_missing_blob_is_named() {
    let landfall = Landfall::start();
    let image = Image::new("missing").layer(noise("second", 40));
    let answer = push_text(&landfall, image.manifest().bytes).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let document = answer.json();
    let details: Vec<String> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| named_digest(&error["detail"]))
        .collect();
    assert_eq!(answer.codes(), vec!["MANIFEST_BLOB_UNKNOWN"; 3]);
    for blob in &image.blobs {
        assert!(details.contains(&digest_of(blob)), "{details:?}");
    }
    landfall.push_blob(REPO, &image.blobs[1]);
    let answer = push_text(&landfall, image.manifest().bytes).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(answer.codes().len(), 2);
}

/// `detail` is the digest, or an object that holds it.
fn named_digest(detail: &Value) -> String {
    detail
        .as_str()
        .or_else(|| detail["digest"].as_str())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_layer_of_another_repository_does_not_count() {
    let landfall = Landfall::start();
    let image = Image::new("elsewhere");
    landfall.push("base/os", "latest", &image);
    push_text(&landfall, image.manifest().bytes).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn an_index_whose_child_is_missing_is_refused() {
    let landfall = Landfall::start();
    let (here, gone) = (Image::new("here"), Image::new("gone").manifest());
    let here = landfall.push_untagged(REPO, &here);
    let sparse = index(&[
        here.for_platform("linux", "amd64"),
        gone.for_platform("linux", "arm64"),
    ]);
    let answer = landfall
        .put_manifest(REPO, "bad", &sparse)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(named_digest(&answer.json()["errors"][0]["detail"]), gone.digest());
    landfall.head_manifest(REPO, "bad").expect(404);
}

#[test]
fn a_digest_that_does_not_match_stores_nothing() {
    let landfall = Landfall::start();
    let image = Image::new("mismatch");
    landfall.push_blobs(REPO, &image);
    let other = digest_of("something else");
    landfall
        .put_manifest(REPO, &other, &image.manifest())
        .expect_error(400, "DIGEST_INVALID");
    landfall.head_manifest(REPO, &other).expect(404);
    landfall
        .head_manifest(REPO, &image.manifest().digest())
        .expect(404);
}

#[test]
fn withdrawn_formats_are_named_in_the_refusal() {
    let landfall = Landfall::start();
    let schema1 = json!({"schemaVersion": 1, "name": REPO, "tag": "t", "fsLayers": [], "history": [], "signatures": []});
    let types = [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.artifact.manifest.v1+json",
    ];
    for media_type in types {
        let answer = landfall.put_manifest(REPO, "old", &Manifest::of(media_type, &schema1));
        let answer = answer.expect_error(400, "MANIFEST_INVALID");
        assert!(answer.message().contains(media_type), "{answer}");
    }
}

#[test]
fn a_body_that_ends_early_stores_nothing() {
    let landfall = Landfall::start();
    let image = Image::new("truncated");
    landfall.push_blobs(REPO, &image);
    let bytes = image.manifest().bytes;
    let mut connection = landfall.connect();
    connection.send(format!(
        "PUT /v2/{REPO}/manifests/cut HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        types::OCI_MANIFEST,
        bytes.len() + 1
    ));
    connection.send(&bytes).finish_sending();
    if let Ok(answer) = connection.try_answer(false) {
        assert!(answer.status >= 400, "{answer}");
    }
    landfall.head_manifest(REPO, "cut").expect(404);
}
