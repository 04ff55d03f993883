//! Media types of manifests, and the few layer types that mean something to a registry.
//!
//! Source: image-spec "Media Types"; RFC 6838 section 4.2 for the grammar.

/// The registered names that this crate compares with.
pub mod media_types {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A Docker schema 2 manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker schema 2 manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Layers that a manifest may name without their bytes being here, if it says where they are.
    pub const FOREIGN_LAYERS: [&str; 5] = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    /// Recognised only to be refused by name: no current client makes them.
    pub const WITHDRAWN: [&str; 3] = [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.artifact.manifest.v1+json",
    ];
}

/// The media type of a manifest that we store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaType {
    /// An OCI image manifest.
    OciManifest,
    /// An OCI image index.
    OciIndex,
    /// A Docker schema 2 manifest.
    DockerManifest,
    /// A Docker schema 2 manifest list.
    DockerList,
}

impl MediaType {
    /// Parses without its parameters; none for anything that is not a manifest we store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match essence(text) {
            media_types::OCI_MANIFEST => Some(Self::OciManifest),
            media_types::OCI_INDEX => Some(Self::OciIndex),
            media_types::DOCKER_MANIFEST => Some(Self::DockerManifest),
            media_types::DOCKER_LIST => Some(Self::DockerList),
            _ => None,
        }
    }

    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciManifest => media_types::OCI_MANIFEST,
            Self::OciIndex => media_types::OCI_INDEX,
            Self::DockerManifest => media_types::DOCKER_MANIFEST,
            Self::DockerList => media_types::DOCKER_LIST,
        }
    }

    /// True for the types that list other manifests.
    #[must_use]
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

/// `type/subtype` without parameters and blanks around it.
pub(crate) fn essence(text: &str) -> &str {
    text.split_once(';').map_or(text, |(essence, _)| essence).trim()
}
