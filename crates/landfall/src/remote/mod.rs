//! Another registry, asked over HTTP or HTTPS: what `adopt` needs of the distribution protocol, from the client's side.
//!
//! Logins (`login`) go only to the host that was named and to the realm that it names; never along a redirect.
//! Certificates are checked against the system's roots (`SSL_CERT_FILE` adds others).
//! Fails: `RemoteError`. A body that pauses for a minute is cut, and taken up again where it was.
//! Source: distribution-spec "Pulling", "Listing Tags"; RFC 9110.

mod address;
mod answer;
mod login;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, LINK, LOCATION, RANGE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oci::{Digest, RepositoryName};
use registry::adopt::{Fetched, Presence, Remote, RemoteError};
use serde::Deserialize;

use crate::url_login;
use address::{absolute, same_host};
use answer::{Busy, SILENCE, Stream, busy, document, unexpected, unreachable, whole};
pub(crate) use login::Login;

const REDIRECTS_MAX: usize = 5;
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A registry at an address.
pub(crate) struct HttpRemote {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// `https://registry.example.com`, without a slash at the end.
    base: String,
    login: Option<Login>,
    /// The `Authorization` that worked last, by repository; the empty name for what belongs to none.
    known: Mutex<HashMap<String, String>>,
}

/// A list of names; each page has one of the two.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Names {
    repositories: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
struct Referrer {
    digest: String,
}

impl HttpRemote {
    /// For the registry at `address`. Fails where the system's certificates cannot be read or the address is none.
    pub(crate) fn new(address: &str, login: Option<Login>) -> Result<Self, RemoteError> {
        let shown = url_login::hidden(address);
        let wrong = |why: &str| RemoteError::Address {
            address: shown.clone(),
            why: why.to_owned(),
        };
        let (address, found) = url_login::without_login(address).map_err(wrong)?;
        let login = match (login, found) {
            (Some(_), Some(_)) => return Err(wrong("it has a login, and another one was given beside it")),
            (login, found) => login.or(found.map(|(user, password)| Login { user, password })),
        };
        let uri: Uri = address
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("it has no host"));
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|source| RemoteError::Unreachable {
                address: address.clone(),
                source: source.into(),
            })?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base: format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')),
            login,
            known: Mutex::default(),
        })
    }

    /// GETs a path of `repository`, logging in where that is asked for.
    async fn get(
        &self,
        repository: &str,
        path: &str,
        headers: &[(http::HeaderName, String)],
    ) -> Result<Response<Incoming>, RemoteError> {
        self.request(&Method::GET, repository, path, headers).await
    }

    async fn request(
        &self,
        method: &Method,
        repository: &str,
        path: &str,
        headers: &[(http::HeaderName, String)],
    ) -> Result<Response<Incoming>, RemoteError> {
        let address = format!("{}{path}", self.base);
        let known = self.known().get(repository).cloned();
        let response = self.ask(method, &address, known.as_deref(), headers).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(authorization) = self.authorize(&address, response.headers()).await? else {
            return Err(RemoteError::Login { address });
        };
        let response = self.ask(method, &address, Some(&authorization), headers).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(RemoteError::Login { address });
        }
        self.known().insert(repository.to_owned(), authorization);
        Ok(response)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks an address, along its redirects. A HEAD ends at the first: where it leads may take a GET alone.
    async fn ask(
        &self,
        method: &Method,
        address: &str,
        authorization: Option<&str>,
        headers: &[(http::HeaderName, String)],
    ) -> Result<Response<Incoming>, RemoteError> {
        let mut target = address.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = Request::builder().method(method).uri(&target);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if let Some(authorization) = authorization
                && same_host(&target, address)
            {
                request = request.header(AUTHORIZATION, authorization);
            }
            let request = request
                .body(Empty::new())
                .map_err(|error| unexpected(&target, error.to_string()))?;
            let answer = tokio::time::timeout(SILENCE, self.client.request(request));
            let response = match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(unreachable(&target, error)),
                Err(late) => return Err(unreachable(&target, late)),
            };
            if busy(response.status()) {
                return Err(unreachable(&target, Busy(response.status())));
            }
            if !response.status().is_redirection() || method == Method::HEAD {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let Some(location) = location else {
                return Err(unexpected(&target, response.status().to_string()));
            };
            target = absolute(&target, location);
        }
        Err(unexpected(address, "too many redirects".to_owned()))
    }

    /// All pages of a list.
    async fn list(&self, repository: &str, path: &str) -> Result<Vec<String>, RemoteError> {
        let mut names = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next.take() {
            let address = format!("{}{path}", self.base);
            let response = self.get(repository, &path, &[]).await?;
            match response.status() {
                StatusCode::OK => {}
                // A repository whose last tag went.
                StatusCode::NOT_FOUND if !repository.is_empty() => return Ok(names),
                other => return Err(unexpected(&address, other.to_string())),
            }
            let link = response.headers().get(LINK).and_then(|link| link.to_str().ok());
            next = link
                .and_then(|link| link.trim().strip_prefix('<')?.split_once('>'))
                .and_then(|(target, _)| self.path_of(&absolute(&address, target)));
            let page: Names = document(&address, response).await?;
            names.extend(page.repositories.or(page.tags).unwrap_or_default());
        }
        Ok(names)
    }

    /// Path and query of an address of ours.
    fn path_of(&self, address: &str) -> Option<String> {
        let base = self.base.parse::<Uri>().ok()?;
        let uri = address.parse::<Uri>().ok()?;
        let path = uri.path_and_query()?.as_str();
        path.strip_prefix(base.path().trim_end_matches('/'))
            .map(str::to_owned)
    }
}

impl Remote for HttpRemote {
    type Blob = Stream;

    fn address(&self) -> String {
        self.base.clone()
    }

    async fn repositories(&self) -> Result<Vec<String>, RemoteError> {
        self.list("", "/v2/_catalog?n=1000").await
    }

    async fn tags(&self, name: &RepositoryName) -> Result<Vec<String>, RemoteError> {
        self.list(name, &format!("/v2/{}/tags/list?n=1000", &**name))
            .await
    }

    async fn manifest(&self, name: &RepositoryName, reference: &str) -> Result<Option<Fetched>, RemoteError> {
        let path = format!("/v2/{}/manifests/{reference}", &**name);
        let address = format!("{}{path}", self.base);
        let response = self.get(name, &path, &[(ACCEPT, MANIFESTS.to_owned())]).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(unexpected(&address, other.to_string())),
        }
        let digest = response.headers().get("docker-content-digest");
        let digest = digest.and_then(|digest| digest.to_str().ok()?.parse().ok());
        let body = whole(&address, response).await?;
        Ok(Some(Fetched { body, digest }))
    }

    async fn referrers(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Digest>, RemoteError> {
        let path = format!("/v2/{}/referrers/{digest}", &**name);
        let response = self.get(name, &path, &[]).await?;
        if response.status() != StatusCode::OK {
            return Ok(Vec::new()); // one of the older registries
        }
        let list: Referrers = document(&format!("{}{path}", self.base), response).await?;
        Ok(list
            .manifests
            .iter()
            .filter_map(|one| one.digest.parse().ok())
            .collect())
    }

    async fn blob_presence(&self, name: &RepositoryName, digest: &Digest) -> Result<Presence, RemoteError> {
        let path = format!("/v2/{}/blobs/{digest}", &**name);
        let response = self.request(&Method::HEAD, name, &path, &[]).await?;
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        match response.status() {
            StatusCode::OK => Ok(length.map_or(Presence::Here, Presence::Sized)),
            StatusCode::NOT_FOUND => Ok(Presence::Absent),
            elsewhere if elsewhere.is_redirection() => Ok(Presence::Here),
            other => Err(unexpected(&format!("{}{path}", self.base), other.to_string())),
        }
    }

    async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> Result<Option<Stream>, RemoteError> {
        let path = format!("/v2/{}/blobs/{digest}", &**name);
        let range = (from > 0).then(|| (RANGE, format!("bytes={from}-")));
        let response = self.get(name, &path, range.as_slice()).await?;
        let skip = match response.status() {
            StatusCode::OK => from,
            StatusCode::PARTIAL_CONTENT => 0,
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(unexpected(&format!("{}{path}", self.base), other.to_string())),
        };
        Ok(Some(Stream {
            body: response.into_body(),
            skip,
        }))
    }
}
