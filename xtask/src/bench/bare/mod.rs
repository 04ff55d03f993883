//! The bare server: only receives, hashes, writes durably, and sends. What it reaches is what a registry could reach at most
//! that did nothing else; so it is the limit for pushes and for small reads.
//!
//! Units: bytes. Shape: one thread a connection; large blobs are files, sent by the kernel; blobs up to 64 KiB and manifests
//! are whole answers in memory. It speaks as much of the protocol as the benchmark's client needs, and trusts it.
//! It is a process of its own (`xtask bare`), so that what it takes of the machine can be told from what the client takes.
//! Fails: a broken request ends its connection.

mod receive;
mod send;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

pub(crate) use self::receive::{Block, create};
use self::receive::{Body, Received};
use super::head::{self, Head};

const HEAD_BYTES: usize = 256 * 1024;
const IN_MEMORY_BYTES_MAX: u64 = 64 * 1024;

/// What it holds.
pub(super) struct Shelf {
    root: PathBuf,
    /// Whole answers by target.
    small: RwLock<BTreeMap<String, Arc<Vec<u8>>>>,
    /// What the uploads under way hash to.
    uploads: Mutex<BTreeMap<String, Received>>,
    next: AtomicU64,
}

/// Serves until it is killed.
pub(crate) fn serve(listen: SocketAddr, root: &Path) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    fs::create_dir_all(root)?;
    let shelf = Arc::new(Shelf {
        root: root.to_owned(),
        small: RwLock::default(),
        uploads: Mutex::default(),
        next: AtomicU64::new(0),
    });
    loop {
        let (socket, _) = listener.accept()?;
        let shelf = Arc::clone(&shelf);
        std::thread::spawn(move || {
            // The client learns by the closed connection, and the benchmark ends with its complaint.
            let _ = Connection::new(socket, shelf).and_then(|mut connection| connection.run());
        });
    }
}

struct Connection {
    socket: TcpStream,
    shelf: Arc<Shelf>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    fn new(socket: TcpStream, shelf: Arc<Shelf>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            shelf,
            buffer: vec![0; HEAD_BYTES],
            filled: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let Some(end) = head::end(&self.buffer[..self.filled]) else {
                let length = self.socket.read(&mut self.buffer[self.filled..])?;
                if length == 0 {
                    return Ok(());
                }
                self.filled += length;
                continue;
            };
            let (before, after) = self.buffer.split_at_mut(end);
            let head = Head::parse(before).ok_or(io::ErrorKind::InvalidData)?;
            let mut body = Body::new(
                &mut self.socket,
                after,
                self.filled - end,
                head.content_length,
                head.is_chunked,
            );
            answer(&self.shelf, &head, &mut body)?;
            let rest = body.rest();
            self.buffer.copy_within(end + rest.start..end + rest.end, 0);
            self.filled = rest.len();
        }
    }
}

fn answer(shelf: &Shelf, head: &Head<'_>, body: &mut Body<'_>) -> io::Result<()> {
    let (method, target) = head.request().ok_or(io::ErrorKind::InvalidData)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = match method {
        "GET" | "HEAD" => return send::answer(shelf, head, method, path, body.socket()),
        "POST" => {
            let number = shelf.next.fetch_add(1, Ordering::Relaxed);
            head_of(
                "202 Accepted",
                &format!("Location: {path}{number}\r\nContent-Length: 0"),
            )
        }
        "PATCH" => {
            let received = receive::whole(body, &shelf.part(path))?;
            shelf.keep(path, received)?;
            head_of("202 Accepted", &format!("Location: {path}\r\nContent-Length: 0"))
        }
        "PUT" if path.contains("/manifests/") => {
            let manifest = body.in_memory()?;
            shelf.put(path, &manifest)?;
            head_of("201 Created", &format!("Location: {path}\r\nContent-Length: 0"))
        }
        "PUT" => {
            let kept = shelf.taken(path)?;
            let received = match kept {
                Some(received) => received,
                None => receive::whole(body, &shelf.part(path))?,
            };
            let digest = query.strip_prefix("digest=").unwrap_or_default();
            publish(shelf, path, digest, &received)?;
            head_of("201 Created", "Content-Length: 0")
        }
        _ => head_of("405 Method Not Allowed", "Content-Length: 0"),
    };
    body.socket().write_all(text.as_bytes())
}

fn head_of(status: &str, fields: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n")
}

/// From here on the blob is there, also after a power cut.
fn publish(shelf: &Shelf, path: &str, digest: &str, received: &Received) -> io::Result<()> {
    if received.digest != digest {
        return Err(io::Error::other("not what was announced"));
    }
    let blob = shelf.blob(digest);
    fs::rename(shelf.part(path), &blob)?;
    fs::File::open(&shelf.root)?.sync_all()?;
    if received.bytes <= IN_MEMORY_BYTES_MAX {
        let blobs = path.split("/uploads/").next().unwrap_or_default();
        shelf.put(&format!("{blobs}/{digest}"), &fs::read(blob)?)?;
    }
    Ok(())
}

impl Shelf {
    fn blob(&self, digest: &str) -> PathBuf {
        self.root.join(digest)
    }

    fn part(&self, upload: &str) -> PathBuf {
        self.root.join(upload.replace('/', "_"))
    }

    fn put(&self, target: &str, bytes: &[u8]) -> io::Result<()> {
        let mut whole = head_of("200 OK", &format!("Content-Length: {}", bytes.len())).into_bytes();
        whole.extend_from_slice(bytes);
        let mut small = self.small.write().map_err(|_| io::ErrorKind::Other)?;
        small.insert(target.to_owned(), Arc::new(whole));
        Ok(())
    }

    fn keep(&self, upload: &str, received: Received) -> io::Result<()> {
        let mut uploads = self.uploads.lock().map_err(|_| io::ErrorKind::Other)?;
        uploads.insert(upload.to_owned(), received);
        Ok(())
    }

    fn taken(&self, upload: &str) -> io::Result<Option<Received>> {
        let mut uploads = self.uploads.lock().map_err(|_| io::ErrorKind::Other)?;
        Ok(uploads.remove(upload))
    }
}
