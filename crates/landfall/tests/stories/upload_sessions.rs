//! An upload session can be asked about, cancelled and finished by the client that holds its Location, however that client
//! writes the query; and by nobody under another repository's name.
//!
//! Source: distribution-spec "Pushing a blob in chunks", end-5, end-6, end-13 and "Canceling an upload".

use std::fs;

use crate::harness::{Landfall, digest_of, noise, wait_until};

const REPO: &str = "team/app";

#[test]
fn status_tells_where_to_go_on() {
    let landfall = Landfall::start();
    let fresh = landfall.begin_upload(REPO);
    landfall
        .get(&fresh)
        .send()
        .expect(204)
        .with_header("Range", "0-0")
        .expect_header("Docker-Upload-UUID");
    let one = landfall.begin_upload_with(REPO, b"x");
    landfall.get(&one).send().expect(204).with_header("Range", "0-0");
    let bytes = noise("status", 1234);
    for method in ["GET", "HEAD"] {
        let location = landfall.begin_upload_with(REPO, &bytes[..1000]);
        let status = landfall
            .request(method, &location)
            .send()
            .expect(204)
            .with_header("Range", "0-999");
        status.expect_header("Docker-Upload-UUID");
        let patched = landfall
            .patch(&status.location())
            .body(&bytes[1000..])
            .send()
            .expect(202);
        let put = landfall
            .put(&patched.location())
            .query("digest", &digest_of(&bytes))
            .send();
        put.expect(201);
    }
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn cancelled_session_is_gone_with_its_bytes() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload_with(REPO, &noise("cancel", 300_000));
    landfall.delete(&location).send().expect(204);
    landfall
        .get(&location)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .patch(&location)
        .body("x")
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .put(&location)
        .query("digest", &digest_of("x"))
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .delete(&location)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    wait_until("no temporary file is left", || landfall.upload_files().is_empty());
}

#[test]
fn finished_session_is_unknown() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload_with(REPO, b"done");
    landfall
        .put(&location)
        .query("digest", &digest_of("done"))
        .send()
        .expect(201);
    landfall
        .get(&location)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .patch(&location)
        .body("x")
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .delete(&location)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall.expect_blob(REPO, b"done");
}

#[test]
fn unknown_sessions_are_404_and_malformed_ones_no_worse() {
    let landfall = Landfall::start();
    let never = "/v2/team/app/blobs/uploads/5f0c3b60-6f6a-4b39-9f0f-0c8a1f3f9d11";
    landfall
        .get(never)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .patch(never)
        .body("x")
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let put = landfall
        .put(never)
        .query("digest", &digest_of("x"))
        .body("x")
        .send();
    put.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    for id in [
        "not-a-uuid",
        "..%2f..%2fetc",
        "%00",
        "5F0C3B60-6F6A-4B39-9F0F-0C8A1F3F9D11",
    ] {
        let answer = landfall.get(&format!("/v2/team/app/blobs/uploads/{id}")).send();
        assert!(matches!(answer.status, 400 | 404), "{id}:\n{answer}");
    }
}

#[test]
fn session_of_one_repository_is_unknown_in_another() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload_with(REPO, b"mine");
    let elsewhere = location.replace("/v2/team/app/", "/v2/team/other/");
    assert_ne!(location, elsewhere);
    landfall
        .get(&elsewhere)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    // The signed state names another repository, too: without it the answer is the same.
    let bare = elsewhere.split('?').next().unwrap().to_owned();
    for target in [elsewhere, bare] {
        let patch = landfall.patch(&target).body("theirs").send();
        assert!(matches!(patch.status, 400 | 404), "{patch}");
        let put = landfall.put(&target).query("digest", &digest_of("mine")).send();
        assert!(matches!(put.status, 400 | 404), "{put}");
        let delete = landfall.delete(&target).send();
        assert!(matches!(delete.status, 400 | 404), "{delete}");
    }
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-3");
    landfall
        .put(&location)
        .query("digest", &digest_of("mine"))
        .send()
        .expect(201);
}

#[test]
fn stray_reordered_and_added_query_parameters_do_no_harm() {
    let landfall = Landfall::start();
    let bytes = noise("query", 50);
    let digest = digest_of(&bytes);
    let location = landfall.begin_upload_with(REPO, &bytes);
    landfall
        .get(&location)
        .query("digest", &digest)
        .send()
        .expect(204)
        .with_header("Range", "0-49");
    let (path, query) = location.split_once('?').unwrap_or((&location, ""));
    let mut parameters = vec![
        format!("digest={}", digest.replace(':', "%3A")),
        "ns=docker.io".to_owned(),
    ];
    parameters.extend(
        query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(str::to_owned),
    );
    let reordered = format!("{path}?{}", parameters.join("&"));
    landfall.get(&reordered).send().expect(204);
    landfall.put(&reordered).send().expect(201);
    landfall.expect_blob(REPO, &bytes);
    let cancelled = landfall.begin_upload(REPO);
    landfall
        .delete(&cancelled)
        .query("digest", &digest)
        .send()
        .expect(204);
}

#[test]
fn location_without_its_state_is_accepted() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let bare = location.split('?').next().unwrap();
    landfall
        .patch(bare)
        .body("abc")
        .send()
        .expect(202)
        .with_header("Range", "0-2");
    landfall
        .patch(bare)
        .body("def")
        .send()
        .expect(202)
        .with_header("Range", "0-5");
    landfall
        .put(bare)
        .query("digest", &digest_of("abcdef"))
        .send()
        .expect(201);
}

#[test]
fn tampered_state_is_refused_and_the_session_lives() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload_with(REPO, b"abc");
    let (path, query) = location.split_once('?').expect("the Location carries a _state");
    assert!(query.contains("_state="), "{location}");
    for state in ["nonsense", "AAAA", "%00", "e30="] {
        let answer = landfall.patch(&format!("{path}?_state={state}")).body("x").send();
        answer.expect_error(400, "BLOB_UPLOAD_INVALID");
    }
    landfall
        .get(&location)
        .send()
        .expect(204)
        .with_header("Range", "0-2");
}

#[test]
fn replayed_patch_is_out_of_order_not_appended_twice() {
    let landfall = Landfall::start();
    let first = landfall.begin_upload(REPO);
    landfall.patch(&first).body("0123456789").send().expect(202);
    let replay = landfall
        .patch(&first)
        .body("0123456789")
        .send()
        .expect_error(416, "RANGE_INVALID");
    let replay = replay.with_header("Range", "0-9");
    replay.expect_header("Docker-Upload-UUID");
    landfall
        .get(&replay.location())
        .send()
        .expect(204)
        .with_header("Range", "0-9");
    let put = landfall
        .put(&first)
        .query("digest", &digest_of("0123456789"))
        .send();
    put.expect(416).with_header("Range", "0-9");
    landfall
        .put(&replay.location())
        .query("digest", &digest_of("0123456789"))
        .send()
        .expect(201);
}

#[test]
fn each_patch_answers_a_location_to_go_on_with() {
    let landfall = Landfall::start();
    let mut location = landfall.begin_upload(REPO);
    for last in [9, 19, 29] {
        let patch = landfall.patch(&location).body("0123456789").send().expect(202);
        let patch = patch.with_header("Range", &format!("0-{last}"));
        patch.expect_header("Docker-Upload-UUID");
        location = patch.location();
    }
    let digest = digest_of("0123456789".repeat(3));
    landfall
        .put(&location)
        .query("digest", &digest)
        .send()
        .expect(201);
}

#[test]
fn abandoned_sessions_go_after_the_purge_age_and_active_ones_stay() {
    let config = "storage:\n  maintenance:\n    uploadpurging:\n      enabled: true\n      age: 6s\n      interval: 1s\n";
    let landfall = Landfall::builder().config(config).start();
    let abandoned = landfall.begin_upload_with(REPO, &noise("abandoned", 100_000));
    let mut active = landfall.begin_upload_with(REPO, b"-");
    assert_eq!(landfall.upload_files().len(), 2);
    let mut sent = 1;
    wait_until("only the active session has its file", || {
        active = landfall.patch(&active).body("-").send().expect(202).location();
        sent += 1;
        landfall.upload_files().len() == 1
    });
    landfall
        .get(&abandoned)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    landfall
        .get(&active)
        .send()
        .expect(204)
        .with_header("Range", &format!("0-{}", sent - 1));
    let put = landfall
        .put(&active)
        .query("digest", &digest_of("-".repeat(sent)))
        .send();
    put.expect(201);
}

#[test]
fn purging_survives_a_restart() {
    let config = "storage:\n  maintenance:\n    uploadpurging: {age: 1s, interval: 1s}\n";
    let landfall = Landfall::builder().start();
    let abandoned = landfall.begin_upload_with(REPO, &noise("abandoned before", 100_000));
    let landfall = landfall.stop().config(config).start();
    wait_until("the old session is purged", || {
        landfall.get(&abandoned).send().status == 404
    });
    wait_until("its file, too", || landfall.upload_files().is_empty());
    assert!(fs::exists(landfall.how().data_dir()).unwrap());
}
