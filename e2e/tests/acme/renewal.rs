//! A renewal while clients are at work: new connections see the new certificate, running ones notice nothing.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::dice::Dice;
use sha2::{Digest as _, Sha256};

use crate::scene::{ISSUED, NAME, PATIENCE, Scene};

/// More than all buffers between server and client hold.
const BLOB_BYTES: usize = 48 << 20;

#[test]
fn a_renewal_cuts_no_open_connection() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("http-01", &[]);
    scene.wait_for(ISSUED, 1);
    let before = scene.issuer();
    // A connection that was opened before and is used after.
    let port = scene.ports.https;
    let mut running = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "(printf 'GET /healthz HTTP/1.1\\r\\nHost: {NAME}\\r\\n\\r\\n'; while [ ! -e {1} ]; do sleep 0.1; done; \
             printf 'GET /healthz HTTP/1.1\\r\\nHost: {NAME}\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) \
             | openssl s_client -quiet -connect 127.0.0.1:{port} -servername {NAME} >{0} 2>/dev/null",
            scene.at("answers").display(),
            scene.at("renewed").display()
        ))
        .spawn()
        .expect("a shell can be started");
    let deadline = Instant::now() + PATIENCE;
    let answers = |scene: &Scene| {
        fs::read_to_string(scene.at("answers"))
            .unwrap_or_default()
            .matches("200 OK")
            .count()
    };
    while answers(&scene) < 1 {
        assert!(Instant::now() < deadline, "the first request is not answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    scene.beside(&["tls", "renew"]).succeeded();
    scene.wait_for(ISSUED, 2);
    assert_ne!(scene.issuer(), before, "the new certificate is not presented");
    fs::write(scene.at("renewed"), b"").expect("a file can be written");
    running.wait().expect("a shell can be waited for");
    assert_eq!(answers(&scene), 2, "the connection did not survive the renewal");
}

/// curl as the first user, trusting the authority's root alone.
fn curl(scene: &Scene) -> Command {
    let login = fs::read_to_string(scene.at("data/landfall/first-login"))
        .or_else(|_| fs::read_to_string(scene.at("login")))
        .expect("the first user was made");
    fs::write(scene.at("login"), &login).expect("a file can be written");
    let word = |name: &str| {
        login
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a login has it")
            .to_owned()
    };
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--max-time", "280", "--user"])
        .arg(format!("{}:{}", word("user "), word("password ")))
        .args([
            "--resolve",
            &format!("{NAME}:{}:127.0.0.1", scene.ports.https),
            "--cacert",
        ])
        .arg(scene.at("root.pem"));
    curl
}

fn upload(scene: &Scene, digest: &str) -> Child {
    let base = format!("https://{NAME}:{}/v2/team/app/blobs/uploads/", scene.ports.https);
    let begun = curl(scene)
        .args([
            "-o",
            "/dev/null",
            "--write-out",
            "%header{location}",
            "-X",
            "POST",
        ])
        .arg(&base)
        .output()
        .expect("curl runs");
    let location = String::from_utf8_lossy(&begun.stdout).trim().to_owned();
    assert!(location.contains("/v2/team/app/blobs/uploads/"), "{begun:?}");
    let path = &location[location.find("/v2/").expect("it is a path of the registry")..];
    let joint = if path.contains('?') { '&' } else { '?' };
    let target = format!("https://{NAME}:{}{path}{joint}digest={digest}", scene.ports.https);
    curl(scene)
        .args([
            "-X",
            "PUT",
            "-H",
            "Content-Type: application/octet-stream",
            "--upload-file",
            "-",
            &target,
        ])
        .stdin(Stdio::piped())
        .stderr(File::create(scene.at("push.log")).expect("a log can be made"))
        .spawn()
        .expect("curl runs")
}

/// A push that has sent half of its bytes and a pull that has taken some of them go on over the renewal.
#[test]
fn a_renewal_cuts_no_running_push_and_no_running_pull() {
    let mut scene = Scene::new();
    scene.start_authority();
    scene.start_landfall("", &[]);
    scene.wait_for(ISSUED, 1);
    scene.is_trusted();
    let bytes = Dice::new(5).bytes(BLOB_BYTES);
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    let digest = format!("sha256:{hash}");
    let mut first = upload(&scene, &digest);
    first
        .stdin
        .take()
        .expect("it is piped")
        .write_all(&bytes)
        .expect("curl takes the bytes");
    assert!(
        first.wait().expect("curl ends").success(),
        "{:?}",
        fs::read_to_string(scene.at("push.log"))
    );

    let other = Dice::new(6).bytes(BLOB_BYTES);
    let hash: String = Sha256::digest(&other)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    let mut push = upload(&scene, &format!("sha256:{hash}"));
    let mut feed = push.stdin.take().expect("it is piped");
    feed.write_all(&other[..BLOB_BYTES / 2])
        .expect("curl takes the bytes");
    let mut pull = curl(&scene)
        .arg(format!(
            "https://{NAME}:{}/v2/team/app/blobs/{digest}",
            scene.ports.https
        ))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl runs");
    let mut taken = vec![0; 1 << 20];
    let mut source = pull.stdout.take().expect("it is piped");
    source.read_exact(&mut taken).expect("the pull is under way");

    let before = scene.issuer();
    scene.beside(&["tls", "renew"]).succeeded();
    scene.wait_for(ISSUED, 2);
    assert_ne!(scene.issuer(), before, "the new certificate is not presented");

    assert!(
        push.try_wait().expect("curl can be asked").is_none(),
        "the push ended early"
    );
    assert!(
        pull.try_wait().expect("curl can be asked").is_none(),
        "the pull ended early"
    );
    feed.write_all(&other[BLOB_BYTES / 2..])
        .expect("curl takes the bytes");
    drop(feed);
    source.read_to_end(&mut taken).expect("the pull goes on");
    assert!(
        push.wait().expect("curl ends").success(),
        "{:?}",
        fs::read_to_string(scene.at("push.log"))
    );
    assert!(pull.wait().expect("curl ends").success());
    assert!(taken == bytes, "other bytes came than were pushed");
}
