//! Adopting: everything that a folder of the CNCF registry holds is served from here, and the folder stays as it was.
//!
//! Shape: `tree` reads the layout, `document` makes a manifest of bytes, `blobs` brings what is large, `run` goes from
//! repository to repository in `steps` and writes down how far it is, `remote` does the same with a registry that is asked over the network, `report` is what comes out of it. A survey is the same run
//! without a registry to bring anything to.
//! The source is opened for reading only (I12); large files get one more name of ours where the file system allows.
//! What is damaged is reported and left out, and never stops the rest. A run that is cut off goes on after the last
//! repository that was brought whole; a later run brings what was added since.
//! Fails: `NoRoom`, `Closing` (told to stop), `Adopt` (the source is no such folder), a disk or a catalog that fails.
//! Source: the layout of the CNCF registry's filesystem driver, versions 2 and 3.

mod blobs;
pub(crate) mod document;
mod remote;
mod report;
mod run;
mod source;
mod steps;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::RepositoryName;
use tokio_util::sync::CancellationToken;

use crate::{Error, Registry};
pub use report::{Damage, Found, Progress, Report};
pub use source::{Fetched, Presence, Remote, RemoteError};
use tree::Tree;

/// How the source is known where it lies in our own root directory, wherever that is mounted.
const IN_PLACE: &str = ".";

/// How much is read to know that a file is what its name says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verify {
    /// Nothing now: what was never hashed is the first to be checked later.
    Deferred,
    /// Sizes, against those that manifests give.
    Size,
    /// Every byte.
    Full,
}

/// Who is told how it goes. Called from one task, in order.
pub trait Watcher: Send {
    /// Some more was done.
    fn progress(&mut self, progress: &Progress);
    /// Something is not as it should be.
    fn damage(&mut self, damage: &Damage);
}

/// Why a folder cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Not the root directory of a CNCF registry.
    #[error(
        "{} holds no registry: expected the folder docker/registry/v2/repositories in it", .0.display()
    )]
    NoTree(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// What was looked at.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Whether a CNCF registry's tree lies in this root directory.
#[must_use]
pub fn is_tree(root: &Path) -> bool {
    Tree::is_at(root)
}

/// Where a survey supposes that everything goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The root directory of the registry that would adopt; it need not exist.
    pub folder: PathBuf,
    /// Blobs up to this size would lie in its catalog.
    pub inline_bytes_max: u64,
}

/// What adopting `root` would find and bring. Writes nothing, anywhere.
pub async fn survey(
    root: &Path,
    verify: Verify,
    destination: &Destination,
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    run::survey(Tree::open(root)?, verify, destination, watcher, stop).await
}

/// What adopting from a running registry would find and bring. Writes nothing, and fetches no blob.
pub async fn survey_from<R: Remote>(
    remote: Arc<R>,
    repositories: &[RepositoryName],
    watcher: &mut dyn Watcher,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    remote::survey(remote, repositories, watcher, stop).await
}

impl Registry {
    /// Whether a tree lies in our own root directory that was never adopted whole.
    pub async fn wants_adoption(&self) -> Result<bool, Error> {
        let root = self.root();
        let there = tokio::task::spawn_blocking(move || Tree::is_at(&root))
            .await
            .map_err(|failed| Error::Interrupted(failed.to_string()))?;
        Ok(there
            && !self
                .inner
                .catalog
                .read(|tx| catalog::is_imported(tx, IN_PLACE))
                .await?)
    }

    /// Brings everything that the tree in `root` holds. Safe to repeat.
    pub async fn adopt(
        &self,
        root: &Path,
        verify: Verify,
        watcher: &mut dyn Watcher,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let tree = Tree::open(root)?;
        let own = std::fs::canonicalize(self.root()).unwrap_or_else(|_| self.root());
        let source = if tree.root() == own {
            IN_PLACE.to_owned()
        } else {
            tree.root().display().to_string()
        };
        run::adopt(self, tree, source, verify, watcher, stop).await
    }

    /// Brings everything that a running registry serves: all its repositories, or these. Safe to repeat.
    pub async fn adopt_from<R: Remote>(
        &self,
        remote: Arc<R>,
        repositories: &[RepositoryName],
        watcher: &mut dyn Watcher,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        remote::adopt(self, remote, repositories, watcher, stop).await
    }

    /// The folder that holds ours.
    fn root(&self) -> PathBuf {
        let folder = self.inner.store.folder();
        folder.parent().unwrap_or(folder).to_owned()
    }
}
