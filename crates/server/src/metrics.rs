//! Numbers for a monitoring system: requests by route, method and status, and what the process uses.
//!
//! Units: seconds, bytes. Labels are bounded: routes and methods are words of this program, never names or digests of
//! clients', and a status is one that we send. Counting costs a short lock, and nothing where nobody asked for metrics.
//! Fails: never; what the kernel does not tell is left out.
//! Source: the text format of Prometheus, version 0.0.4, and its rules for names; proc(5).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use registry::Registry;

use crate::body::Body;
use crate::v2::Told;

/// The kernel shows times in this unit to every program, whatever its own clock does. Source: time(7), USER_HZ.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was counted since the start.
pub struct Metrics {
    /// Whose stored bytes are told of.
    registry: Option<Registry>,
    version: &'static str,
    started_ms: i64,
    in_flight: AtomicI64,
    requests: Mutex<BTreeMap<Kind, u64>>,
}

/// Requests that are counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    route: &'static str,
    method: &'static str,
    code: u16,
}

/// A request that is being answered; ends with it, also where it fails.
pub(crate) struct InFlight(Arc<Metrics>);

impl Metrics {
    /// Begins to count, for a program of this version that started then (milliseconds since 1970).
    #[must_use]
    pub fn new(version: &'static str, started_ms: i64) -> Self {
        Self {
            registry: None,
            version,
            started_ms,
            in_flight: AtomicI64::new(0),
            requests: Mutex::default(),
        }
    }

    /// Tells of the bytes that this registry stores too.
    #[must_use]
    pub fn about(self, registry: Registry) -> Self {
        Self {
            registry: Some(registry),
            ..self
        }
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// A request was answered.
    pub(crate) fn count(&self, method: &Method, path: &str, told: &Told, status: StatusCode) {
        let kind = Kind {
            route: route(path, told),
            method: word(method),
            code: status.as_u16(),
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(kind).or_default() += 1;
    }

    /// Everything, as text. Reads some files of the kernel's.
    fn text(&self) -> String {
        let mut page = Page::default();
        page.family("landfall_build_info", "gauge", "The version that runs.");
        page.sample(
            "landfall_build_info",
            &format!("{{version=\"{}\"}}", self.version),
            1.0,
        );
        page.alone(
            "landfall_start_time_seconds",
            "gauge",
            "When the server started, in seconds since 1970.",
            milliseconds(self.started_ms),
        );
        let requests = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let name = "landfall_http_requests_total";
        page.family(name, "counter", "Requests that were answered.");
        for (Kind { route, method, code }, count) in requests {
            let labels = format!("{{route=\"{route}\",method=\"{method}\",code=\"{code}\"}}");
            page.sample(name, &labels, float(count));
        }
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        page.alone(
            "landfall_http_requests_in_flight",
            "gauge",
            "Requests whose answer has not begun yet.",
            float(u64::try_from(in_flight).unwrap_or_default()),
        );
        self.stored(&mut page);
        self.process(&mut page);
        page.0
    }

    /// Whether stored bytes are what they should be.
    fn stored(&self, page: &mut Page) {
        let Some(registry) = &self.registry else { return };
        let (read_bytes, damaged) = registry.scrub_numbers();
        page.alone(
            "landfall_blobs_bad",
            "gauge",
            "Blobs and manifests whose stored bytes are damaged.",
            float(damaged),
        );
        page.alone(
            "landfall_scrub_bytes_total",
            "counter",
            "Stored bytes that were read back and hashed.",
            float(read_bytes),
        );
    }

    /// What every program's dashboard expects.
    fn process(&self, page: &mut Page) {
        page.alone(
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970.",
            milliseconds(self.started_ms),
        );
        let values = [
            (
                "process_cpu_seconds_total",
                "counter",
                "Processor time, in user and kernel mode.",
                cpu_seconds(),
            ),
            (
                "process_resident_memory_bytes",
                "gauge",
                "Memory that is in use.",
                status_bytes("VmRSS:"),
            ),
            (
                "process_virtual_memory_bytes",
                "gauge",
                "Memory that is mapped.",
                status_bytes("VmSize:"),
            ),
            (
                "process_open_fds",
                "gauge",
                "Open file descriptors.",
                open_files(),
            ),
            (
                "process_max_fds",
                "gauge",
                "File descriptors that may be open.",
                files_max(),
            ),
        ];
        for (name, kind, help, value) in values {
            if let Some(value) = value {
                page.alone(name, kind, help, value);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `GET /metrics`.
pub(crate) async fn answer(metrics: Arc<Metrics>) -> Response<Body> {
    let Ok(text) = tokio::task::spawn_blocking(move || metrics.text()).await else {
        return crate::v2::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(text.into_bytes()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The text, line by line.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}"); // a String takes everything
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn alone(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }
}

/// What a request was about, as one of a few words.
fn route(path: &str, told: &Told) -> &'static str {
    match (&told.route, path) {
        (Some(route), _) => route.label(),
        (None, path) if crate::admin::serves(path) => told.endpoint.unwrap_or("api"),
        // Refused before it was known, or allowed to be known, what it is about.
        (None, path) if path == "/v2" || path.starts_with("/v2/") => "v2",
        (None, "/") => "root",
        (None, "/healthz") => "healthz",
        (None, "/readyz") => "readyz",
        (None, "/startupz") => "startupz",
        (None, _) => "other",
    }
}

/// A client may send any word as its method.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a monitoring system keeps numbers of this kind, exact up to 2^53"
)]
fn float(number: u64) -> f64 {
    number as f64
}

fn milliseconds(number: i64) -> f64 {
    float(u64::try_from(number).unwrap_or_default()) / 1000.0
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; utime and stime are fields 14 and 15 of the whole.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(float(user + kernel) / TICKS_PER_SECOND)
}

fn status_bytes(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(float(kibibytes * 1024))
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(float(count as u64))
}

fn files_max() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words_of_ours_whatever_a_client_sends() {
        let metrics = Arc::new(Metrics::new("1.2.3", 1_800_000_000_500));
        let flight = metrics.begin();
        let told = Told::default();
        for path in ["/v2/a/b/c", "/v2/x/y", "/%00", "/healthz", "/../etc"] {
            let method = Method::from_bytes(b"BREW").unwrap();
            metrics.count(&method, path, &told, StatusCode::NOT_FOUND);
        }
        let of_api = Told {
            endpoint: Some("/api/v1/why/kept/{digest}"),
            ..Told::default()
        };
        metrics.count(
            &Method::GET,
            "/api/v1/why/kept/sha256:ab",
            &of_api,
            StatusCode::OK,
        );
        metrics.count(&Method::GET, "/api/v1/x", &told, StatusCode::UNAUTHORIZED);
        let text = metrics.text();
        for line in [
            "landfall_build_info{version=\"1.2.3\"} 1",
            "landfall_start_time_seconds 1800000000.5",
            "landfall_http_requests_total{route=\"v2\",method=\"other\",code=\"404\"} 2",
            "landfall_http_requests_total{route=\"other\",method=\"other\",code=\"404\"} 2",
            "landfall_http_requests_total{route=\"healthz\",method=\"other\",code=\"404\"} 1",
            "landfall_http_requests_total{route=\"/api/v1/why/kept/{digest}\",method=\"GET\",code=\"200\"} 1",
            "landfall_http_requests_total{route=\"api\",method=\"GET\",code=\"401\"} 1",
            "landfall_http_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
        drop(flight);
        assert!(metrics.text().contains("\nlandfall_http_requests_in_flight 0\n"));
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}:\n{text}");
        }
    }
}
