//! Where clients find us: how `Location` and `Link` are written.
//!
//! Path-only unless the operator says otherwise: that is right behind every proxy. Absolute ones follow
//! `http.host`, else what a trusted proxy forwards, else the request's own host.
//! Source: RFC 7239 (`Forwarded`); `http.host`, `http.relativeurls`, `http.prefix` of the CNCF registry.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::request::Parts;
use http::{HeaderMap, header};

/// How links to us are made.
#[derive(Clone)]
pub struct Origin {
    /// `http.host`: scheme and host, without a slash at the end.
    pub host: Option<String>,
    /// Absolute links even without `host` (`http.relativeurls: false`, written out).
    pub absolute: bool,
    /// Requests come in over TLS.
    pub tls: bool,
    /// `http.prefix` without the slash at its end: empty, or `/reg`.
    pub prefix: String,
    /// Whose forwarding headers are believed (`http.trusted_proxies`).
    pub trusted: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Whether an untrusted forwarding header was reported already.
    pub reported: Arc<AtomicBool>,
    /// Whether a proxy that holds layers back was explained already.
    pub explained: Arc<AtomicBool>,
}

impl Default for Origin {
    /// Path-only links, nobody trusted.
    fn default() -> Self {
        Self {
            host: None,
            absolute: false,
            tls: false,
            prefix: String::new(),
            trusted: Arc::new(|_| false),
            reported: Arc::default(),
            explained: Arc::default(),
        }
    }
}

/// Who sent a request, as the socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Ip(IpAddr),
    /// Over a unix socket: only what may open it can speak.
    Local,
}

impl From<Peer> for access::Remote {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Ip(ip) => Self::Ip(ip),
            Peer::Local => Self::Local,
        }
    }
}

impl Origin {
    /// A link to `path`, which starts with `/v2/`.
    pub(crate) fn link(&self, request: &Parts, peer: Peer, path: &str) -> String {
        let prefix = &self.prefix;
        if let Some(host) = &self.host {
            return format!("{host}{prefix}{path}");
        }
        match self.absolute.then(|| self.base(request, peer)).flatten() {
            Some(base) => format!("{base}{prefix}{path}"),
            None => self.path(path),
        }
    }

    /// A path-only link, for `Link` headers.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn base(&self, request: &Parts, peer: Peer) -> Option<String> {
        let forwarded = self.forwarded(&request.headers, peer);
        let host = forwarded.1.or_else(|| own_host(request))?;
        let scheme = forwarded
            .0
            .unwrap_or_else(|| if self.tls { "https" } else { "http" }.into());
        Some(format!("{scheme}://{host}"))
    }

    /// Scheme and host that a trusted proxy reports.
    fn forwarded(&self, headers: &HeaderMap, peer: Peer) -> (Option<String>, Option<String>) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let rfc7239 = text("forwarded");
        let (proto, host) = (text("x-forwarded-proto"), text("x-forwarded-host"));
        if rfc7239.is_none() && proto.is_none() && host.is_none() {
            return (None, None);
        }
        if !self.trusts(peer) {
            self.report(peer);
            return (None, None);
        }
        let first = |list: &str| list.split(',').next().unwrap_or_default().trim().to_owned();
        let pair = |key: &str| rfc7239.and_then(|list| parameter(&first(list), key));
        (
            pair("proto")
                .or_else(|| proto.map(first))
                .filter(|scheme| scheme == "http" || scheme == "https"),
            pair("host")
                .or_else(|| host.map(first))
                .filter(|host| is_authority(host)),
        )
    }

    /// Who speaks, as far as it can be known: behind trusted proxies the nearest address that is not one of them.
    /// For logs and history only: no right comes from an address.
    pub(crate) fn client(&self, headers: &HeaderMap, peer: Peer) -> Peer {
        let lists = |name: &str| {
            headers
                .get_all(name)
                .into_iter()
                .filter_map(|value| value.to_str().ok())
                .collect::<Vec<_>>()
        };
        let (standard, common) = (lists("forwarded"), lists("x-forwarded-for"));
        if standard.is_empty() && common.is_empty() {
            return peer;
        }
        if !self.trusts(peer) {
            self.report(peer);
            return peer;
        }
        let hops: Vec<Option<IpAddr>> = if standard.is_empty() {
            common
                .iter()
                .flat_map(|list| list.split(','))
                .map(address)
                .collect()
        } else {
            let elements = standard.iter().flat_map(|list| list.split(','));
            elements
                .map(|element| parameter(element, "for").as_deref().and_then(address))
                .collect()
        };
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            // What no proxy of ours wrote is anybody's claim.
            let Some(ip) = hop.filter(|_| self.trusts(client)) else {
                break;
            };
            client = Peer::Ip(ip);
        }
        client
    }

    fn report(&self, peer: Peer) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                ?peer,
                "forwarding headers from a peer that is not trusted are ignored; if it is your proxy, add its address to http.trusted_proxies"
            );
        }
    }

    /// Says once what to change in a proxy through which a push plainly came the wrong way. Pushes through it work until a
    /// layer is larger than what it holds back, and then fail with an answer of the proxy's own, which nobody sees here.
    pub(crate) fn explain_limits(&self, request: &Parts) {
        if is_held_back(request) && !self.explained.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the proxy in front holds layers back before it passes them on: pushes are slow, and large ones fail with 413 or a time-out; in nginx write client_max_body_size 0, proxy_request_buffering off, proxy_http_version 1.1 and proxy_read_timeout 900s"
            );
        }
    }

    fn trusts(&self, peer: Peer) -> bool {
        match peer {
            Peer::Local => true,
            Peer::Ip(ip) => (self.trusted)(ip),
        }
    }
}

/// An address with or without port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let socket = || {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|socket| socket.ip())
    };
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(socket).or_else(bracketed)
}

/// A proxy that speaks HTTP/1.0, as nginx does unless told otherwise, cannot pass on a layer whose length it does not know yet.
/// A length alone says nothing: behind HTTP/2 a small layer may be there before its head has gone on.
fn is_held_back(request: &Parts) -> bool {
    let has = |name: &str| request.headers.contains_key(name);
    let proxied = [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
    ]
    .into_iter()
    .any(has);
    let uploads = matches!(
        request.method,
        http::Method::PATCH | http::Method::PUT | http::Method::POST
    );
    proxied && uploads && request.version == http::Version::HTTP_10
}

fn own_host(request: &Parts) -> Option<String> {
    let authority = request.uri.authority().map(ToString::to_string);
    let header = || {
        request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .map(str::to_owned)
    };
    authority.or_else(header).filter(|host| is_authority(host))
}

fn parameter(element: &str, key: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(key)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Host and port only: nothing that would turn a link into another one.
pub(crate) fn is_authority(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn loopback() -> Arc<dyn Fn(IpAddr) -> bool + Send + Sync> {
        Arc::new(|ip| ip.is_loopback())
    }

    const PROXY: Peer = Peer::Ip(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn links_are_paths_unless_somebody_says_otherwise() {
        let origin = Origin {
            prefix: "/reg".into(),
            ..Origin::default()
        };
        assert_eq!(
            origin.link(&request(&[("host", "h:8443")]), PROXY, "/v2/x"),
            "/reg/v2/x"
        );
        let origin = Origin {
            host: Some("https://r.example.com:5000".into()),
            ..Origin::default()
        };
        let headers = [("host", "h"), ("x-forwarded-proto", "http")];
        assert_eq!(
            origin.link(&request(&headers), PROXY, "/v2/x"),
            "https://r.example.com:5000/v2/x"
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let origin = Origin {
            absolute: true,
            trusted: loopback(),
            ..Origin::default()
        };
        let headers = [
            ("host", "in:5000"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example, b"),
        ];
        assert_eq!(
            origin.link(&request(&headers), PROXY, "/v2/x"),
            "https://a.example/v2/x"
        );
        let stranger = Peer::Ip("192.0.2.1".parse().unwrap());
        assert_eq!(
            origin.link(&request(&headers), stranger, "/v2/x"),
            "http://in:5000/v2/x"
        );
        let standard = [
            ("host", "in"),
            ("forwarded", "proto=https;host=\"c.example:8443\", for=x"),
        ];
        assert_eq!(
            origin.link(&request(&standard), PROXY, "/v2/x"),
            "https://c.example:8443/v2/x"
        );
    }

    #[test]
    fn a_proxy_that_holds_layers_back_is_recognised_and_a_good_one_is_not() {
        let patch = |version: http::Version, headers: &[(&str, &str)]| {
            let mut parts = request(headers);
            (parts.method, parts.version) = (http::Method::PATCH, version);
            is_held_back(&parts)
        };
        let (old, new) = (http::Version::HTTP_10, http::Version::HTTP_11);
        let through = ("x-forwarded-proto", "https");
        assert!(patch(old, &[through]));
        assert!(!patch(old, &[]));
        assert!(!patch(new, &[through, ("content-length", "9000")]));
    }

    #[test]
    fn a_host_that_is_none_makes_no_link() {
        let origin = Origin {
            absolute: true,
            trusted: loopback(),
            ..Origin::default()
        };
        let headers = [("host", "ok:1"), ("x-forwarded-host", "evil/path?x")];
        assert_eq!(
            origin.link(&request(&headers), PROXY, "/v2/x"),
            "http://ok:1/v2/x"
        );
        assert_eq!(origin.link(&request(&[]), PROXY, "/v2/x"), "/v2/x");
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_proxy_of_ours() {
        let origin = Origin {
            trusted: loopback(),
            ..Origin::default()
        };
        let client = |headers: &[(&str, &str)], peer| origin.client(&request(headers).headers, peer);
        let ip = |text: &str| Peer::Ip(text.parse().unwrap());
        assert_eq!(
            client(&[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 127.0.0.2")], PROXY),
            ip("192.0.2.7")
        );
        assert_eq!(
            client(&[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")], PROXY),
            ip("2001:db8::1")
        );
        assert_eq!(client(&[("x-forwarded-for", "192.0.2.7, unknown")], PROXY), PROXY);
        assert_eq!(
            client(&[("x-forwarded-for", "10.0.0.1")], ip("192.0.2.9")),
            ip("192.0.2.9")
        );
        assert_eq!(client(&[], PROXY), PROXY);
    }
}
