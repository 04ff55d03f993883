//! What the disk, the catalog and memory hold, how far each actor is, and the rules that must hold of it at any moment.

use super::Deletes;

/// Of a file, at each location.
pub(crate) const ABSENT: u8 = 0;
pub(crate) const WRITTEN: u8 = 1;
pub(crate) const DURABLE: u8 = 2;
/// Of a link.
pub(crate) const UNLINKED: u8 = 0;
pub(crate) const SHOWN: u8 = 1;
pub(crate) const HIDDEN: u8 = 2;
/// Of a manifest.
pub(crate) const UNKNOWN: u8 = 0;
pub(crate) const LIVE: u8 = 1;
pub(crate) const TRASHED: u8 = 2;
/// No location.
pub(crate) const NOWHERE: u8 = 3;
/// An actor that has nothing more to do.
pub(crate) const DONE: u8 = 7;

/// Manifest `n` is in repository `HOMES[n]`: 0 was there before, 1 and 2 are those of the uploads, 3 that of the mount, 4 that
/// of the client who only looks.
pub(crate) const HOMES: [usize; 5] = [0, 0, 0, 1, 0];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) files: [u8; 3],
    pub(crate) blob: u8,
    pub(crate) links: [u8; 2],
    pub(crate) manifests: [u8; 5],
    pub(crate) tombstones: u8,
    pub(crate) in_flight: u8,
    pub(crate) uploads: [u8; 2],
    pub(crate) mount: u8,
    pub(crate) look: u8,
    /// Trashes manifest 0, then purges or restores it; or deletes repository 0 (1), and restores it or ends it (2) until
    /// nothing in it is live (3).
    pub(crate) delete: u8,
    pub(crate) unlink: u8,
    pub(crate) reviews: [(u8, u8); 2],
    pub(crate) sweep: (u8, u8),
    pub(crate) scan: (u8, u8),
    pub(crate) crashed: u8,
}

impl State {
    pub(crate) fn start() -> Self {
        Self {
            files: [DURABLE, ABSENT, ABSENT],
            blob: 0,
            links: [SHOWN, UNLINKED],
            manifests: [LIVE, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN],
            tombstones: 0,
            in_flight: 0,
            uploads: [0; 2],
            mount: 0,
            look: 0,
            delete: 0,
            unlink: 0,
            reviews: [(0, 0); 2],
            sweep: (0, 0),
            scan: (0, 0),
            crashed: 0,
        }
    }

    /// Every field in its bits. The two collectors are alike, so which of them is where does not matter.
    pub(crate) fn key(&self) -> u64 {
        let [mut first, mut second] = self.reviews;
        if first > second {
            (first, second) = (second, first);
        }
        let fields: [(u8, u8); 28] = [
            (self.files[0], 2),
            (self.files[1], 2),
            (self.files[2], 2),
            (self.blob, 2),
            (self.links[0], 2),
            (self.links[1], 2),
            (self.manifests[0], 2),
            (self.manifests[1], 2),
            (self.manifests[2], 2),
            (self.manifests[3], 2),
            (self.manifests[4], 2),
            (self.tombstones, 3),
            (self.in_flight, 2),
            (self.uploads[0], 3),
            (self.uploads[1], 3),
            (self.mount, 3),
            (self.look, 3),
            (self.delete, 3),
            (self.unlink, 1),
            (first.0, 3),
            (first.1, 2),
            (second.0, 3),
            (second.1, 2),
            (self.sweep.0, 3),
            (self.sweep.1, 2),
            (self.scan.0, 3),
            (self.scan.1, 2),
            (self.crashed, 1),
        ];
        let mut key = 0;
        for (value, bits) in fields {
            assert!(value < 1 << bits, "{self:?} does not fit");
            key = key << bits | u64::from(value);
        }
        key
    }

    pub(crate) fn names(&self, repo: usize) -> bool {
        (0..5).any(|m| HOMES[m] == repo && self.manifests[m] != UNKNOWN)
    }

    /// Whether repository 0 is deleted: who comes by its name then finds another one.
    pub(crate) fn is_deleted(&self, deletes: Deletes) -> bool {
        deletes == Deletes::Repository && matches!(self.delete, 1..=3)
    }

    pub(crate) fn broken_rule(&self, deletes: Deletes) -> Option<&'static str> {
        if deletes == Deletes::Repository {
            let lives = |m: usize| HOMES[m] == 0 && self.manifests[m] == LIVE;
            if self.delete == 3 && (0..5).any(lives) {
                return Some("a live manifest in a repository that nobody will look at again");
            }
            if self.delete == DONE && self.manifests[0] != LIVE {
                return Some("a repository that came back without what it held");
            }
        }
        let here = |m: usize| self.links[HOMES[m]];
        if self.blob != NOWHERE && self.files[usize::from(self.blob)] != DURABLE {
            return Some("a blob row without durable bytes");
        }
        if (0..5).any(|m| self.manifests[m] != UNKNOWN && here(m) == UNLINKED) {
            return Some("a manifest whose repository does not have its blob");
        }
        if (0..5).any(|m| self.manifests[m] == LIVE && here(m) == HIDDEN) {
            return Some("a live manifest whose blob is not served");
        }
        if (self.links != [UNLINKED; 2]) != (self.blob != NOWHERE) {
            return Some("a blob row without links, or links without a blob row");
        }
        if self.blob != NOWHERE && self.tombstones & 1 << self.blob != 0 {
            return Some("bytes that are served and are to be removed");
        }
        None
    }
}
