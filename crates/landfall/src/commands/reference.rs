//! What people name: `team/app`, `team/app:1.2`, `team/app@sha256:…`.

use std::fmt;
use std::str::FromStr;

use oci::{Digest, DigestPrefix, RepositoryName, Tag};

/// A repository, or something in it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    text: String,
    repository: RepositoryName,
    tag: Option<Tag>,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repository, tag) = match (text.split_once('@'), text.split_once(':')) {
            (Some((repository, digest)), _) => {
                if digest.parse::<Digest>().is_err() {
                    digest.parse::<DigestPrefix>().map_err(|bad| bad.to_string())?;
                }
                (repository, None)
            }
            (None, Some((repository, tag))) => (
                repository,
                Some(tag.parse::<Tag>().map_err(|bad| bad.to_string())?),
            ),
            (None, None) => (text, None),
        };
        Ok(Self {
            text: text.to_owned(),
            repository: repository.parse().map_err(|bad: oci::BadName| bad.to_string())?,
            tag,
        })
    }
}

impl Named {
    pub(crate) fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    pub(crate) fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The beginning of a digest, enough for people.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}
