//! The admin of a server: commands on its machine, and its socket by hand.
//!
//! Fails: by panicking with what the command or the server said.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Landfall;
use super::exchange::Response;
use super::server::CommandOutput;

impl Landfall {
    /// Where the server's admin socket is.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.how().data_dir().join("landfall/admin.sock")
    }

    /// Runs a command beside the server, which finds it by its data folder.
    pub(crate) fn does(&self, args: &[&str]) -> CommandOutput {
        let data = self.how().data_dir().to_str().unwrap();
        let args: Vec<&str> = args.iter().copied().chain(["--data", data]).collect();
        self.how().run(&args)
    }

    /// The same, which must succeed; what it printed.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.does(args);
        assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
        output.stdout
    }

    /// The same with `--json`; the document that it printed.
    pub(crate) fn done_json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let text = self.done(&args);
        assert!(
            text.starts_with("{\n  \"schema\": "),
            "{args:?} says first what it is:\n{text}"
        );
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}:\n{text}"))
    }

    /// Runs a command beside the server on a terminal, where somebody types; its exit code and what the terminal shows.
    pub(crate) fn typed(&self, line: &str, typed: &str) -> (Option<i32>, String) {
        let program = env!("CARGO_BIN_EXE_landfall");
        let mut script = Command::new("script"); // makes a terminal
        self.how().shield(&mut script);
        let mut child = script
            .args(["-qec", &format!("{program} {line}"), "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    /// One exchange over the admin socket; a body is sent as JSON.
    pub(crate) fn admin(&self, method: &str, target: &str, body: &str) -> Response {
        over_socket(&self.admin_socket(), method, target, body)
    }
}

/// One exchange over a unix socket; a body is sent as JSON.
pub(crate) fn over_socket(socket: &Path, method: &str, target: &str, body: &str) -> Response {
    let kind = Some("application/json").filter(|_| !body.is_empty());
    sent_over_socket(socket, method, target, kind, body.as_bytes())
}

/// The same with any bytes, said to be of any kind.
pub(crate) fn sent_over_socket(
    socket: &Path,
    method: &str,
    target: &str,
    kind: Option<&str>,
    body: &[u8],
) -> Response {
    let mut stream = UnixStream::connect(socket).unwrap();
    let kind = kind.map_or(String::new(), |kind| format!("Content-Type: {kind}\r\n"));
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n"
    );
    // A server that refuses early may have hung up: the answer tells.
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("an answer");
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    Response {
        status,
        headers: lines.map(header).collect(),
        body,
    }
}

impl Response {
    /// An error document of the admin API, with this status and code; its message.
    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "the answer was:\n{self}");
        let json = self.json();
        assert_eq!(json["error"]["code"], code, "the answer was:\n{self}");
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}
