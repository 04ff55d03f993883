//! A client pushes a manifest and pulls exactly those bytes back, under the type that it gave them, whatever it pushed.
//!
//! Source: distribution-spec "Pushing manifests" and "Pulling manifests", end-3 and end-7; image-spec media types.

use serde_json::json;

use crate::harness::{Image, Landfall, Manifest, descriptor, digest_of, index, noise, sha512_of, types};

const REPO: &str = "team/app";

#[test]
fn pushed_by_tag_pulled_by_digest_byte_for_byte() {
    let landfall = Landfall::start();
    let image = Image::new("exact");
    landfall.push_blobs(REPO, &image);
    let odd = format!(
        "\n{}\n\n",
        serde_json::to_string_pretty(&image.document)
            .unwrap()
            .replace("\"config\"", "\"x\":1.50e0, \"config\"")
    );
    let manifest = Manifest::new(types::OCI_MANIFEST, odd);
    let put = landfall.put_manifest(REPO, "latest", &manifest).expect(201);
    let digest = manifest.digest();
    assert_eq!(
        put.with_header("Docker-Content-Digest", &digest).location(),
        format!("/v2/{REPO}/manifests/{digest}")
    );
    for reference in ["latest", &digest] {
        for answer in [
            landfall.get_manifest(REPO, reference),
            landfall.head_manifest(REPO, reference),
        ] {
            let answer = answer
                .expect(200)
                .with_header("Content-Type", types::OCI_MANIFEST);
            let answer = answer
                .with_header("Docker-Content-Digest", &digest)
                .with_header("ETag", &format!("\"{digest}\""));
            answer.with_header("Content-Length", &manifest.bytes.len().to_string());
        }
        assert_eq!(landfall.get_manifest(REPO, reference).body, manifest.bytes);
    }
}

#[test]
fn the_same_manifest_twice_is_fine() {
    let landfall = Landfall::start();
    let image = Image::new("twice");
    landfall.push(REPO, "latest", &image);
    landfall.push(REPO, "latest", &image);
    landfall.push(REPO, &image.manifest().digest(), &image);
    landfall.push(REPO, "other", &image);
    assert_eq!(landfall.tags(REPO), ["latest", "other"]);
}

#[test]
fn accept_is_ignored_and_what_is_stored_is_served() {
    let landfall = Landfall::start();
    let oci = Image::new("oci");
    landfall.push(REPO, "oci", &oci);
    let docker = Image::docker("docker");
    landfall.push(REPO, "docker", &docker);
    let oci_index = index(&[oci.manifest().for_platform("linux", "amd64")]);
    landfall.put_manifest(REPO, "index", &oci_index).expect(201);
    let accepts = [
        None,
        Some("*/*"),
        Some("text/html"),
        Some(types::DOCKER_MANIFEST),
        Some(types::OCI_MANIFEST),
        Some("application/json"),
    ];
    for (tag, manifest) in [
        ("oci", oci.manifest()),
        ("docker", docker.manifest()),
        ("index", oci_index),
    ] {
        for accept in accepts {
            for method in ["GET", "HEAD"] {
                let request = landfall.request(method, &format!("/v2/{REPO}/manifests/{tag}"));
                let request = if let Some(accept) = accept {
                    request.header("Accept", accept)
                } else {
                    request
                };
                let answer = request
                    .send()
                    .expect(200)
                    .with_header("Content-Type", &manifest.media_type);
                answer.with_header("Docker-Content-Digest", &manifest.digest());
            }
        }
    }
}

#[test]
fn old_docker_gets_the_linux_amd64_child_of_a_list() {
    let landfall = Landfall::start();
    let (amd, arm) = (Image::docker("amd64"), Image::docker("arm64"));
    let (amd_manifest, arm_manifest) = (
        landfall.push_untagged(REPO, &amd),
        landfall.push_untagged(REPO, &arm),
    );
    let children = [
        arm_manifest.for_platform("linux", "arm64"),
        amd_manifest.for_platform("linux", "amd64"),
    ];
    let list = json!({"schemaVersion": 2, "mediaType": types::DOCKER_LIST, "manifests": children});
    let list = Manifest::of(types::DOCKER_LIST, &list);
    landfall.put_manifest(REPO, "multi", &list).expect(201);
    let ask = |reference: &str, accept: &str| {
        landfall
            .get(&format!("/v2/{REPO}/manifests/{reference}"))
            .header("Accept", accept)
            .send()
            .expect(200)
    };
    let old = ask("multi", types::DOCKER_MANIFEST).with_header("Content-Type", types::DOCKER_MANIFEST);
    assert_eq!(
        old.with_header("Docker-Content-Digest", &amd_manifest.digest())
            .body,
        amd_manifest.bytes
    );
    let head = landfall
        .head(&format!("/v2/{REPO}/manifests/multi"))
        .header("Accept", types::DOCKER_MANIFEST)
        .send();
    head.expect(200)
        .with_header("Docker-Content-Digest", &amd_manifest.digest());
    let both = format!("{}, {}", types::DOCKER_MANIFEST, types::DOCKER_LIST);
    for accept in [
        &both,
        "*/*",
        types::OCI_MANIFEST,
        &format!("{},*/*", types::DOCKER_MANIFEST),
        "application/json",
    ] {
        ask("multi", accept).with_header("Docker-Content-Digest", &list.digest());
    }
    let by_digest = ask(&list.digest(), types::DOCKER_MANIFEST);
    assert_eq!(
        by_digest.with_header("Content-Type", types::DOCKER_LIST).body,
        list.bytes
    );
    landfall
        .get_manifest(REPO, "multi")
        .expect(200)
        .with_header("Docker-Content-Digest", &list.digest());
}

#[test]
fn type_comes_from_header_or_body_or_shape() {
    let landfall = Landfall::start();
    let image = Image::new("typed");
    landfall.push_blobs(REPO, &image);
    let put = |tag: &str, kind: Option<&str>, bytes: &[u8]| {
        let request = landfall.put(&format!("/v2/{REPO}/manifests/{tag}")).body(bytes);
        if let Some(kind) = kind {
            request.header("Content-Type", kind)
        } else {
            request
        }
        .send()
    };
    let typed = image.manifest().bytes;
    let untyped = image.clone().without("mediaType").manifest().bytes;
    put(
        "parameters",
        Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        &typed,
    )
    .expect(201);
    put("from-body", None, &typed).expect(201);
    put("from-header", Some(types::OCI_MANIFEST), &untyped).expect(201);
    put("from-shape", None, &untyped).expect(201);
    for tag in ["parameters", "from-body", "from-header", "from-shape"] {
        landfall
            .get_manifest(REPO, tag)
            .expect(200)
            .with_header("Content-Type", types::OCI_MANIFEST);
    }
    let index = json!({"schemaVersion": 2, "manifests": [image.manifest().descriptor()]}).to_string();
    put("index-from-shape", None, index.as_bytes()).expect(201);
    landfall
        .get_manifest(REPO, "index-from-shape")
        .expect(200)
        .with_header("Content-Type", types::OCI_INDEX);
    put("differ", Some(types::DOCKER_MANIFEST), &typed).expect_error(400, "MANIFEST_INVALID");
    put("neither", None, br#"{"schemaVersion":2}"#).expect_error(400, "MANIFEST_INVALID");
    for kind in [
        "application/json",
        "text/plain",
        "application/vnd.example.unknown+json",
        "nonsense",
    ] {
        let answer = put("foreign", Some(kind), &untyped);
        assert_eq!(answer.status, 400, "Content-Type: {kind:?}\n{answer}");
    }
}

#[test]
fn artifacts_of_every_kind_are_welcome() {
    let landfall = Landfall::start();
    let kinds = [
        (
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        ),
        ("application/vnd.wasm.config.v0+json", "application/wasm"),
        (
            "application/vnd.dev.cosign.simplesigning.v1+json",
            "application/vnd.dev.cosign.artifact.sig.v1+json",
        ),
        (
            "application/vnd.buildkit.cacheconfig.v0",
            "application/vnd.in-toto+json",
        ),
        ("application/vnd.cyclonedx+json", "text/spdx"),
    ];
    for (config, layer) in kinds {
        let mut image = Image::new(config).config(config, format!("{{\"kind\":\"{config}\"}}").into_bytes());
        image.document["layers"][0]["mediaType"] = layer.into();
        landfall.push(REPO, "artifact", &image);
        landfall.expect_image(REPO, "artifact", &image);
    }
}

#[test]
fn fields_nobody_knows_and_embedded_data_are_kept() {
    let landfall = Landfall::start();
    let image = Image::new("custom").set("org.example.custom", json!({"deep": [1, 2, {"x": null}]}));
    let mut image = image
        .config(types::OCI_EMPTY, b"{}".to_vec())
        .set("annotations", json!({"a": "b", "ü": "ß"}));
    image.document["config"]["data"] = "e30=".into();
    image.document["layers"][0]["platform"] = json!({"os": "plan9"});
    landfall.push(REPO, "custom", &image);
    landfall.expect_image(REPO, "custom", &image);
}

#[test]
fn images_without_layers_and_indexes_without_manifests_are_valid() {
    let landfall = Landfall::start();
    landfall.push(REPO, "bare", &Image::bare("bare"));
    landfall.push(
        REPO,
        "null",
        &Image::bare("null").set("layers", serde_json::Value::Null),
    );
    landfall.put_manifest(REPO, "empty", &index(&[])).expect(201);
    let null = json!({"schemaVersion": 2, "mediaType": types::OCI_INDEX, "manifests": null});
    landfall
        .put_manifest(REPO, "null-index", &Manifest::of(types::OCI_INDEX, &null))
        .expect(201);
}

#[test]
fn indexes_of_indexes_and_attestations_are_images_too() {
    let landfall = Landfall::start();
    let (image, attestation) = (Image::new("image"), Image::new("attestation"));
    let manifest = landfall.push_untagged(REPO, &image);
    let mut proof = landfall
        .push_untagged(REPO, &attestation)
        .for_platform("unknown", "unknown");
    proof["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": manifest.digest()});
    let inner = index(&[manifest.for_platform("linux", "amd64"), proof]);
    landfall.put_manifest(REPO, "built", &inner).expect(201);
    let outer = index(&[inner.descriptor()]);
    landfall.put_manifest(REPO, "outer", &outer).expect(201);
    assert_eq!(landfall.get_manifest(REPO, "outer").body, outer.bytes);
}

#[test]
fn a_build_cache_whose_index_names_blobs_is_accepted() {
    let landfall = Landfall::start();
    let (layer, config) = (noise("cache layer", 20_000), b"{\"cache\":true}".to_vec());
    landfall.push_blob(REPO, &layer);
    landfall.push_blob(REPO, &config);
    let cache = index(&[
        descriptor(types::OCI_LAYER, &layer),
        descriptor("application/vnd.buildkit.cacheconfig.v0", &config),
    ]);
    landfall.put_manifest(REPO, "buildcache", &cache).expect(201);
    assert_eq!(landfall.get_manifest(REPO, "buildcache").body, cache.bytes);
    landfall
        .delete_blob(REPO, &digest_of(&layer))
        .expect_error(405, "UNSUPPORTED");
}

#[test]
fn layers_that_live_elsewhere_need_not_be_pushed() {
    let landfall = Landfall::start();
    let foreign = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    for kind in foreign {
        let mut image = Image::new(kind);
        landfall.push_blobs(REPO, &image);
        let mut layer = descriptor(kind, kind.as_bytes());
        image.document["layers"]
            .as_array_mut()
            .unwrap()
            .push(layer.clone());
        landfall
            .put_manifest(REPO, "foreign", &image.manifest())
            .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        layer["urls"] = json!(["https://example.com/layer.tar.gz"]);
        image.document["layers"][1] = layer;
        landfall
            .put_manifest(REPO, "foreign", &image.manifest())
            .expect(201);
    }
}

#[test]
fn a_manifest_is_named_by_sha512_when_pushed_so() {
    let landfall = Landfall::start();
    let image = Image::new("sha512");
    landfall.push_blobs(REPO, &image);
    let manifest = image.manifest();
    let digest = sha512_of(&manifest.bytes);
    let put = landfall
        .put_manifest(REPO, &digest, &manifest)
        .expect(201)
        .with_header("Docker-Content-Digest", &digest);
    assert_eq!(put.location(), format!("/v2/{REPO}/manifests/{digest}"));
    for answer in [
        landfall.get_manifest(REPO, &digest),
        landfall.head_manifest(REPO, &digest),
    ] {
        answer.expect(200).with_header("Docker-Content-Digest", &digest);
    }
    assert_eq!(landfall.get_manifest(REPO, &digest).body, manifest.bytes);
}

#[test]
fn a_manifest_may_name_its_blobs_by_sha512() {
    let landfall = Landfall::start();
    let layer = noise("sha512 layer", 30_000);
    let digest = sha512_of(&layer);
    landfall
        .put(&landfall.begin_upload(REPO))
        .query("digest", &digest)
        .body(layer.clone())
        .send()
        .expect(201);
    let mut image = Image::bare("sha512 layers");
    landfall.push_blobs(REPO, &image);
    image.document["layers"] =
        json!([{"mediaType": types::OCI_LAYER, "digest": digest, "size": layer.len()}]);
    landfall
        .put_manifest(REPO, "latest", &image.manifest())
        .expect(201);
    assert!(landfall.get_blob(REPO, &digest).expect(200).body == layer);
}

#[test]
fn a_watcher_asks_cheaply_whether_a_tag_moved() {
    let landfall = Landfall::start();
    let manifest = landfall.push(REPO, "latest", &Image::new("one"));
    let target = format!("/v2/{REPO}/manifests/latest");
    let digest = manifest.digest();
    for etag in [format!("\"{digest}\""), digest.clone()] {
        for method in ["GET", "HEAD"] {
            let answer = landfall
                .request(method, &target)
                .header("If-None-Match", &etag)
                .send()
                .expect(304);
            assert!(answer.body.is_empty());
        }
    }
    landfall.push(REPO, "latest", &Image::new("two"));
    let answer = landfall
        .get(&target)
        .header("If-None-Match", &format!("\"{digest}\""))
        .send()
        .expect(200);
    assert_eq!(answer.body, Image::new("two").manifest().bytes);
}
