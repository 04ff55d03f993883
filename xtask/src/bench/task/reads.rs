//! Small reads, again and again over connections that stay open.

use std::io;

use super::super::Bench;
use super::super::drive::for_a_while;
use super::super::figures::Spent;
use super::super::product::Product;
use super::super::server::Server;
use super::super::stock::{self, Blob};
use super::super::wire::Wire;
use super::Task;

const BLOB_BYTES: usize = 10 * 1024;
const BLOB_NUMBER: u64 = 7;

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// 10 KiB.
    Blob,
    ManifestByTag,
    ManifestByDigest,
}

pub(crate) struct Reads {
    pub(crate) what: What,
    pub(crate) method: &'static str,
    pub(crate) connections: u64,
}

impl Task for Reads {
    fn suits(&self, _: Product) -> bool {
        true
    }

    fn prepare(&self, _: &Bench<'_>, server: &Server) -> io::Result<()> {
        let request = self.request(server)?;
        let answer = Wire::open(&server.endpoint)?.ask(&request, 200);
        answer.map(|_| ())
    }

    fn round(&self, bench: &Bench<'_>, server: &Server, number: u64) -> io::Result<Spent> {
        let request = self.request(server)?;
        for_a_while(server, self.connections, bench.round(number), |wire, _, _| {
            wire.ask(&request, 200).map(|_| ())
        })
    }
}

impl Reads {
    fn request(&self, server: &Server) -> io::Result<Vec<u8>> {
        let target = match self.what {
            What::Blob => {
                let blob = Blob::new(BLOB_NUMBER, BLOB_BYTES);
                stock::small_blob(server, &blob)?;
                stock::blob_target(&blob.digest)
            }
            What::ManifestByTag => {
                stock::image(server)?;
                stock::manifest_target(stock::TAG)
            }
            What::ManifestByDigest => stock::manifest_target(&stock::image(server)?),
        };
        Ok(server.endpoint.head(self.method, &target, ""))
    }
}
