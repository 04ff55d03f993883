//! Start: how long until the first answer, with nothing in the catalog and with much; and how large the program is.
//!
//! Units: seconds, bytes. Shape: the server that is given is left alone; others are started, on a folder that one of them filled.

use std::fs;
use std::io;
use std::sync::Mutex;

use serde_json::json;
use tempfile::TempDir;

use super::super::Bench;
use super::super::drive::all_of;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock::{Image, REPOSITORY};
use super::super::usage;
use super::super::wire::{MANIFEST_TYPE, Wire};
use super::Task;

/// Connections that fill the catalog.
const FILLERS: u64 = 16;

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
        fill(&filled, bench.manifests)?;
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

/// Manifests of one image, told apart by an annotation and pushed by their digests.
fn fill(server: &Server, manifests: u64) -> io::Result<()> {
    let mut wire = Wire::open(&server.endpoint)?;
    let image = Image::new(0);
    image.push(server, &mut wire, REPOSITORY, "latest")?;
    let document: serde_json::Value = serde_json::from_slice(&image.manifest)?;
    all_of(server, FILLERS, manifests, |wire, index| {
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": document["config"],
            "layers": document["layers"], "annotations": {"number": index.to_string()}});
        let manifest = manifest.to_string().into_bytes();
        let target = format!("/v2/{REPOSITORY}/manifests/{}", e2e::client::digest(&manifest));
        wire.ask(&server.endpoint.manifest_put(&target, &manifest), 201)
            .map(|_| ())
    })
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
