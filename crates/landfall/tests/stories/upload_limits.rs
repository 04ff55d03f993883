//! Uploads that are too many, and uploads that nobody continues: the limits that an operator sets for them.
//!
//! Source: `limits.upload_sessions` of our own settings; `storage.maintenance.uploadpurging` of the CNCF registry; RFC 6585
//! section 4 (429).

use crate::harness::passwords::bcrypt_line;
use crate::harness::server::Builder;
use crate::harness::{Landfall, noise, wait_until};

const REPO: &str = "team/app";

#[test]
fn a_user_with_too_many_uploads_is_told_to_wait_and_others_are_not() {
    let builder = Landfall::builder();
    let users = [bcrypt_line("busy", "bee"), bcrypt_line("idle", "drone")].join("\n");
    let path = builder.file("htpasswd", users);
    let landfall = builder
        .htpasswd(&path)
        .env("LANDFALL_LIMITS__UPLOAD_SESSIONS", "2")
        .start();
    let (busy, idle) = (landfall.as_user("busy", "bee"), landfall.as_user("idle", "drone"));
    let first = busy.begin_upload(REPO);
    busy.begin_upload_with("other/app", b"some bytes");
    let refused = busy
        .post(&format!("/v2/{REPO}/blobs/uploads/"))
        .send()
        .expect_error(429, "TOOMANYREQUESTS");
    let seconds: u32 = refused.expect_header("Retry-After").parse().unwrap();
    assert!(seconds > 0, "{refused}");
    assert!(refused.message().contains("limits.upload_sessions"), "{refused}");
    idle.push_blob(REPO, b"somebody else's");
    busy.delete(&first).send().expect(204);
    busy.push_blob(REPO, b"there is room again");
    landfall.stop();
}

fn purging(home: &Builder, dry_run: bool) -> Builder {
    home.clone().config(&format!(
        "storage: {{maintenance: {{uploadpurging: {{enabled: true, age: 1s, interval: 1s, dryrun: {dry_run}}}}}}}\n"
    ))
}

#[test]
fn a_dry_run_names_the_abandoned_uploads_and_removes_nothing() {
    let home = Landfall::builder();
    let landfall = purging(&home, true).start();
    landfall.begin_upload_with(REPO, &noise("abandoned", 300_000));
    // What a session in memory holds is written down when it ends or pauses.
    landfall.stop();
    let landfall = purging(&home, true).start();
    landfall
        .log()
        .expect_line(&["expired uploads", "dry run", "uploads=1"]);
    assert_eq!(landfall.upload_files().len(), 1);
    landfall.stop();
    let landfall = purging(&home, false).start();
    landfall.log().expect_line(&["removed an expired upload"]);
    wait_until("its bytes are gone", || landfall.upload_files().is_empty());
    landfall.stop();
}
