//! Exporting: what is served here, written as folders that others read. Nobody is locked in.
//!
//! Shape: `distribution` writes the tree that the CNCF registry serves, `oci` an image layout for each repository; both
//! put files through `place`. Large blobs get one more name where the file system allows, so an export costs no room.
//! Every file is complete or absent, and content comes before what names it: a cut-off export can be repeated, and what
//! is there already is left alone.
//! Fails: `Export` (the target), `RepositoryUnknown`, `NoRoom`. Content of ours that is missing is counted, and listed.
//! Source: the layout of the CNCF registry's filesystem driver; image-spec "Image Layout".

mod distribution;
mod oci_layout;
mod place;

use std::path::{Path, PathBuf};

use oci::RepositoryName;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Error, Registry};
use place::Target;

/// Rows that are read at once.
const PAGE: usize = 256;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The root directory of a CNCF registry.
    Distribution,
    /// An OCI image layout in a folder for each repository, named after it.
    Oci,
}

/// Why nothing more could be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The disk refused.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: std::io::Error,
    },
    /// The target is our own store.
    #[error("{} is where this registry keeps its data: choose another folder", .0.display())]
    OwnFolder(PathBuf),
}

/// What was written, or was there.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Exported {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs, each once for each repository that has it.
    pub blobs: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files of blobs that are one more name of ours.
    pub linked: u64,
    /// Files that are a clone of ours.
    pub cloned: u64,
    /// Files that are a copy.
    pub copied: u64,
    /// Bytes of those.
    pub bytes_copied: u64,
    /// Files that were there already.
    pub present: u64,
    /// Blobs whose bytes are missing here: left out.
    pub missing: Vec<String>,
}

/// What there is to write.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Expected {
    /// Repositories.
    pub repositories: u64,
    /// Bytes of blobs, each once for each repository that has it.
    pub bytes: u64,
}

/// Who is told how it goes: of every blob and every repository that is done.
type Each<'a> = &'a mut (dyn FnMut(&Expected, &Exported) + Send + 'a);

impl Registry {
    /// Writes these repositories, or all, below `target`. `each` hears how far it is.
    pub async fn export(
        &self,
        target: &Path,
        layout: Layout,
        repositories: &[RepositoryName],
        mut each: impl FnMut(&Expected, &Exported) + Send,
        stop: &CancellationToken,
    ) -> Result<Exported, Error> {
        let own = self.inner.store.folder().to_owned();
        if std::path::absolute(target).is_ok_and(|target| target.starts_with(&own)) {
            return Err(ExportError::OwnFolder(target.to_owned()).into());
        }
        for name in repositories {
            let wanted = name.clone();
            let exists = move |tx: &mut catalog::Tx<'_>| catalog::repo_exists(tx, &wanted);
            if !self.inner.catalog.read(exists).await? {
                return Err(Error::RepositoryUnknown(name.clone()));
            }
        }
        let all: Vec<RepositoryName>;
        let repositories = if repositories.is_empty() {
            all = self.every_name().await?;
            &all
        } else {
            repositories
        };
        let expected = self.expected(repositories).await?;
        let mut target = Target::open(self, target, expected, &mut each, stop).await?;
        for name in repositories {
            target.repository(layout, name).await?;
        }
        target.finish().await
    }

    /// The names of all repositories.
    async fn every_name(&self) -> Result<Vec<RepositoryName>, Error> {
        let (mut all, mut last): (_, Option<String>) = (Vec::new(), None);
        loop {
            let after = last.clone();
            let names =
                move |tx: &mut catalog::Tx<'_>| catalog::list_repositories(tx, after.as_deref(), PAGE);
            let page = self.inner.catalog.read(names).await?;
            all.extend(
                page.names
                    .iter()
                    .filter_map(|name| name.parse::<RepositoryName>().ok()),
            );
            last = page.names.last().cloned();
            if !page.more {
                return Ok(all);
            }
        }
    }

    /// The sum of what they hold, from the counters.
    async fn expected(&self, repositories: &[RepositoryName]) -> Result<Expected, Error> {
        let mut bytes = 0;
        for name in repositories {
            let scope = catalog::Scope::Repository(name.clone());
            let usage = move |tx: &mut catalog::Tx<'_>| catalog::usage(tx, &scope);
            let usage = self.inner.catalog.read(usage).await?;
            bytes += u64::try_from(usage.bytes).unwrap_or_default();
        }
        Ok(Expected {
            repositories: repositories.len() as u64,
            bytes,
        })
    }
}

impl Target<'_> {
    async fn repository(&mut self, layout: Layout, name: &RepositoryName) -> Result<(), Error> {
        match layout {
            Layout::Distribution => self.distribution(name).await?,
            Layout::Oci => self.oci(name).await?,
        }
        self.exported.repositories += 1;
        self.tell();
        Ok(())
    }
}
