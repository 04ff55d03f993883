//! Reading the folder of a CNCF registry: `<root>/docker/registry/v2/{blobs,repositories}`.
//!
//! Shape: [`Tree::repositories`] lists names, [`Tree::read`] gives one repository's links as a [`Stock`]; what is not as
//! it should be goes into the list of damages beside it. Everything blocks, and only reads.
//! Units: times are Unix milliseconds, those of the link files.
//! Source: `registry/storage/paths.go` of the CNCF registry, whose 2.8 and 3.x write the same layout.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use oci::{Digest, RepositoryName, Tag};

use super::AdoptError;
use super::report::{Damage, Found};

/// Longer than any digest: a link file is not read further.
const LINK_BYTES_MAX: usize = 1024;
/// Deeper than any name of 255 bytes goes: a loop of symbolic links ends here.
const DEPTH_MAX: usize = 128;

/// The tree.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// A link file: the folder that it lies in is named after a digest, and it says where to look.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// The digest that clients ask for.
    pub(super) digest: Digest,
    /// The digest that the content lies under; another only for SHA-512 content kept under SHA-256.
    pub(super) target: Digest,
    pub(super) at: i64,
    pub(super) path: PathBuf,
}

/// A tag's links.
#[derive(Clone, Debug)]
pub(super) struct TagLinks {
    pub(super) tag: Tag,
    pub(super) current: (Digest, i64),
    /// Where it pointed before, oldest first.
    pub(super) before: Vec<(Digest, i64)>,
    pub(super) path: PathBuf,
}

/// One repository.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub(super) name: RepositoryName,
    pub(super) layers: Vec<Link>,
    pub(super) revisions: Vec<Link>,
    pub(super) tags: Vec<TagLinks>,
    pub(super) uploads: u64,
}

impl Tree {
    pub(super) fn is_at(root: &Path) -> bool {
        root.join("docker/registry/v2/repositories").is_dir()
    }

    pub(super) fn open(root: &Path) -> Result<Self, AdoptError> {
        let root = fs::canonicalize(root).map_err(|source| AdoptError::Unreadable {
            path: root.to_owned(),
            source,
        })?;
        if Self::is_at(&root) {
            Ok(Self { root })
        } else {
            Err(AdoptError::NoTree(root))
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn base(&self) -> PathBuf {
        self.root.join("docker/registry/v2")
    }

    /// A path as reports name it.
    pub(super) fn short(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// Where the content of a digest lies.
    pub(super) fn data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.base().join("blobs");
        path.extend([digest.algorithm().name(), &hex[..2], &hex, "data"]);
        path
    }

    /// Every repository, parents before children, in the order of their components.
    pub(super) fn repositories(&self, damages: &mut Vec<Damage>) -> Result<Vec<RepositoryName>, AdoptError> {
        if self.root.join("scheduler-state.json").exists() {
            damages.push(Damage::new("scheduler-state.json", Found::ProxyCache));
        }
        let top = self.base().join("repositories");
        let mut names = Vec::new();
        let mut open = vec![(top.clone(), 0)];
        while let Some((folder, depth)) = open.pop() {
            let entries = match list(&folder) {
                Ok(entries) => entries,
                Err(source) if depth == 0 => return Err(AdoptError::Unreadable { path: folder, source }),
                Err(error) => {
                    damages.push(Damage::new(self.short(&folder), Found::unreadable(&error)));
                    continue;
                }
            };
            let mut is_repository = false;
            let mut below = Vec::new();
            for name in entries {
                let path = folder.join(&name);
                if !path.is_dir() {
                    damages.push(Damage::new(self.short(&path), Found::Foreign));
                } else if ["_manifests", "_layers", "_uploads"]
                    .iter()
                    .any(|&own| name == own)
                {
                    is_repository = true;
                } else if depth < DEPTH_MAX {
                    below.push((path, depth + 1));
                } else {
                    damages.push(Damage::new(self.short(&path), Found::Foreign));
                }
            }
            if is_repository {
                let name = folder.strip_prefix(&top).unwrap_or(&folder).to_string_lossy();
                match name.parse() {
                    Ok(name) => names.push(name),
                    Err(error) => {
                        let reason = oci::BadName::to_string(&error);
                        damages.push(Damage::new(self.short(&folder), Found::BadName { reason }));
                    }
                }
            } else if below.is_empty() && depth > 0 {
                damages.push(Damage::new(self.short(&folder), Found::Foreign));
            }
            open.extend(below.into_iter().rev());
        }
        Ok(names)
    }

    /// Everything that a repository links.
    pub(super) fn read(&self, name: &RepositoryName, damages: &mut Vec<Damage>) -> Stock {
        let folder = self.base().join("repositories").join(&**name);
        let uploads = list(&folder.join("_uploads")).map_or(0, |uploads| uploads.len() as u64);
        Stock {
            name: name.clone(),
            layers: self.links(&folder.join("_layers"), damages),
            revisions: self.links(&folder.join("_manifests/revisions"), damages),
            tags: self.tags(&folder.join("_manifests/tags"), damages),
            uploads,
        }
    }

    /// `<algorithm>/<hex>/link` below a folder; one that is not there has none.
    fn links(&self, folder: &Path, damages: &mut Vec<Damage>) -> Vec<Link> {
        let mut links = Vec::new();
        for algorithm in self.names(folder, damages) {
            let stock = folder.join(&algorithm);
            for hex in self.names(&stock, damages) {
                let place = stock.join(&hex);
                let text = format!("{}:{}", algorithm.to_string_lossy(), hex.to_string_lossy());
                let Ok(digest) = text.parse::<Digest>() else {
                    damages.push(Damage::new(self.short(&place), Found::Foreign));
                    continue;
                };
                let path = place.join("link");
                let found = match read_link(&path) {
                    Ok(Some((target, at))) if leads_to(&digest, &target) => {
                        links.push(Link {
                            digest,
                            target,
                            at,
                            path: self.short(&path),
                        });
                        continue;
                    }
                    Ok(Some((target, _))) => Found::StrayLink {
                        digest: target.to_string(),
                    },
                    // A deletion of the old registry takes the file and leaves its folder.
                    Ok(None) => continue,
                    Err(found) => found,
                };
                damages.push(Damage::new(self.short(&path), found));
            }
        }
        links
    }

    fn tags(&self, folder: &Path, damages: &mut Vec<Damage>) -> Vec<TagLinks> {
        let mut tags = Vec::new();
        for name in self.names(folder, damages) {
            let place = folder.join(&name);
            let tag: Tag = match name.to_string_lossy().parse() {
                Ok(tag) => tag,
                Err(error) => {
                    let reason = oci::BadName::to_string(&error);
                    damages.push(Damage::new(self.short(&place), Found::BadName { reason }));
                    continue;
                }
            };
            let path = place.join("current/link");
            let found = match read_link(&path) {
                Ok(Some(current)) => {
                    let before = self.history(&place.join("index"), &current, damages);
                    tags.push(TagLinks {
                        tag,
                        current,
                        before,
                        path: self.short(&path),
                    });
                    continue;
                }
                Ok(None) => Found::TagWithoutManifest,
                Err(found) => found,
            };
            damages.push(Damage::new(self.short(&path), found));
        }
        tags
    }

    /// What a tag pointed to before, by the times of its index, none of them later than the tag itself.
    fn history(
        &self,
        index: &Path,
        current: &(Digest, i64),
        damages: &mut Vec<Damage>,
    ) -> Vec<(Digest, i64)> {
        let mut before: Vec<_> = self
            .links(index, damages)
            .into_iter()
            .filter(|link| link.target != current.0)
            .map(|link| (link.target, link.at.min(current.1)))
            .collect();
        before.sort_by_key(|(_, at)| *at);
        before
    }

    /// The folders in a folder, in order; one that is not there has none.
    fn names(&self, folder: &Path, damages: &mut Vec<Damage>) -> Vec<std::ffi::OsString> {
        let mut names = match list(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                damages.push(Damage::new(self.short(folder), Found::unreadable(&error)));
                return Vec::new();
            }
        };
        names.retain(|name| {
            let path = folder.join(name);
            let is_folder = path.is_dir();
            // What the old registry was writing when it ended.
            let is_draft = Path::new(name).extension() == Some(OsStr::new("tmp"));
            if !is_folder && !is_draft {
                damages.push(Damage::new(self.short(&path), Found::Foreign));
            }
            is_folder
        });
        names
    }

    /// Every content file, with its size: `each` gets it. What is none is reported.
    pub(super) fn each_content(&self, damages: &mut Vec<Damage>, mut each: impl FnMut(Digest, u64)) {
        let blobs = self.base().join("blobs");
        for algorithm in self.names(&blobs, damages) {
            for short in self.names(&blobs.join(&algorithm), damages) {
                let stock = blobs.join(&algorithm).join(&short);
                for hex in self.names(&stock, damages) {
                    let text = format!("{}:{}", algorithm.to_string_lossy(), hex.to_string_lossy());
                    match (text.parse(), fs::metadata(stock.join(&hex).join("data"))) {
                        (Ok(digest), Ok(data)) => each(digest, data.len()),
                        (Err(_), _) => {
                            damages.push(Damage::new(self.short(&stock.join(&hex)), Found::Foreign));
                        }
                        // A folder that garbage collection left without its file.
                        (Ok(_), Err(_)) => {}
                    }
                }
            }
        }
    }
}

/// What a link file says, and when it was written; none if there is no such file.
fn read_link(path: &Path) -> Result<Option<(Digest, i64)>, Found> {
    let read = || -> io::Result<(Vec<u8>, i64)> {
        use io::Read;
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a file")); // a pipe would be waited for
        }
        let file = fs::File::open(path)?;
        let at = modified(&metadata);
        let mut bytes = Vec::new();
        file.take(LINK_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok((bytes, at))
    };
    let (bytes, at) = match read() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Found::unreadable(&error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => Err(Found::EmptyLink),
        text => match text.parse() {
            Ok(digest) => Ok(Some((digest, at))),
            Err(_) => Err(Found::BadLink {
                text: text.chars().take(120).collect(),
            }),
        },
    }
}

/// A link leads to what its folder is named after, or stands for SHA-512 content that is kept under its SHA-256.
fn leads_to(digest: &Digest, target: &Digest) -> bool {
    digest == target || digest.algorithm() != target.algorithm()
}

/// The time of a file's content, in Unix milliseconds.
fn modified(metadata: &fs::Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The names in a folder, in order.
fn list(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
