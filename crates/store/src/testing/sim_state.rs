//! What a `SimDisk` holds: for every name and every page, what is there now and what a power cut cannot take away.
//!
//! Content, size and each name become durable separately: `sync_file` for the first two, `sync_dir` for the names in a
//! folder and never for the file behind them. Until then a cut may leave a page old, new or torn at a sector, a size old
//! or new, and a name in any state that it has had since the last sync. Pages are 4 KiB, sectors 512 bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::io::Errno;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// What a power cut does to that which was not durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing of it is kept.
    LoseAll,
    /// All of it is kept.
    KeepAll,
    /// Each part is kept, lost or torn by a coin of this seed.
    Random(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Folder,
    File(usize),
}

/// The content of a file, now and durably.
#[derive(Clone, Default, Debug)]
struct Inode {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
}

/// See the file.
#[derive(Default, Debug)]
pub(super) struct Disk {
    inodes: Vec<Inode>,
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// The states of a name since its folder was synced, the last one being the present.
    unsynced: BTreeMap<PathBuf, Vec<Option<Node>>>,
    owner: Weak<()>,
    pub(super) boots: u64,
    pub(super) changes: u64,
    pub(super) changes_left: Option<u64>,
}

impl Disk {
    /// Fails after the power cut.
    pub(super) fn is_on(&self) -> io::Result<()> {
        if self.changes_left == Some(0) {
            Err(Errno::IO.into())
        } else {
            Ok(())
        }
    }

    fn change(&mut self) -> io::Result<()> {
        self.is_on()?;
        self.changes += 1;
        if let Some(left) = &mut self.changes_left {
            *left -= 1;
        }
        Ok(())
    }

    pub(super) fn is_locked(&self) -> bool {
        self.owner.strong_count() > 0
    }

    pub(super) fn lock_for(&mut self, owner: &Arc<()>) {
        self.owner = Arc::downgrade(owner);
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        self.is_on()?;
        if path == Path::new("/") {
            return Ok(Node::Folder);
        }
        self.live.get(path).copied().ok_or_else(|| Errno::NOENT.into())
    }

    pub(super) fn find_file(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::File(inode) => Ok(inode),
            Node::Folder => Err(Errno::ISDIR.into()),
        }
    }

    fn set(&mut self, path: &Path, node: Option<Node>) -> io::Result<()> {
        match path.parent().map(|parent| self.find(parent)) {
            Some(Ok(Node::Folder)) => {}
            _ => return Err(Errno::NOENT.into()),
        }
        if node.is_some() && self.live.contains_key(path) {
            return Err(Errno::EXIST.into());
        }
        if node.is_none() && self.live.remove(path).is_none() {
            return Err(Errno::NOENT.into());
        }
        if let Some(node) = node {
            self.live.insert(path.to_owned(), node);
        }
        self.unsynced.entry(path.to_owned()).or_default().push(node);
        Ok(())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.change()?;
        let inode = self.inodes.len();
        self.set(path, Some(Node::File(inode)))?;
        self.inodes.push(Inode::default());
        Ok(inode)
    }

    pub(super) fn mkdir(&mut self, path: &Path) -> io::Result<()> {
        self.change()?;
        self.set(path, Some(Node::Folder))
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.change()?;
        self.set(path, None)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        let node = self.live.get(from).copied().ok_or(Errno::NOENT)?;
        self.set(to, Some(node))?;
        self.set(from, None)
    }

    pub(super) fn sync_dir(&mut self, folder: &Path) -> io::Result<()> {
        self.change()?;
        let names = self
            .unsynced
            .extract_if(.., |path, _| path.parent() == Some(folder));
        for (path, states) in names {
            match states.last().copied().flatten() {
                Some(node) => self.durable.insert(path, node),
                None => self.durable.remove(&path),
            };
        }
        Ok(())
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.find(folder)?;
        let below = self.live.keys().filter(|path| path.parent() == Some(folder));
        Ok(below
            .filter_map(|path| path.file_name().map(OsString::from))
            .collect())
    }

    pub(super) fn read(&self, inode: usize, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.is_on()?;
        let bytes = &self.inodes[inode].live;
        let from = index(offset).min(bytes.len());
        let read = buffer.len().min(bytes.len() - from);
        buffer[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    pub(super) fn write(&mut self, inode: usize, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.change()?;
        let live = Arc::make_mut(&mut self.inodes[inode].live);
        let (from, to) = (index(offset), index(offset) + bytes.len());
        live.resize(live.len().max(to), 0);
        live[from..to].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    pub(super) fn truncate(&mut self, inode: usize, size: u64) -> io::Result<()> {
        self.change()?;
        Arc::make_mut(&mut self.inodes[inode].live).resize(index(size), 0);
        Ok(())
    }

    pub(super) fn sync_file(&mut self, inode: usize) -> io::Result<()> {
        self.change()?;
        let inode = &mut self.inodes[inode];
        inode.durable = Arc::clone(&inode.live);
        Ok(())
    }

    pub(super) fn size(&self, inode: usize) -> io::Result<u64> {
        self.is_on()?;
        Ok(self.inodes[inode].live.len() as u64)
    }

    /// What the next boot finds.
    pub(super) fn after_the_cut(&self, fate: Fate) -> Self {
        let mut coin = Coin(fate);
        let inodes: Vec<_> = self
            .inodes
            .iter()
            .map(|inode| inode.after_the_cut(&mut coin))
            .collect();
        let mut names = self.durable.clone();
        for (path, states) in &self.unsynced {
            // State 0 is the durable one, the last is the present one.
            let kept = match fate {
                Fate::LoseAll => 0,
                Fate::KeepAll => states.len(),
                Fate::Random(_) => coin.below(states.len() + 1),
            };
            if let Some(state) = kept.checked_sub(1).map(|state| states[state]) {
                match state {
                    Some(node) => names.insert(path.clone(), node),
                    None => names.remove(path),
                };
            }
        }
        // A name whose folder was lost is lost with it. Parents sort before what is in them.
        let mut found: BTreeMap<PathBuf, Node> = BTreeMap::new();
        for (path, node) in names {
            let parent = path.parent().unwrap_or(Path::new("/"));
            if parent == Path::new("/") || found.get(parent) == Some(&Node::Folder) {
                found.insert(path, node);
            }
        }
        Self {
            inodes,
            durable: found.clone(),
            live: found,
            boots: self.boots + 1,
            ..Self::default()
        }
    }
}

impl Inode {
    fn after_the_cut(&self, coin: &mut Coin) -> Self {
        let mut found = match coin.0 {
            Fate::KeepAll => {
                return Self {
                    live: Arc::clone(&self.live),
                    durable: Arc::clone(&self.live),
                };
            }
            Fate::LoseAll => {
                return Self {
                    live: Arc::clone(&self.durable),
                    durable: Arc::clone(&self.durable),
                };
            }
            Fate::Random(_) if Arc::ptr_eq(&self.live, &self.durable) => return self.clone(),
            Fate::Random(_) => self.durable.to_vec(),
        };
        if coin.below(2) == 0 {
            found.resize(self.live.len(), 0);
        }
        for at in (0..found.len().min(self.live.len())).step_by(PAGE) {
            let end = (at + PAGE).min(found.len()).min(self.live.len());
            let kept = match coin.below(3) {
                0 => at,
                1 => end,
                _ => (at + SECTOR * coin.below(PAGE / SECTOR)).min(end),
            };
            found[at..kept].copy_from_slice(&self.live[at..kept]);
        }
        let found = Arc::new(found);
        Self {
            live: Arc::clone(&found),
            durable: found,
        }
    }
}

/// Splitmix64, so that a seed names a fate for good.
struct Coin(Fate);

impl Coin {
    fn below(&mut self, sides: usize) -> usize {
        let Fate::Random(seed) = &mut self.0 else { return 0 };
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = *seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        index((bits ^ (bits >> 31)) % sides as u64)
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
