//! An ACME authority made of one thread of answers: it does what a test tells it to, on a clock that the test turns.
//!
//! It believes every signature and looks at no proof: the test says which ways succeed. Renewal information is there where
//! the test names a window. Fails: by panic. Source: RFC 8555 section 7, RFC 9773.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What happened, and what shall happen.
#[derive(Default)]
pub(crate) struct State {
    /// The names of each order, and which certificate it replaces.
    pub(crate) orders: Vec<(Vec<String>, Option<String>)>,
    /// The ways that were to be looked at.
    pub(crate) looked: Vec<String>,
    /// The ways that fail.
    pub(crate) failing: Vec<&'static str>,
    /// Whether every order is refused.
    pub(crate) down: bool,
    /// Whether accounts that were made so far are unknown.
    pub(crate) forgot: bool,
    /// When the authority wants a renewal, in seconds since 1970.
    pub(crate) window: Option<(i64, i64)>,
    states: Vec<(&'static str, Option<String>)>,
    certificates: Vec<String>,
}

/// A running authority.
#[derive(Clone)]
pub(crate) struct Authority {
    port: u16,
    state: Arc<Mutex<State>>,
    clock: fn() -> i64,
}

/// Of each certificate: from an hour ago, for 30 days.
pub(crate) const LIFE: i64 = 30 * 86_400;

impl Authority {
    /// Starts one; its own certificate's authority is written to `root`.
    pub(crate) async fn start(root: &Path, clock: fn() -> i64) -> Self {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.self_signed(&key).unwrap();
        std::fs::write(root, own.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
            clock,
        };
        let this = authority.clone();
        let signer = Arc::new(signer());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().speak(stream, acceptor.clone(), Arc::clone(&signer)));
            }
        });
        authority
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/directory", self.port)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn speak(self, stream: TcpStream, acceptor: TlsAcceptor, signer: Arc<(String, KeyPair)>) {
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_until(b'\n', &mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let (status, location, text) = self.answer(path, &payload(&body), &signer);
            let mut answer = format!(
                "HTTP/1.1 {status} x\r\nReplay-Nonce: n\r\nRetry-After: 1\r\nContent-Length: {}\r\n",
                text.len()
            );
            if let Some(location) = location {
                answer.extend(["Location: ", &self.url(&location), "\r\n"]);
            }
            answer += "\r\n";
            if method != "head" {
                answer += &text;
            }
            if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Status, location and body.
    fn answer(
        &self,
        path: &str,
        payload: &Value,
        signer: &(String, KeyPair),
    ) -> (u16, Option<String>, String) {
        let mut state = self.state();
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let number = |index: usize| parts.get(index).and_then(|part| part.parse::<usize>().ok());
        match (parts[0], number(1)) {
            ("directory", _) => (200, None, self.map(state.window.is_some()).to_string()),
            ("nonce", _) => (200, None, String::new()),
            ("account", _) => {
                state.forgot = false;
                (
                    201,
                    Some("/accounts/1".into()),
                    json!({"status": "valid"}).to_string(),
                )
            }
            ("new-order", _) if state.down => problem(503, "serverInternal", "down"),
            ("new-order", _) if state.forgot => problem(400, "accountDoesNotExist", "who?"),
            ("new-order", _) => {
                let names = payload["identifiers"].as_array().unwrap().iter();
                let names = names
                    .map(|one| one["value"].as_str().unwrap().to_owned())
                    .collect();
                let replaces = payload["replaces"].as_str().map(ToOwned::to_owned);
                state.orders.push((names, replaces));
                state.states.push(("pending", None));
                state.certificates.push(String::new());
                let id = state.orders.len() - 1;
                (201, Some(format!("/order/{id}")), self.order(&state, id))
            }
            ("order", Some(id)) => (200, None, self.order(&state, id)),
            ("authorization", Some(id)) => {
                let name = state.orders[id].0[number(2).unwrap()].clone();
                (200, None, self.authorization(&state, id, &name))
            }
            ("challenge", Some(id)) => {
                let way = parts[2];
                state.looked.push(way.to_owned());
                let fails = state.failing.contains(&way);
                state.states[id] = if fails {
                    ("invalid", Some(way.to_owned()))
                } else {
                    ("ready", None)
                };
                (
                    200,
                    None,
                    challenge(&self.url(path), way, "processing").to_string(),
                )
            }
            ("finalize", Some(id)) => {
                let request = BASE64_URL_SAFE_NO_PAD
                    .decode(payload["csr"].as_str().unwrap())
                    .unwrap();
                state.certificates[id] = sign(signer, &request, (self.clock)());
                state.states[id] = ("valid", None);
                (200, None, self.order(&state, id))
            }
            ("certificate", Some(id)) => (200, None, state.certificates[id].clone()),
            ("renewal", _) => {
                let (start, end) = state.window.unwrap();
                let shown = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
                let window = json!({"suggestedWindow": {"start": shown(start), "end": shown(end)}});
                (200, None, window.to_string())
            }
            _ => problem(404, "malformed", path),
        }
    }

    fn map(&self, renewal: bool) -> Value {
        let mut map = json!({
            "newNonce": self.url("/nonce"), "newAccount": self.url("/account"), "newOrder": self.url("/new-order"),
        });
        if renewal {
            map["renewalInfo"] = self.url("/renewal").into();
        }
        map
    }

    fn order(&self, state: &State, id: usize) -> String {
        let (names, replaces) = &state.orders[id];
        let authorizations: Vec<_> = (0..names.len())
            .map(|at| self.url(&format!("/authorization/{id}/{at}")))
            .collect();
        let (status, failed) = &state.states[id];
        let mut order = json!({
            "status": status, "authorizations": authorizations,
            "finalize": self.url(&format!("/finalize/{id}")),
            "certificate": self.url(&format!("/certificate/{id}")),
        });
        if let Some(replaces) = replaces {
            order["replaces"] = replaces.as_str().into();
        }
        if failed.is_some() {
            order["error"] =
                json!({"type": "urn:ietf:params:acme:error:unauthorized", "detail": "one of them failed"});
        }
        order.to_string()
    }

    fn authorization(&self, state: &State, id: usize, name: &str) -> String {
        let ways = ["http-01", "tls-alpn-01", "dns-01"].map(|way| {
            let failed = state.states[id].1.as_deref() == Some(way);
            let url = self.url(&format!("/challenge/{id}/{way}"));
            challenge(&url, way, if failed { "invalid" } else { "pending" })
        });
        let status = if state.states[id].1.is_some() {
            "invalid"
        } else {
            "pending"
        };
        json!({"identifier": {"type": "dns", "value": name}, "status": status, "challenges": ways})
            .to_string()
    }
}

fn challenge(url: &str, way: &str, status: &str) -> Value {
    let mut challenge = json!({"type": way, "url": url, "token": "token", "status": status});
    if status == "invalid" {
        challenge["error"] =
            json!({"type": "urn:ietf:params:acme:error:connection", "detail": format!("{way} was refused")});
    }
    challenge
}

fn problem(status: u16, kind: &str, detail: &str) -> (u16, Option<String>, String) {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    (
        status,
        None,
        json!({"type": kind, "detail": detail, "status": status}).to_string(),
    )
}

fn payload(body: &[u8]) -> Value {
    let Ok(signed) = serde_json::from_slice::<Value>(body) else {
        return Value::Null;
    };
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(signed["payload"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

fn signer() -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Stub Authority");
    (params.self_signed(&key).unwrap().pem(), key)
}

fn sign((pem, key): &(String, KeyPair), request: &[u8], now: i64) -> String {
    let mut request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
    let moment = |second| time::OffsetDateTime::from_unix_timestamp(second).unwrap();
    request.params.not_before = moment(now - 3_600);
    request.params.not_after = moment(now - 3_600 + LIFE);
    request.params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_pem(pem, key).unwrap();
    request.signed_by(&issuer).unwrap().pem() + pem
}

/// Where a test keeps its things.
pub(crate) fn root_in(folder: &Path) -> PathBuf {
    folder.join("root.pem")
}
