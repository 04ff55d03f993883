//! What every case can use: the sizes and times of this run, certificates and passwords, contents, and folders on the disk.
//!
//! Units: bytes, seconds. Shape: a run has a folder of its own, named after its process, so that several do not meet; what killed
//! runs left there is removed by the next.
//! Fails: what the disk says; `openssl` or `htpasswd` missing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use e2e::papers::{NAME, Papers};
use tempfile::TempDir;

use super::Options;
use super::content::Content;
use super::product::{PASSWORD, Product, USER};
use crate::House;
use crate::outcome::words;

/// What every case can use.
pub(crate) struct Bench<'a> {
    pub(crate) house: &'a House,
    pub(crate) is_quick: bool,
    pub(crate) manifests: u64,
    pub(crate) papers: Papers,
    contents: Mutex<BTreeMap<(u64, u64), Content>>,
    notes: Mutex<Vec<String>>,
}

const ROUNDS: u64 = 3;
const ROUND: Duration = Duration::from_millis(1500);
const ROUND_QUICK: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_millis(400);

impl<'a> Bench<'a> {
    pub(crate) fn new(house: &'a House, options: &Options) -> io::Result<Self> {
        let papers = Papers::default();
        papers.certificate("server", NAME, 9, "ca");
        let line = words(Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]));
        let line = line.ok_or_else(|| io::Error::other("htpasswd does not work"))?;
        fs::write(papers.at("htpasswd"), line + "\n")?;
        let default = if options.quick { 20_000 } else { 200_000 };
        let bench = Self {
            house,
            is_quick: options.quick,
            manifests: options.manifests.unwrap_or(default),
            papers,
            contents: Mutex::default(),
            notes: Mutex::default(),
        };
        bench.remove_leftovers()?;
        fs::create_dir_all(bench.workshop())?;
        Ok(bench)
    }

    /// On the disk of the workspace: a temporary folder may lie in memory.
    pub(crate) fn workshop(&self) -> PathBuf {
        self.workshops().join(std::process::id().to_string())
    }

    fn workshops(&self) -> PathBuf {
        self.house.root.join("target/bench")
    }

    /// What runs left behind that were killed: folders named after a process that is gone.
    fn remove_leftovers(&self) -> io::Result<()> {
        fs::create_dir_all(self.workshops())?;
        for entry in fs::read_dir(self.workshops())? {
            let entry = entry?;
            if !Path::new("/proc").join(entry.file_name()).exists() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn folder(&self, product: Product) -> io::Result<TempDir> {
        let name = product.name().replace(' ', "-");
        TempDir::with_prefix_in(name + "-", self.workshop())
    }

    pub(crate) fn large_bytes(&self) -> u64 {
        if self.is_quick { 256 << 20 } else { 1 << 30 }
    }

    /// From memory a GiB comes so fast that one alone says little about processor time.
    pub(crate) fn pulls_a_round(&self) -> u64 {
        if self.is_quick { 3 } else { 2 }
    }

    pub(crate) fn rounds(&self) -> u64 {
        if self.is_quick { 1 } else { ROUNDS }
    }

    /// How long a round asks again and again.
    pub(crate) fn round(&self, number: u64) -> Duration {
        match number {
            0 => WARM_UP,
            _ if self.is_quick => ROUND_QUICK,
            _ => ROUND,
        }
    }

    /// Content of this number and size; its digest is computed once in a run.
    pub(crate) fn content(&self, number: u64, bytes: u64) -> io::Result<Content> {
        let mut contents = self.contents.lock().map_err(|_| io::ErrorKind::Other)?;
        let content = contents
            .entry((number, bytes))
            .or_insert_with(|| Content::new(number, bytes));
        Ok(content.clone())
    }

    /// Something that a reader of the table should know.
    pub(crate) fn note(&self, note: String) {
        if let Ok(mut notes) = self.notes.lock() {
            notes.push(note);
        }
    }

    pub(crate) fn notes(&self, house: &House, began: Instant) -> Vec<String> {
        let program = fs::metadata(house.landfall()).map_or(0, |file| file.len());
        let mut notes = self.notes.lock().map(|notes| notes.clone()).unwrap_or_default();
        notes.extend([
            format!(
                "the median of {} rounds; large blobs of {} MiB; {} cores; {:.0} s",
                self.rounds(),
                self.large_bytes() >> 20,
                std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
                began.elapsed().as_secs_f64()
            ),
            format!(
                "landfall: {} KiB, default configuration; every request answered 2xx is durable",
                program >> 10
            ),
        ]);
        notes
    }
}
