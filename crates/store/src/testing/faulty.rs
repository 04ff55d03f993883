//! A disk that fails on demand.
//!
//! Rules are tried in the order in which they were made; each counts the calls of its kind. Besides failing, calls can
//! be counted, writes cut short, a kind of call held until the test lets it go on, and each call be watched before it is made.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::files::{Access, File, Files, Lock, Mount, Reserve, Space};

/// A kind of call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// `Files::create_new`.
    Create,
    /// `Files::open`.
    Open,
    /// `Files::open` for direct writes.
    OpenDirect,
    /// `Files::rename_noreplace`.
    Rename,
    /// `Files::unlink`.
    Unlink,
    /// `Files::mkdir`.
    Mkdir,
    /// `Files::link`.
    Link,
    /// `Files::clone_file`.
    Clone,
    /// `Files::sync_dir`.
    SyncDir,
    /// `File::read_at`.
    Read,
    /// `File::write_at` through the page cache.
    Write,
    /// `File::write_at` past it.
    WriteDirect,
    /// `File::sync`.
    Sync,
    /// `File::truncate`.
    Truncate,
    /// `File::reserve`.
    Reserve,
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// ENOSPC.
    NoSpace,
    /// EIO.
    Broken,
    /// EINVAL: not possible on this disk.
    Refused,
}

#[derive(Debug)]
struct Rule {
    op: Op,
    /// Calls to let through first.
    skip: u64,
    /// Calls to fail after those.
    times: u64,
    failure: Failure,
}

#[derive(Default, Debug)]
struct Script {
    rules: Vec<Rule>,
    counts: HashMap<Op, u64>,
    write_max: Option<usize>,
    held: HashMap<Op, u64>,
}

#[derive(Default, Debug)]
struct Director {
    script: Mutex<Script>,
    changed: Condvar,
    watcher: Mutex<Option<Watcher>>,
}

/// Looks on before each call, on the thread that makes it.
#[derive(Clone)]
struct Watcher(Arc<dyn Fn(Op) + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

/// See the file. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct FaultyFiles {
    files: Arc<dyn Files>,
    director: Arc<Director>,
}

impl FaultyFiles {
    /// `files`, without faults yet.
    #[must_use]
    pub fn new(files: Arc<dyn Files>) -> Self {
        Self {
            files,
            director: Arc::default(),
        }
    }

    /// Lets `skip` calls of `op` through, then fails the next `times`.
    pub fn fail(&self, op: Op, skip: u64, times: u64, failure: Failure) {
        self.director.lock().rules.push(Rule {
            op,
            skip,
            times,
            failure,
        });
    }

    /// Ends all faults; counts stay.
    pub fn heal(&self) {
        let mut script = self.director.lock();
        script.rules.clear();
        script.write_max = None;
    }

    /// From now on `watcher` looks on before each call.
    pub fn watch(&self, watcher: impl Fn(Op) + Send + Sync + 'static) {
        *self.director.watcher() = Some(Watcher(Arc::new(watcher)));
    }

    /// Nobody looks on any more.
    pub fn unwatch(&self) {
        *self.director.watcher() = None;
    }

    /// Writes take at most `max` bytes a call.
    pub fn shorten_writes(&self, max: usize) {
        self.director.lock().write_max = Some(max);
    }

    /// How many calls of `op` there were, failed and held ones too.
    #[must_use]
    pub fn count(&self, op: Op) -> u64 {
        self.director.lock().counts.get(&op).copied().unwrap_or(0)
    }

    /// From now on calls of `op` wait.
    pub fn hold(&self, op: Op) {
        self.director.lock().held.insert(op, 0);
    }

    /// Lets one waiting call of `op`, or the next to come, go on.
    pub fn release_one(&self, op: Op) {
        *self.director.lock().held.entry(op).or_default() += 1;
        self.director.changed.notify_all();
    }

    /// Calls of `op` wait no more.
    pub fn release(&self, op: Op) {
        self.director.lock().held.remove(&op);
        self.director.changed.notify_all();
    }

    fn wrap(&self, file: Arc<dyn File>, is_direct: bool) -> Arc<dyn File> {
        Arc::new(FaultyFile {
            file,
            is_direct,
            director: Arc::clone(&self.director),
        })
    }
}

impl Director {
    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watcher(&self) -> MutexGuard<'_, Option<Watcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to a call of `op`.
    fn call(&self, op: Op) -> io::Result<()> {
        let watcher = self.watcher().clone();
        if let Some(Watcher(watcher)) = watcher {
            watcher(op);
        }
        let mut script = self.lock();
        *script.counts.entry(op).or_default() += 1;
        while let Some(free) = script.held.get_mut(&op) {
            if *free > 0 {
                *free -= 1;
                break;
            }
            script = self.changed.wait(script).unwrap_or_else(PoisonError::into_inner);
        }
        for rule in script.rules.iter_mut().filter(|rule| rule.op == op) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 {
                rule.times -= 1;
                return Err(match rule.failure {
                    Failure::NoSpace => Errno::NOSPC.into(),
                    Failure::Broken => Errno::IO.into(),
                    Failure::Refused => Errno::INVAL.into(),
                });
            }
        }
        Ok(())
    }
}

impl Files for FaultyFiles {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.director.call(Op::Create)?;
        Ok(self.wrap(self.files.create_new(path)?, false))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let is_direct = access == Access::Direct;
        self.director
            .call(if is_direct { Op::OpenDirect } else { Op::Open })?;
        Ok(self.wrap(self.files.open(path, access)?, is_direct))
    }

    fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.director.call(Op::Rename)?;
        self.files.rename_noreplace(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.director.call(Op::Unlink)?;
        self.files.unlink(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.director.call(Op::Link)?;
        self.files.link(from, to)
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.director.call(Op::Clone)?;
        self.files.clone_file(from, to)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.director.call(Op::Mkdir)?;
        self.files.mkdir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.director.call(Op::SyncDir)?;
        self.files.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.files.list(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.files.lock(path)
    }

    fn mount(&self, path: &Path) -> io::Result<Mount> {
        self.files.mount(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.files.space(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn File>,
    is_direct: bool,
    director: Arc<Director>,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.director.call(Op::Read)?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.director.call(if self.is_direct {
            Op::WriteDirect
        } else {
            Op::Write
        })?;
        let max = self.director.lock().write_max.unwrap_or(usize::MAX);
        self.file.write_at(&bytes[..bytes.len().min(max)], offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.director.call(Op::Sync)?;
        self.file.sync()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.director.call(Op::Truncate)?;
        self.file.truncate(size)
    }

    fn reserve(&self, size: u64, how: Reserve) -> io::Result<()> {
        self.director.call(Op::Reserve)?;
        self.file.reserve(size, how)
    }

    fn direct_block(&self) -> io::Result<Option<u64>> {
        self.file.direct_block()
    }

    fn host(&self) -> Option<&Arc<std::fs::File>> {
        self.file.host()
    }
}
