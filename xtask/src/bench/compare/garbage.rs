//! What collecting one deleted image costs the server, with little in its catalog and with much.
//!
//! Units: microseconds of processor time. Shape: images are pushed and deleted while the collector rests, and then it takes
//! all of them.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::Bench;
use super::super::drive::all_of;
use super::super::figures::{number, real};
use super::super::server::Server;
use super::super::stock::{Blob, push_small};
use super::super::wire::MANIFEST_TYPE;
use super::{Comparison, Sized, median, order};

const CONNECTIONS: u64 = 16;
const IMAGES: u64 = 2_000;
const IMAGES_QUICK: u64 = 300;
/// More than lies in the catalog, so that each image has a file.
const LAYER_BYTES: usize = 20 * 1024;
const CONFIG_BYTES: usize = 300;
const REPOSITORY: &str = "bench/garbage";
/// A collector that takes longer has stopped.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) fn compare(bench: &Bench<'_>, servers: &[Sized; 2]) -> io::Result<Comparison> {
    let images = if bench.is_quick { IMAGES_QUICK } else { IMAGES };
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..=bench.rounds() {
        for ((server, _), costs) in servers.iter().zip(&mut costs) {
            throw_away(server, round * images, images)?;
            let spent = server.time(|| {
                take_out(server)?;
                Ok(images)
            })?;
            // The first round warms up.
            if round > 0 {
                costs.push(spent.cpu_seconds * 1e6 / real(images));
            }
        }
    }
    let [small, large] = costs;
    let side = |(_, manifests): &Sized| format!("among {} manifests", number(real(*manifests)));
    Ok(Comparison {
        name: "gc-cost",
        heading: "collecting one deleted image",
        unit: "CPU-us",
        sides: [
            (side(&servers[0]), median(small)?),
            (side(&servers[1]), median(large)?),
        ],
        goal: None,
    })
}

/// Pushes images and deletes them; the collector rests.
pub(super) fn throw_away(server: &Server, first: u64, amount: u64) -> io::Result<()> {
    all_of(server, CONNECTIONS, amount, |wire, index| {
        // Far from the numbers of other cases.
        let seed = 10_000_000 + first + index;
        let (config, layer) = (Blob::new(seed, CONFIG_BYTES), Blob::new(seed, LAYER_BYTES));
        push_small(server, wire, REPOSITORY, &config)?;
        push_small(server, wire, REPOSITORY, &layer)?;
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": CONFIG_BYTES},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": LAYER_BYTES}]})
        .to_string()
        .into_bytes();
        let target = format!("/v2/{REPOSITORY}/manifests/{}", e2e::client::digest(&manifest));
        wire.ask(&server.endpoint.manifest_put(&target, &manifest), 201)?;
        wire.ask(&server.endpoint.request("DELETE", &target, b""), 202)?;
        Ok(())
    })
}

/// Lets the collector work until nothing is left for it.
fn take_out(server: &Server) -> io::Result<()> {
    order(server, "resume")?;
    let began = Instant::now();
    while order(server, "pending")? != "0" {
        if began.elapsed() > PATIENCE {
            return Err(io::Error::other("the collector does not come to an end"));
        }
        sleep(Duration::from_millis(50));
    }
    order(server, "pause")?;
    Ok(())
}
