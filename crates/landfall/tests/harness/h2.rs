//! HTTP/2 over cleartext by prior knowledge (RFC 9113 section 3.3), with hyper's client: many exchanges on one connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::exchange::Response;
use super::rules;

/// One HTTP/2 connection; clones share it.
#[derive(Clone)]
pub(crate) struct H2 {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl H2 {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { address, sender }
    }

    /// One exchange; others may run on the same connection meanwhile.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Response {
        let uri = format!("http://{}{target}", self.address);
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.sender.clone().send_request(request).await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        let (head, body) = answer.into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let response = Response {
            status: head.status.as_u16(),
            headers,
            body,
        };
        rules::hold(method, target, &response);
        response
    }
}
