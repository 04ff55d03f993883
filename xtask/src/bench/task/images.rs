//! Small writes: images of two small blobs, tags of an image that is there, mounts of a blob that is there.
//!
//! Shape: every image, every tag and every repository that is mounted to is new to the server, over all rounds and cases.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock::{self, Image};
use super::Task;

/// Numbers that were never used before in this run. The image 0 is the one that is read.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn fresh() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Two blobs, each by POST and PUT, then the manifest: five requests.
pub(crate) struct Images {
    pub(crate) connections: u64,
}

impl Task for Images {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || product.is_peer()
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        rustix::fs::sync();
        for_a_while(server, self.connections, bench.round(number), |wire, _, _| {
            let number = fresh();
            Image::new(number).push(server, wire, stock::REPOSITORY, &format!("i{number}"))
        })
    }
}

/// One manifest under ever new tags.
pub(crate) struct Tags {
    pub(crate) connections: u64,
}

impl Task for Tags {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || product.is_peer()
    }

    fn prepare(&self, _: &Bench<'_>, server: &Server) -> io::Result<()> {
        stock::image(server).map(|_| ())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let manifest = Image::new(0).manifest;
        rustix::fs::sync();
        for_a_while(server, self.connections, bench.round(number), |wire, _, _| {
            let target = stock::manifest_target(&format!("n{}", fresh()));
            let put = server.endpoint.manifest_put(&target, &manifest);
            wire.ask(&put, 201).map(|_| ())
        })
    }
}

/// One blob into ever new repositories.
pub(crate) struct Mounts {
    pub(crate) connections: u64,
}

impl Task for Mounts {
    fn suits(&self, product: Product) -> bool {
        product == Product::Landfall || product.is_peer()
    }

    fn prepare(&self, _: &Bench<'_>, server: &Server) -> io::Result<()> {
        stock::image(server).map(|_| ())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let digest = Image::new(0).layer.digest;
        rustix::fs::sync();
        for_a_while(server, self.connections, bench.round(number), |wire, _, _| {
            let repository = format!("bench/m{}", fresh());
            let target = format!(
                "/v2/{repository}/blobs/uploads/?mount={digest}&from={}",
                stock::REPOSITORY
            );
            wire.ask(&server.endpoint.request("POST", &target, b""), 201)
                .map(|_| ())
        })
    }
}
