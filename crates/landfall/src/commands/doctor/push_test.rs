//! The push test: a small image into a repository of its own, back again, and away.
//!
//! What is deleted goes to the trash, as with every client. Source: distribution-spec end-4a, end-6, end-7, end-2,
//! end-3, end-9, end-10.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::outside::LIMIT;
use crate::checks::Check;
use crate::client::{Answer, Server};

const NAME: &str = "push test";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What went wrong, and at which step.
type Step<T> = Result<T, String>;

struct Test<'a> {
    server: &'a Server,
    authorization: Option<String>,
    repository: String,
}

/// Runs it.
pub(super) fn run(server: &Server, login: Option<(&str, &str)>) -> Check {
    let mut random = [0_u8; 8];
    if getrandom::fill(&mut random).is_err() {
        return Check::problem(
            NAME,
            "the operating system gives no random numbers",
            "see its log",
        );
    }
    let id = format!("{:016x}", u64::from_be_bytes(random));
    let test = Test {
        server,
        authorization: login.map(|(name, password)| basic(name, password)),
        repository: format!("landfall-doctor/{id}"),
    };
    match test.run(&id) {
        Ok(leftover) if leftover.is_empty() => {
            Check::good(NAME, format!("pushed, pulled and deleted {}", test.repository))
        }
        Ok(leftover) => Check::note(NAME, format!("pushed and pulled {}; {leftover}", test.repository)),
        Err(what) => {
            let fix = if what.contains("401") {
                "landfall doctor --push-test --username NAME --password-stdin"
            } else if what.contains("413") {
                "a proxy in front limits bodies: client_max_body_size 0; in nginx"
            } else {
                "see the log of the server"
            };
            Check::problem(NAME, what, fix)
        }
    }
}

impl Test<'_> {
    fn run(&self, id: &str) -> Step<String> {
        let config = b"{}";
        let layer = format!("a push test of landfall doctor, {id}\n");
        let mut blobs = Vec::new();
        for bytes in [&config[..], layer.as_bytes()] {
            blobs.push((self.push_blob(bytes)?, bytes.len()));
        }
        let descriptor = |(digest, size): &(String, usize), kind: &str| serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(&blobs[0], "application/vnd.oci.empty.v1+json"),
            "layers": [descriptor(&blobs[1], "text/plain")],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = digest_of(&manifest);
        let content = [("Content-Type", MANIFEST)];
        self.step(
            "the manifest is pushed",
            "PUT",
            "manifests/test",
            &content,
            &manifest,
            &[201],
        )?;
        let path = format!("manifests/{digest}");
        let pulled = self.step(
            "the manifest is pulled",
            "GET",
            &path,
            &[("Accept", MANIFEST)],
            b"",
            &[200],
        )?;
        if pulled.body != manifest {
            return Err("another manifest came back than was pushed".to_owned());
        }
        let layer_path = format!("blobs/{}", blobs[1].0);
        let pulled = self.step("the layer is pulled", "GET", &layer_path, &[], b"", &[200])?;
        if pulled.body != layer.as_bytes() {
            return Err("other bytes came back than were pushed".to_owned());
        }
        let deleted = self.step("the manifest is deleted", "DELETE", &path, &[], b"", &[202, 405])?;
        if deleted.status == 405 {
            return Ok("it stays, because deletion is off".to_owned());
        }
        for (digest, _) in &blobs {
            let path = format!("blobs/{digest}");
            self.step("a blob is deleted", "DELETE", &path, &[], b"", &[202, 404])?;
        }
        Ok(String::new())
    }

    fn push_blob(&self, bytes: &[u8]) -> Step<String> {
        let digest = digest_of(bytes);
        let begun = self.step("an upload is begun", "POST", "blobs/uploads/", &[], b"", &[202])?;
        let location = begun.header("location").ok_or("an upload has no Location")?;
        // Behind a proxy the location may be absolute, for an address that is not ours.
        let path = location
            .find("/v2/")
            .map(|at| &location[at..])
            .ok_or("an upload has a foreign Location")?;
        let joint = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{joint}digest={digest}");
        let content = [("Content-Type", "application/octet-stream")];
        self.send("a blob is pushed", "PUT", &target, &content, bytes, &[201])?;
        Ok(digest)
    }

    fn step(
        &self,
        what: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: &[u16],
    ) -> Step<Answer> {
        let target = format!("/v2/{}/{path}", self.repository);
        self.send(what, method, &target, headers, body, expected)
    }

    fn send(
        &self,
        what: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: &[u16],
    ) -> Step<Answer> {
        let mut headers = headers.to_vec();
        headers.extend(
            self.authorization
                .as_deref()
                .map(|value| ("Authorization", value)),
        );
        let answer = self
            .server
            .ask(method, target, &headers, body, LIMIT)
            .map_err(|error| format!("{error} (when {what})"))?;
        if expected.contains(&answer.status) {
            Ok(answer)
        } else {
            Err(format!(
                "{} instead of {} when {what}",
                answer.status, expected[0]
            ))
        }
    }
}

fn digest_of(bytes: &[u8]) -> String {
    oci::Digest::Sha256(Sha256::digest(bytes).into()).to_string()
}

/// RFC 7617 section 2.
fn basic(name: &str, password: &str) -> String {
    let pair = format!("{name}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}
