//! A small client of the distribution protocol: every way to push, and pulls that hash what they get.
//!
//! Shape: one [`Client`] is one connection. Digests are text, `sha256:<hex>`.
//! Fails: [`Trouble::Gone`] when the server vanishes (which the kill test makes it do), [`Trouble::Refused`] when it answers
//! what the specification does not allow here.
//! Source: distribution-spec "Pushing", "Pulling", "Listing".

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use crate::http::{Body, Connection, Request, Response};

/// The media type of the manifests that [`crate::image`] makes.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Why a call did not succeed.
#[derive(Debug)]
pub enum Trouble {
    /// The connection broke: what was asked may or may not have happened.
    Gone(io::Error),
    /// An answer that should not have come.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A well-behaved server answers in time and in HTTP, also while it is about to be killed.
            io::ErrorKind::InvalidData | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Refused(error.to_string())
            }
            _ => Self::Gone(error),
        }
    }
}

/// The ways to push a blob.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// One POST with the digest and all the bytes.
    Single,
    /// POST, then PUT with all the bytes.
    PostPut,
    /// POST, one PATCH with `Transfer-Encoding: chunked`, PUT: as docker does.
    Stream,
    /// POST, then PATCHes of this many bytes with `Content-Range`, PUT.
    Chunks(usize),
}

/// What a pull of a blob found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// 404.
    Nothing,
    /// 200: what the bytes hash to, and how many there were.
    Bytes(String, u64),
}

/// `sha256:<hex>` of these bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    text_of(Sha256::new().chain_update(bytes))
}

/// The text of a finished hash.
#[must_use]
pub fn text_of(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A connection to a registry.
pub struct Client {
    connection: Connection,
    open_session: Option<String>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self, Trouble> {
        Ok(Self {
            connection: Connection::open(address)?,
            open_session: None,
        })
    }

    /// Sends a request and demands one of these answers.
    pub fn expect(&mut self, statuses: &[u16], request: Request<'_>) -> Result<Response, Trouble> {
        let asked = format!("{} {}", request.method, request.target);
        let response = self.connection.send(request)?;
        if statuses.contains(&response.status) {
            return Ok(response);
        }
        let body = String::from_utf8_lossy(&response.body[..response.body.len().min(500)]).into_owned();
        Err(Trouble::Refused(format!(
            "{asked}: {} instead of {statuses:?}: {body}",
            response.status
        )))
    }

    /// Pushes a blob; `Ok` means that the registry has acknowledged it.
    pub fn push_blob(&mut self, name: &str, bytes: &[u8], way: Way) -> Result<(), Trouble> {
        let digest = digest(bytes);
        match way {
            Way::Single => {
                let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                let body = Body::Sized(bytes);
                let response = self.expect(
                    &[201, 202],
                    Request {
                        body,
                        ..Request::new("POST", &target)
                    },
                )?;
                if response.status == 202 {
                    // Allowed by the specification: the bytes were not taken with the POST.
                    let location = response.location()?;
                    return self.finish_upload(&location, &digest, bytes);
                }
                Ok(())
            }
            Way::PostPut => {
                let session = self.start_upload(name)?;
                self.finish_upload(&session, &digest, bytes)
            }
            Way::Stream => {
                let session = self.start_upload(name)?;
                let body = Body::Chunked(bytes, 32 * 1024);
                let response = self.expect(
                    &[202],
                    Request {
                        body,
                        ..Request::new("PATCH", &session)
                    },
                )?;
                self.finish_upload(&response.location()?, &digest, &[])
            }
            Way::Chunks(size) => {
                let session = self.start_upload(name)?;
                let session = self.append_chunks(&session, bytes, 0, size)?;
                self.finish_upload(&session, &digest, &[])
            }
        }
    }

    /// Opens an upload session and gives its location.
    pub fn start_upload(&mut self, name: &str) -> Result<String, Trouble> {
        let target = format!("/v2/{name}/blobs/uploads/");
        let session = self.expect(&[202], Request::new("POST", &target))?.location()?;
        self.open_session = Some(session.clone());
        Ok(session)
    }

    /// The session that was under way when the connection broke: it may still be there.
    #[must_use]
    pub fn into_open_session(self) -> Option<String> {
        self.open_session
    }

    /// The open session is left to itself, by intent.
    pub fn forget_session(&mut self) {
        self.open_session = None;
    }

    /// Sends the bytes from an offset on in PATCHes with `Content-Range`; gives the new location.
    pub fn append_chunks(
        &mut self,
        session: &str,
        bytes: &[u8],
        from: usize,
        size: usize,
    ) -> Result<String, Trouble> {
        let mut session = session.to_owned();
        let mut first = from;
        for chunk in bytes[from..].chunks(size) {
            let range = format!("{first}-{}", first + chunk.len() - 1);
            let headers = [
                ("Content-Range", range.as_str()),
                ("Content-Type", "application/octet-stream"),
            ];
            let request = Request {
                method: "PATCH",
                target: &session,
                headers: &headers,
                body: Body::Sized(chunk),
            };
            let response = self.expect(&[202], request)?;
            session = response.location()?;
            first += chunk.len();
        }
        Ok(session)
    }

    /// Ends a session with its digest and, if there are any, the last bytes.
    pub fn finish_upload(&mut self, session: &str, digest: &str, rest: &[u8]) -> Result<(), Trouble> {
        let joint = if session.contains('?') { '&' } else { '?' };
        let target = format!("{session}{joint}digest={digest}");
        let body = Body::Sized(rest);
        self.expect(
            &[201],
            Request {
                body,
                ..Request::new("PUT", &target)
            },
        )?;
        self.open_session = None;
        Ok(())
    }

    /// How many bytes a session holds; none if there is no such session any more.
    pub fn upload_size(&mut self, session: &str) -> Result<Option<usize>, Trouble> {
        let response = self.expect(&[204, 404], Request::new("GET", session))?;
        if response.status == 404 {
            return Ok(None);
        }
        let range = response.header("range").unwrap_or_default();
        let last = range
            .split_once('-')
            .and_then(|(_, last)| last.parse::<usize>().ok());
        let last = last.ok_or_else(|| Trouble::Refused(format!("GET {session}: Range: {range:?}")))?;
        // `0-0` is said of an empty session and of one byte; the pushes here never stop after one byte.
        Ok(Some(if last == 0 { 0 } else { last + 1 }))
    }

    /// Gives a session up.
    pub fn cancel_upload(&mut self, session: &str) -> Result<(), Trouble> {
        self.expect(&[204, 404], Request::new("DELETE", session))
            .map(|_| ())
    }

    /// Mounts a blob of another repository; false if the registry opened a session instead.
    pub fn mount(&mut self, name: &str, digest: &str, from: &str) -> Result<bool, Trouble> {
        let target = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
        let response = self.expect(&[201, 202], Request::new("POST", &target))?;
        if response.status == 202 {
            let session = response.location()?;
            self.open_session = Some(session.clone());
            self.cancel_upload(&session)?;
            self.open_session = None;
        }
        Ok(response.status == 201)
    }

    /// Pushes a manifest under a tag or its digest.
    pub fn push_manifest(&mut self, name: &str, reference: &str, manifest: &[u8]) -> Result<(), Trouble> {
        let target = format!("/v2/{name}/manifests/{reference}");
        let headers = [("Content-Type", MANIFEST_TYPE)];
        let body = Body::Sized(manifest);
        self.expect(
            &[201],
            Request {
                method: "PUT",
                target: &target,
                headers: &headers,
                body,
            },
        )?;
        Ok(())
    }

    /// Deletes a tag, or a manifest by its digest.
    pub fn delete_manifest(&mut self, name: &str, reference: &str) -> Result<(), Trouble> {
        let target = format!("/v2/{name}/manifests/{reference}");
        self.expect(&[202], Request::new("DELETE", &target)).map(|_| ())
    }

    /// Deletes a blob that no manifest names.
    pub fn delete_blob(&mut self, name: &str, digest: &str) -> Result<(), Trouble> {
        let target = format!("/v2/{name}/blobs/{digest}");
        self.expect(&[202], Request::new("DELETE", &target)).map(|_| ())
    }

    /// Asks whether a blob is here, as clients do who would else send it.
    pub fn has_blob(&mut self, name: &str, digest: &str) -> Result<bool, Trouble> {
        let target = format!("/v2/{name}/blobs/{digest}");
        let response = self.expect(&[200, 404], Request::new("HEAD", &target))?;
        Ok(response.status == 200)
    }

    /// Pulls a blob and hashes it on the way.
    pub fn pull_blob(&mut self, name: &str, digest: &str) -> Result<Found, Trouble> {
        let target = format!("/v2/{name}/blobs/{digest}");
        let mut sink = HashSink {
            hash: Sha256::new(),
            length: 0,
        };
        let response = self.connection.fetch(Request::new("GET", &target), &mut sink)?;
        match response.status {
            200 => Ok(Found::Bytes(text_of(sink.hash), sink.length)),
            404 => Ok(Found::Nothing),
            status => Err(Trouble::Refused(format!("GET {target}: {status}"))),
        }
    }

    /// Pulls a manifest; none if there is no such thing.
    pub fn pull_manifest(&mut self, name: &str, reference: &str) -> Result<Option<Response>, Trouble> {
        let target = format!("/v2/{name}/manifests/{reference}");
        let headers = [("Accept", MANIFEST_TYPE)];
        let request = Request {
            method: "GET",
            target: &target,
            headers: &headers,
            body: Body::Empty,
        };
        let response = self.expect(&[200, 404], request)?;
        Ok((response.status == 200).then_some(response))
    }

    /// The strings under `key` of a list document, over all its pages; empty if there is no such list.
    pub fn list(&mut self, target: &str, key: &str) -> Result<Vec<String>, Trouble> {
        let mut names = Vec::new();
        let mut next = Some(target.to_owned());
        while let Some(target) = next.take() {
            let response = self.expect(&[200, 404], Request::new("GET", &target))?;
            let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let entries = document[key].as_array().into_iter().flatten();
            names.extend(
                entries.filter_map(|entry| entry.as_str().or(entry["digest"].as_str()).map(str::to_owned)),
            );
            let link = response
                .header("link")
                .and_then(|link| link.strip_prefix('<')?.split_once('>'));
            next = link.map(|(target, _)| target.to_owned());
        }
        Ok(names)
    }
}

struct HashSink {
    hash: Sha256,
    length: u64,
}

impl io::Write for HashSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
