//! Start: how long until the first answer, with nothing in the catalog and with much; and how large the program is.
//!
//! Units: seconds, bytes. Shape: the server that is given is left alone; others are started, on a folder that one of them filled.

use std::fs;
use std::io;
use std::sync::Mutex;

use tempfile::TempDir;

use super::super::Bench;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::seed;
use super::super::server::Server;
use super::super::usage;
use super::Task;

#[derive(Default)]
pub(crate) struct Start {
    pub(crate) is_full: bool,
    /// The filled folder, between two starts.
    pub(crate) folder: Mutex<Option<TempDir>>,
}

impl Task for Start {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || (product.is_peer() && !self.is_full)
    }

    fn prepare(&self, bench: &Bench<'_>, server: &Server) -> io::Result<()> {
        if !self.is_full {
            return Ok(());
        }
        let filled = Server::start(bench, server.product, server.mode)?;
        seed::manifests(bench, &filled, bench.manifests)?;
        *self.folder.lock().map_err(|_| io::ErrorKind::Other)? = Some(filled.end()?);
        Ok(())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, _: u64) -> io::Result<Spent> {
        let mut kept = self.folder.lock().map_err(|_| io::ErrorKind::Other)?;
        let folder = match kept.take() {
            Some(folder) => folder,
            None => bench.folder(server.product)?,
        };
        let (started, seconds) = Server::start_in(bench, server.product, server.mode, folder)?;
        let cpu_seconds = usage::cpu_seconds(&started.family()?)?;
        let folder = started.end()?;
        if self.is_full {
            *kept = Some(folder);
        }
        Ok(Spent {
            units: 1,
            seconds,
            cpu_seconds,
            peak_bytes: 0,
        })
    }
}

/// The static program.
pub(crate) struct BinarySize;

impl Task for BinarySize {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall
    }

    fn round(&self, bench: &Bench<'_>, _: &Server, _: u64) -> io::Result<Spent> {
        Ok(Spent {
            units: fs::metadata(bench.house.landfall())?.len(),
            ..Spent::default()
        })
    }
}
