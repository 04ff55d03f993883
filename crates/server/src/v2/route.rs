//! A request target under `/v2/` becomes one value of `Route`, by one function.
//!
//! Components of a name may be `blobs`, `manifests`, `tags`, `uploads`, `referrers` or `list`, so a path is read from
//! the right; what is left is the name. Fails: `Misrouted`, which keeps apart what may be told before a login
//! (no such route, wrong method) and what may not (a bad name, tag or digest).
//! Source: distribution-spec "Endpoints" (end-1 … end-13).

use std::borrow::Cow;

use http::Method;
use oci::{BadDigest, BadName, Digest, Reference, RepositoryName};
use uuid::Uuid;

/// What a request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// end-1: `/v2/`.
    Base,
    /// `/v2/_catalog`, kept for clients of the CNCF registry.
    Catalog,
    /// `/v2/_oci/ext/discover`, distribution-spec extensions.
    Extensions,
    /// end-8: `<name>/tags/list`.
    Tags(RepositoryName),
    /// end-3, end-7, end-9: `<name>/manifests/<reference>`.
    Manifest(RepositoryName, Reference),
    /// end-2, end-10: `<name>/blobs/<digest>`.
    Blob(RepositoryName, Digest),
    /// end-4, end-11: `<name>/blobs/uploads/`.
    Uploads(RepositoryName),
    /// end-5, end-6, end-13, end-14: `<name>/blobs/uploads/<id>`.
    Upload(RepositoryName, Uuid),
    /// end-12: `<name>/referrers/<digest>`.
    Referrers(RepositoryName, Digest),
}

/// A method that some route takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
}

/// Why a request has no route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Misrouted {
    /// Nothing lies under this path.
    Nowhere,
    /// The path takes other methods: the value of `Allow`.
    Method(&'static str),
    /// The repository name breaks the grammar.
    Name(BadName),
    /// A digest that is none.
    Digest(BadDigest),
    /// A tag that is none, in a push.
    Tag(BadName),
    /// A tag that is none, in a read: no manifest can have it.
    NoManifest,
    /// An upload id that we never gave.
    NoUpload,
}

/// The shape of a path, before its parts are parsed.
enum Shape<'a> {
    Base,
    Catalog,
    Extensions,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
    Referrers(&'a str, &'a str),
}

impl Route {
    /// Reads `path`, still percent-encoded, which starts with `/v2`. The prefix of the settings is gone already.
    pub fn parse(method: &Method, path: &str) -> Result<(Self, Verb), Misrouted> {
        let path = decode(path);
        let shape = Shape::read(&path).ok_or(Misrouted::Nowhere)?;
        let verb = shape
            .verb(method)
            .ok_or_else(|| Misrouted::Method(shape.allow()))?;
        Ok((shape.into_route(verb)?, verb))
    }

    /// The route's name in logs and metrics: no names, no digests.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Extensions => "extensions",
            Self::Tags(_) => "tags",
            Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Uploads(_) => "uploads",
            Self::Upload(..) => "upload",
            Self::Referrers(..) => "referrers",
        }
    }

    /// The repository that it is about.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::Catalog | Self::Extensions => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }

    /// The methods that it takes: the value of `Allow`.
    #[must_use]
    pub const fn allow(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Extensions | Self::Tags(_) | Self::Referrers(..) => READ,
            Self::Manifest(..) => MANIFEST,
            Self::Blob(..) => BLOB,
            Self::Uploads(_) => UPLOADS,
            Self::Upload(..) => UPLOAD,
        }
    }
}

const READ: &str = "GET, HEAD, OPTIONS";
const MANIFEST: &str = "GET, HEAD, PUT, DELETE, OPTIONS";
const BLOB: &str = "GET, HEAD, DELETE, OPTIONS";
const UPLOADS: &str = "POST, OPTIONS";
const UPLOAD: &str = "GET, HEAD, PATCH, PUT, DELETE, OPTIONS";

impl<'a> Shape<'a> {
    fn read(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?;
        match rest {
            "" | "/" => return Some(Self::Base),
            "/_catalog" => return Some(Self::Catalog),
            "/_oci/ext/discover" => return Some(Self::Extensions),
            _ => {}
        }
        let rest = rest.strip_prefix('/')?;
        let (head, last) = rest.rsplit_once('/')?;
        let (name, kind) = head.rsplit_once('/').unwrap_or(("", head));
        match (kind, last) {
            ("manifests", reference) => Some(Self::Manifest(name, reference)),
            ("referrers", digest) => Some(Self::Referrers(name, digest)),
            ("tags", "list") => Some(Self::Tags(name)),
            ("blobs", "uploads") => Some(Self::Uploads(name)),
            ("blobs", digest) => Some(Self::Blob(name, digest)),
            ("uploads", id) => {
                let name = name.strip_suffix("blobs")?;
                let name = if name.is_empty() {
                    name
                } else {
                    name.strip_suffix('/')?
                };
                Some(if id.is_empty() {
                    Self::Uploads(name)
                } else {
                    Self::Upload(name, id)
                })
            }
            _ => None,
        }
    }

    const fn allow(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Extensions | Self::Tags(_) | Self::Referrers(..) => READ,
            Self::Manifest(..) => MANIFEST,
            Self::Blob(..) => BLOB,
            Self::Uploads(_) => UPLOADS,
            Self::Upload(..) => UPLOAD,
        }
    }

    /// The method as a verb, if the shape takes it.
    fn verb(&self, method: &Method) -> Option<Verb> {
        let verb = match *method {
            Method::GET => Verb::Get,
            Method::HEAD => Verb::Head,
            Method::POST => Verb::Post,
            Method::PUT => Verb::Put,
            Method::PATCH => Verb::Patch,
            Method::DELETE => Verb::Delete,
            Method::OPTIONS => Verb::Options,
            _ => return None,
        };
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
            .then_some(verb)
    }

    fn into_route(self, verb: Verb) -> Result<Route, Misrouted> {
        let name = |text: &str| text.parse().map_err(Misrouted::Name);
        let digest = |text: &str| text.parse().map_err(Misrouted::Digest);
        Ok(match self {
            Self::Base => Route::Base,
            Self::Catalog => Route::Catalog,
            Self::Extensions => Route::Extensions,
            Self::Tags(repository) => Route::Tags(name(repository)?),
            Self::Manifest(repository, text) => Route::Manifest(name(repository)?, reference(text, verb)?),
            Self::Blob(repository, text) => Route::Blob(name(repository)?, digest(text)?),
            Self::Uploads(repository) => Route::Uploads(name(repository)?),
            Self::Upload(repository, id) => {
                Route::Upload(name(repository)?, upload_id(id).ok_or(Misrouted::NoUpload)?)
            }
            Self::Referrers(repository, text) => Route::Referrers(name(repository)?, digest(text)?),
        })
    }
}

fn reference(text: &str, verb: Verb) -> Result<Reference, Misrouted> {
    text.parse().map_err(|bad| match bad {
        BadName::Digest(bad) => Misrouted::Digest(bad),
        bad if verb == Verb::Put => Misrouted::Tag(bad),
        _ => Misrouted::NoManifest,
    })
}

/// Our ids are lower-case UUIDs with dashes; other spellings of a UUID were never given out.
fn upload_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then_some(id)
}

/// Percent-decodes once. What is no UTF-8 afterwards, or no escape before, fits no grammar and is refused there.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(high << 4 | low);
            rest = &rest[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(b: u8) -> Option<u8> {
    char::from(b)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
