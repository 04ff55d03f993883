//! A server at work: started on a free port with a folder of its own, watched, and killed when it is no longer needed.
//!
//! Units: seconds, bytes. Shape: [`Server::time`] runs a piece of work and says what it took of the clock and of the server.
//! Fails: a server that ends or stays silent instead of answering.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::Bench;
use super::figures::Spent;
use super::product::{Mode, PASSWORD, Product, USER};
use super::tls;
use super::usage;
use super::wire::{Endpoint, Wire};

const START_SECONDS_MAX: u64 = 60;
const START_POLL: Duration = Duration::from_micros(200);

/// A running server and its folder.
pub(crate) struct Server {
    pub(crate) product: Product,
    pub(crate) mode: Mode,
    pub(crate) endpoint: Endpoint,
    child: Child,
    folder: TempDir,
    stock: Mutex<BTreeSet<String>>,
}

impl Server {
    /// Starts it with an empty folder; also, how many seconds passed until it answered.
    pub(crate) fn start(bench: &Bench<'_>, product: Product, mode: Mode) -> io::Result<Self> {
        let folder = bench.folder(product)?;
        Self::start_in(bench, product, mode, folder).map(|(server, _)| server)
    }

    /// Starts it with what lies in the folder; also, how many seconds passed until it answered.
    pub(crate) fn start_in(
        bench: &Bench<'_>,
        product: Product,
        mode: Mode,
        folder: TempDir,
    ) -> io::Result<(Self, f64)> {
        let address = free_address()?;
        let mut command = product.command(bench.house, mode, folder.path(), address, &bench.papers)?;
        let mut endpoint = Endpoint::plain(address);
        match mode {
            Mode::Plain => {}
            Mode::Tls => endpoint.tls = Some(tls::trusting(&bench.papers.at("ca.pem"))?),
            Mode::Password => {
                endpoint.authorization =
                    Some(format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}"))));
            }
        }
        Self::spawn(&mut command, product, mode, endpoint, folder)
    }

    /// Starts the program `hasty`, without any window, with what lies in the folder.
    pub(crate) fn start_hasty(program: &Path, folder: TempDir) -> io::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", &address.to_string(), "--data"])
            .arg(folder.path().join("data"))
            .envs(["LEASE", "UNDO", "GRACE", "ORPHAN"].map(|window| (format!("HASTY_{window}_MS"), "0")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let endpoint = Endpoint::plain(address);
        let product = Product::Landfall;
        let started = Self::spawn(&mut command, product, Mode::Plain, endpoint, folder)?;
        Ok(started.0)
    }

    fn spawn(
        command: &mut Command,
        product: Product,
        mode: Mode,
        endpoint: Endpoint,
        folder: TempDir,
    ) -> io::Result<(Self, f64)> {
        let began = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| io::Error::other(format!("{} cannot be started: {error}", product.name())))?;
        let mut server = Self {
            product,
            mode,
            endpoint,
            child,
            folder,
            stock: Mutex::default(),
        };
        server.wait_until_it_answers(began)?;
        let seconds = began.elapsed().as_secs_f64();
        Ok((server, seconds))
    }

    fn wait_until_it_answers(&mut self, began: Instant) -> io::Result<()> {
        let name = self.product.name();
        // nginx has no such page, and says so; an answer is an answer.
        let status = if self.product == Product::Nginx { 404 } else { 200 };
        let request = self.endpoint.get("/v2/");
        loop {
            let answer = Wire::open(&self.endpoint).and_then(|mut wire| wire.ask(&request, status));
            let Err(error) = answer else { return Ok(()) };
            if let Some(end) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "{name} ended ({end}) instead of answering"
                )));
            }
            if began.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                return Err(io::Error::other(format!("{name} does not answer: {error}")));
            }
            std::thread::sleep(START_POLL);
        }
    }

    /// Where nginx finds its files, and everyone else theirs.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn family(&self) -> io::Result<Vec<u32>> {
        usage::family(self.child.id())
    }

    /// Prepares something once in this server's life.
    pub(crate) fn stock(&self, what: &str, prepare: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let is_there = |stock: &Mutex<BTreeSet<String>>| stock.lock().is_ok_and(|stock| stock.contains(what));
        if !is_there(&self.stock) {
            prepare()?;
            if let Ok(mut stock) = self.stock.lock() {
                stock.insert(what.to_owned());
            }
        }
        Ok(())
    }

    /// Runs a piece of work, which says how many units it did.
    pub(crate) fn time(&self, work: impl FnOnce() -> io::Result<u64>) -> io::Result<Spent> {
        let family = self.family()?;
        usage::reset_peak(&family)?;
        let cpu_before = usage::cpu_seconds(&family)?;
        let began = Instant::now();
        let units = work()?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Spent {
            units,
            seconds,
            cpu_seconds: usage::cpu_seconds(&family)? - cpu_before,
            peak_bytes: usage::peak_bytes(&family)?,
        })
    }

    /// Kills it, and gives its folder back.
    pub(crate) fn end(mut self) -> io::Result<TempDir> {
        self.stop();
        // The folder must outlive what is dropped with the rest.
        Ok(std::mem::replace(&mut self.folder, tempfile::tempdir()?))
    }

    /// nginx's workers end with their master only if it is asked, so it is; after a while all are killed.
    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let (Product::Nginx, Some(pid)) = (self.product, pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            for _ in 0..100 {
                if self.child.try_wait().is_ok_and(|end| end.is_some()) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
