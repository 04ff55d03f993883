//! How much memory the server takes while 1 GiB blobs are pushed and pulled, four at a time.
//!
//! Units: bytes; the peak is `VmHWM` of `/proc/<pid>/status`, what the kernel saw resident at most. Over 64 MiB is a failure.
//! Half of the blobs go up as docker sends them (POST, chunked PATCH, PUT), half as containerd does (POST, PUT with a length).

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use e2e::client::text_of;
use e2e::dice::Dice;
use e2e::http::{Body, Connection, Request, Response};
use e2e::landfall::{Landfall, Launch};
use sha2::{Digest as _, Sha256};

use crate::House;
use crate::outcome::{Failure, Outcome, Tally};

const BLOB_BYTES: u64 = 1 << 30;
const AT_ONCE: u64 = 4;
const PEAK_BYTES_MAX: u64 = 64 << 20;
const PIECE_BYTES: usize = 1 << 20;

pub(crate) fn run(house: &House) -> Outcome {
    let cannot = |error: io::Error| Failure::new(format!("the measurement stopped: {error}"));
    let folder = tempfile::tempdir().map_err(cannot)?;
    let landfall = Launch::with_data(&house.landfall(), folder.path()).start();
    let address = landfall.address();
    println!(
        "peak after start   {:>6.1} MiB",
        mib(peak(&landfall).map_err(cannot)?)
    );

    let began = Instant::now();
    let digests = at_once(|number| push(address, number)).map_err(cannot)?;
    report("push", began, peak(&landfall).map_err(cannot)?);
    let began = Instant::now();
    let pulled =
        at_once(|number| pull(address, &digests[usize::try_from(number).unwrap_or(0)])).map_err(cannot)?;
    let peak = peak(&landfall).map_err(cannot)?;
    report("pull", began, peak);

    if pulled != digests {
        return Err(Failure::new("what came back is not what was sent"));
    }
    if peak > PEAK_BYTES_MAX {
        return Err(Failure::new(format!(
            "the server took {:.1} MiB, more than {:.0}",
            mib(peak),
            mib(PEAK_BYTES_MAX)
        )));
    }
    Ok(Tally::ONE)
}

fn report(what: &str, began: Instant, peak: u64) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = mib(AT_ONCE * BLOB_BYTES) / seconds;
    println!(
        "peak after {what}    {:>6.1} MiB   ({AT_ONCE} x 1 GiB in {seconds:.1} s, {rate:.0} MiB/s)",
        mib(peak)
    );
}

#[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn peak(landfall: &Landfall) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", landfall.id()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>();
    kib.map(|kib| kib * 1024)
        .map_err(|_| io::Error::other("no VmHWM in /proc"))
}

fn at_once<T: Send>(work: impl Fn(u64) -> io::Result<T> + Sync) -> io::Result<Vec<T>> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| io::Error::other("a client panicked"))?)
            .collect()
    })
}

/// Pushes one blob and gives its digest.
fn push(address: SocketAddr, number: u64) -> io::Result<String> {
    let mut connection = Connection::open(address)?;
    let answer = expect(
        202,
        connection.send(Request::new("POST", "/v2/memory/test/blobs/uploads/"))?,
    )?;
    let mut content = Content::new(number);
    let (target, body_at_end) = if number.is_multiple_of(2) {
        let session = answer.location()?;
        let body = Body::ChunkedStream(&mut content);
        let answer = expect(
            202,
            connection.send(Request {
                body,
                ..Request::new("PATCH", &session)
            })?,
        )?;
        (answer.location()?, false)
    } else {
        io::copy(&mut content, &mut io::sink())?;
        (answer.location()?, true)
    };
    let digest = text_of(content.hash);
    let joint = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{joint}digest={digest}");
    let mut again = Content::new(number);
    let body = if body_at_end {
        Body::Stream(BLOB_BYTES, &mut again)
    } else {
        Body::Empty
    };
    expect(
        201,
        connection.send(Request {
            body,
            ..Request::new("PUT", &target)
        })?,
    )?;
    Ok(digest)
}

/// Pulls one blob and gives the digest of what came.
fn pull(address: SocketAddr, digest: &str) -> io::Result<String> {
    let mut connection = Connection::open(address)?;
    let mut sink = Hash(Sha256::new());
    let target = format!("/v2/memory/test/blobs/{digest}");
    expect(200, connection.fetch(Request::new("GET", &target), &mut sink)?)?;
    Ok(text_of(sink.0))
}

fn expect(status: u16, response: Response) -> io::Result<Response> {
    if response.status == status {
        return Ok(response);
    }
    let body = String::from_utf8_lossy(&response.body).into_owned();
    Err(io::Error::other(format!(
        "{} instead of {status}: {body}",
        response.status
    )))
}

/// 1 GiB that differs from blob to blob and repeats nowhere within; hashed as it is read.
struct Content {
    piece: Vec<u8>,
    offset: u64,
    hash: Sha256,
}

impl Content {
    fn new(number: u64) -> Self {
        Self {
            piece: Dice::new(number).bytes(PIECE_BYTES),
            offset: 0,
            hash: Sha256::new(),
        }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let within = usize::try_from(self.offset % PIECE_BYTES as u64).unwrap_or(0);
        if self.offset >= BLOB_BYTES {
            return Ok(0);
        }
        if within == 0 {
            self.piece[..8].copy_from_slice(&self.offset.to_le_bytes());
        }
        let length = buffer.len().min(PIECE_BYTES - within);
        buffer[..length].copy_from_slice(&self.piece[within..within + length]);
        self.hash.update(&buffer[..length]);
        self.offset += length as u64;
        Ok(length)
    }
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
