//! SIGHUP: what can change while people pull changes, what cannot is named, and a broken file changes nothing.
//!
//! Source: systemd.service(5) (`Type=notify-reload`), sd_listen_fds(3).

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::passwords::bcrypt_line;
use crate::harness::{Client, Connection, Image, Landfall, wait_until};

const REPO: &str = "team/app";

fn hang_up(landfall: &Landfall) {
    let pid = i32::try_from(landfall.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
}

#[test]
fn settings_change_without_a_restart() {
    let builder = Landfall::builder().config("log: {level: info}\n");
    let landfall = builder.start();
    landfall.push(REPO, "latest", &Image::new("reload"));
    let new = "\
log: {level: debug, formatter: json}
storage: {delete: {enabled: false}}
http: {addr: '127.0.0.1:1', headers: {X-Team: [blue]}}
limits: {manifest: 1KiB}
";
    builder.file("landfall.yaml", new);
    hang_up(&landfall);
    let line = landfall.log().expect_line(&["in force"]);
    for key in [
        "log.level",
        "storage.delete.enabled",
        "http.headers",
        "limits.manifest",
    ] {
        assert!(line.contains(key), "{key} in {line}");
    }
    assert!(line.starts_with('{'), "the form of the log changed too: {line}");
    assert_eq!(landfall.get("/v2/").send().header("x-team"), Some("blue"));
    let large = landfall
        .put(&format!("/v2/{REPO}/manifests/large"))
        .body(vec![b' '; 2000]);
    assert_eq!(large.send().status, 413);
    landfall.expect_image(REPO, "latest", &Image::new("reload"));
    let waiting = landfall.log().complaints();
    // `http.addr` was given by a flag, which a file cannot change: nothing waits for a restart.
    assert!(
        !waiting.iter().any(|line| line.contains("need a restart")),
        "{waiting:?}"
    );
    builder.file("landfall.yaml", "storage: {inline_max: 1KiB}\n");
    hang_up(&landfall);
    landfall
        .log()
        .expect_line(&["storage.inline_max", "need a restart"]);
    assert_eq!(landfall.get("/v2/").send().header("x-team"), None);
}

#[test]
fn a_broken_file_changes_nothing() {
    let builder = Landfall::builder().config("http: {headers: {X-Team: [blue]}}\n");
    let landfall = builder.start();
    builder.file("landfall.yaml", "http: {headers: {X-Team: [red]}, adr: x}\n");
    hang_up(&landfall);
    landfall
        .log()
        .expect_line(&["unknown key `adr`", "landfall.yaml:1:"]);
    landfall.log().expect_line(&["the old one stays in force"]);
    assert_eq!(landfall.get("/v2/").send().header("x-team"), Some("blue"));
    builder.file("landfall.yaml", "http: {headers: {X-Team: [red]}}\n");
    hang_up(&landfall);
    wait_until("the mended file counts", || {
        landfall.get("/v2/").send().header("x-team") == Some("red")
    });
}

#[test]
fn logins_begin_with_a_reload_and_never_end_with_one() {
    let landfall = Landfall::start();
    assert_eq!(landfall.get("/v2/").send().status, 200);
    let own = landfall.how().data_dir().join("landfall/htpasswd");
    std::fs::write(&own, bcrypt_line("busy", "bee")).unwrap();
    hang_up(&landfall);
    wait_until("a login is asked for", || {
        landfall.get("/v2/").send().status == 401
    });
    assert_eq!(landfall.as_user("busy", "bee").get("/v2/").send().status, 200);
    std::fs::remove_file(&own).unwrap();
    hang_up(&landfall);
    landfall.log().expect_line(&["logins stay as they were"]);
    assert_eq!(landfall.get("/v2/").send().status, 401);
}

#[test]
fn systemd_is_told_how_things_stand() {
    let builder = Landfall::builder();
    let socket = builder.home().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    let told = || {
        let mut text = [0; 256];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let landfall = builder.env("NOTIFY_SOCKET", &socket).start();
    assert_eq!(told(), "READY=1");
    hang_up(&landfall);
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(), "READY=1");
    landfall.ask_to_stop();
    assert_eq!(told(), "STOPPING=1");
    landfall.stop();
}

#[test]
fn a_socket_that_systemd_opened_is_taken_over() {
    let builder = Landfall::builder();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    // As systemd does it: descriptor 3, and the number of the process that it is for.
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let log = builder.home().join("log");
    let mut server = std::process::Command::new("sh");
    builder.shield(&mut server);
    let mut server = server
        .args([
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_landfall"),
            "serve",
            "--data",
        ])
        .arg(builder.data_dir())
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    // The socket listens from the beginning: whoever comes early waits instead of being refused.
    let mut connection = Connection::open(client.address);
    let request = client.get("/v2/").to_bytes();
    connection.writer().write_all(&request).unwrap();
    let answer = connection.try_answer(false);
    let said = || std::fs::read_to_string(&log).unwrap();
    assert!(
        answer.as_ref().is_ok_and(|answer| answer.status == 200),
        "{answer:?}; its log:\n{}",
        said()
    );
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
}
