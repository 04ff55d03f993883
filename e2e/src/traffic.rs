//! What clients asked of a server, as its access log tells it.
//!
//! Shape: a [`Traffic`] begins now; [`Traffic::so_far`] gives what came since, and begins anew. Clients are believed to have
//! ended: the log is read up to a request of our own that follows theirs.
//! Fails: by panic, when that request does not come up in the log.

use std::time::{Duration, Instant};

use crate::http::{Body, Connection, Request};
use crate::landfall::Landfall;

const LOGGED_SECONDS_MAX: u64 = 60;

/// A watch on the requests that a server answers.
pub struct Traffic<'l> {
    landfall: &'l Landfall,
    /// Lines of the log that were looked at.
    seen: usize,
    marks: u32,
}

/// Requests, in the order of their answers.
#[derive(Debug)]
pub struct Requests(Vec<Answered>);

/// One request and its status.
#[derive(Debug)]
struct Answered {
    method: String,
    path: String,
    status: String,
}

impl<'l> Traffic<'l> {
    /// Watches from now on.
    #[must_use]
    pub fn of(landfall: &'l Landfall) -> Self {
        let mut traffic = Self {
            landfall,
            seen: 0,
            marks: 0,
        };
        let _ = traffic.so_far();
        traffic
    }

    /// What was asked since the last look.
    #[must_use]
    pub fn so_far(&mut self) -> Requests {
        self.marks += 1;
        let mark = format!("/v2/mark/{}/tags/list", self.marks);
        let mut connection = Connection::open(self.landfall.address()).expect("the server can be reached");
        let request = Request {
            method: "GET",
            target: &mark,
            headers: &[],
            body: Body::Empty,
        };
        connection.send(request).expect("the server answers");
        let deadline = Instant::now() + Duration::from_secs(LOGGED_SECONDS_MAX);
        loop {
            let log = self.landfall.log();
            let lines: Vec<&str> = log.lines().collect();
            let new = lines.iter().skip(self.seen);
            let requests: Vec<Answered> = new.filter_map(|line| answered(line)).collect();
            if requests.iter().any(|request| request.path == mark) {
                self.seen = lines.len();
                return Requests(requests);
            }
            assert!(Instant::now() < deadline, "{mark} is not in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Requests {
    /// Blobs that were sent to a repository, layers and configurations.
    #[must_use]
    pub fn sent(&self, repository: &str) -> usize {
        self.count("PUT", repository, "201")
    }

    /// Blobs that a repository got from another one without being sent.
    #[must_use]
    pub fn mounted(&self, repository: &str) -> usize {
        self.count("POST", repository, "201")
    }

    fn count(&self, method: &str, repository: &str, status: &str) -> usize {
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let done = self.0.iter().filter(|request| {
            request.method == method && request.status == status && request.path.starts_with(&uploads)
        });
        done.count()
    }
}

/// The request in a line of the access log.
fn answered(line: &str) -> Option<Answered> {
    let word = |key: &str| {
        let mut words = line.split_whitespace();
        words.find_map(|word| Some(word.strip_prefix(key)?.trim_matches('"').to_owned()))
    };
    Some(Answered {
        method: word("method=")?,
        path: word("path=")?,
        status: word("status=")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_access_log_is_a_request() {
        let line = r#"time=x level=INFO msg=request client=127.0.0.1 method=PUT path="/v2/a/b/blobs/uploads/1" status=201"#;
        let requests = Requests(vec![answered(line).unwrap()]);
        assert_eq!((requests.sent("a/b"), requests.mounted("a/b")), (1, 0));
        assert_eq!(requests.sent("a"), 0);
        assert!(answered("level=INFO msg=started").is_none());
    }
}
