//! The rows of a stopped server against its files: every row has its bytes, every stored file its row, its tombstone, its
//! upload or its place aside.
//!
//! Shape: [`of`] gives a [`Report`], which prints as one line of counts and one for each fault. Files are read whole and
//! hashed, so this is for tests. Fails: what cannot be opened; a server that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{Catalog, SqliteOptions};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use store::{FsOptions, FsStore, HostFiles};

use crate::Trouble;

/// What was found.
#[derive(Default)]
pub(crate) struct Report {
    counts: BTreeMap<&'static str, usize>,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(what, count)| format!("{what}={count}"))
            .collect();
        f.write_str(&counts.join(" "))?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// Tables whose rows are counted.
const COUNTED: [&str; 8] = [
    "blobs",
    "repo_blobs",
    "manifests",
    "manifest_bodies",
    "tags",
    "tombstones",
    "uploads",
    "orphans",
];

/// Checks everything.
pub(crate) async fn of(data: &Path) -> Result<Report, Trouble> {
    // Owned for as long as we look, so that no server changes anything meanwhile.
    let store = FsStore::open(data, Arc::new(HostFiles), FsOptions::default())?;
    let folder = store.folder().to_owned();
    let path = folder.join("catalog/landfall.db");
    let catalog = Catalog::open_sqlite(&path, SqliteOptions { readers: 1 })?;
    let mut report = Report {
        faults: catalog.read(catalog::audit).await?,
        ..Report::default()
    };
    catalog.close().await;
    let rows = Connection::open(&path)?;
    for table in COUNTED {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let count: i64 = rows.query_row(&sql, [], |row| row.get(0))?;
        report.counts.insert(table, usize::try_from(count)?);
    }
    report.compare(&rows, &folder)?;
    Ok(report)
}

impl Report {
    fn compare(&mut self, rows: &Connection, folder: &Path) -> Result<(), Trouble> {
        let mut stored = files_below(&folder.join("blobs"))?;
        self.counts.insert("stored-files", stored.len());
        for (location, size, digest) in located(rows)? {
            match stored.remove(&location) {
                Some(path) => self.faults.extend(fault_of(&path, &location, size, &digest)?),
                None => self
                    .faults
                    .push(format!("I1: a row without its bytes: {location}")),
            }
        }
        // A sweep that was cut off has removed the bytes, and does so again.
        for location in texts(rows, "SELECT location FROM tombstones")? {
            stored.remove(&location);
        }
        self.counts.insert("unknown-files", stored.len());
        let parts = files_below(&folder.join("uploads"))?;
        let known: BTreeSet<String> = texts(rows, "SELECT lower(hex(id)) FROM uploads")?
            .into_iter()
            .collect();
        // `<2 hex>/<id>.part`
        let id = |name: &String| {
            name.rsplit('/')
                .next()
                .unwrap_or_default()
                .replace('-', "")
                .replace(".part", "")
        };
        let unknown = parts.keys().filter(|name| !known.contains(&id(name))).count();
        self.counts.insert("unknown-parts", unknown);
        let aside = files_below(&folder.join("quarantine"))?.len();
        self.counts.insert("aside", aside);
        Ok(())
    }
}

/// What is wrong with the bytes of a row.
fn fault_of(path: &Path, location: &str, size: u64, digest: &[u8]) -> io::Result<Option<String>> {
    let mut hash = Sha256::new();
    let mut file = fs::File::open(path)?;
    let (mut buffer, mut length) = (vec![0; 1 << 20], 0_u64);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
    // The first byte of a digest in a row names its algorithm; clients of these tests use SHA-256 alone.
    let is_whole = length == size && hash.finalize()[..] == digest[1..];
    Ok((!is_whole).then(|| format!("I1: {length} bytes that are not those of the row: {location}")))
}

fn located(rows: &Connection) -> Result<Vec<(String, u64, Vec<u8>)>, Trouble> {
    let sql = "SELECT location, size, digest FROM blobs WHERE location IS NOT NULL";
    let mut statement = rows.prepare(sql)?;
    let found = statement.query_map([], |row| {
        let size: i64 = row.get(1)?;
        Ok((row.get(0)?, u64::try_from(size).unwrap_or(0), row.get(2)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn texts(rows: &Connection, sql: &str) -> Result<Vec<String>, Trouble> {
    let mut statement = rows.prepare(sql)?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Every file below a folder, by its path from there.
fn files_below(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut next = vec![folder.to_owned()];
    while let Some(one) = next.pop() {
        let entries = match fs::read_dir(&one) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                next.push(path);
            } else if let Ok(below) = path.strip_prefix(folder) {
                found.insert(below.display().to_string(), path);
            }
        }
    }
    Ok(found)
}
