//! What the bare server receives: blocks go round between three threads, which read the socket, write the disk and hash.
//!
//! Units: bytes; a block is 1 MiB, aligned for the disk, and there are four of them an upload: of the sizes and numbers that
//! were tried this was fastest, and two blocks of 4 MiB took a little less of the processor. Shape: the file is written past
//! the page cache (`O_DIRECT`) into space that is set aside first, and synced at the end; a small body is written in one piece.
//! Fails: a connection or a disk that gives up.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use e2e::client::text_of;
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use sha2::{Digest as _, Sha256};

use super::super::head;

const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 4;
/// What every disk takes.
const ALIGNMENT: usize = 4096;
/// Set aside at once where the length is not known.
const SET_ASIDE_BYTES: u64 = 256 << 20;
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// What a whole body hashes to.
pub(super) struct Received {
    pub(super) digest: String,
    pub(super) bytes: u64,
}

/// The body of a request: what came with its head, then the socket.
pub(super) struct Body<'a> {
    socket: &'a mut TcpStream,
    buffer: &'a mut [u8],
    used: usize,
    filled: usize,
    /// Bytes left of the body, or of the chunk.
    left: u64,
    length: Option<u64>,
    is_chunked: bool,
    is_first_chunk: bool,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        socket: &'a mut TcpStream,
        buffer: &'a mut [u8],
        filled: usize,
        length: Option<u64>,
        is_chunked: bool,
    ) -> Self {
        Self {
            socket,
            buffer,
            used: 0,
            filled,
            left: length.unwrap_or(0),
            length,
            is_chunked,
            is_first_chunk: true,
        }
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        self.socket
    }

    /// What was read beyond this body.
    pub(super) fn rest(&self) -> Range<usize> {
        self.used..self.filled
    }

    pub(super) fn in_memory(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the line of the next chunk; false after the last one.
    fn next_chunk(&mut self) -> io::Result<bool> {
        loop {
            let ready = &self.buffer[self.used..self.filled];
            // Before every chunk but the first stands the end of the line of the one before.
            let skip = if self.is_first_chunk { 0 } else { 2 };
            if let Some(chunk) = ready.get(skip..).and_then(head::chunk) {
                let (length, line) = chunk.map_err(io::Error::other)?;
                self.left = length;
                let end = if length == 0 { 2 } else { 0 };
                if ready.len() >= skip + line + end {
                    self.used += skip + line + end;
                    self.is_first_chunk = false;
                    return Ok(length > 0);
                }
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.used == self.filled {
            self.used = 0;
            self.filled = 0;
        } else if self.filled == self.buffer.len() {
            self.buffer.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
        }
        let length = self.socket.read(&mut self.buffer[self.filled..])?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += length;
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let more = self.is_chunked && self.next_chunk()?;
            if !more {
                self.is_chunked = false;
                return Ok(0);
            }
        }
        let room = target.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        // Chunks are small: they are read many at a time. Everything else goes straight to where it is wanted.
        if self.used == self.filled && self.is_chunked {
            self.fill()?;
        }
        let length = if self.used < self.filled {
            let length = room.min(self.filled - self.used);
            target[..length].copy_from_slice(&self.buffer[self.used..self.used + length]);
            self.used += length;
            length
        } else {
            self.socket.read(&mut target[..room])?
        };
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= length as u64;
        Ok(length)
    }
}

/// Receives a body into a file; it is on the disk when this returns.
pub(super) fn whole(body: &mut Body<'_>, path: &Path) -> io::Result<Received> {
    if body.length.is_some_and(|length| length <= SMALL_BYTES_MAX) {
        let bytes = body.in_memory()?;
        let file = File::create(path)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        return Ok(Received {
            digest: e2e::client::digest(&bytes),
            bytes: bytes.len() as u64,
        });
    }
    let file = create(path)?;
    let (to_disk, from_socket) = sync_channel(BLOCKS);
    let (to_hash, from_disk) = sync_channel(BLOCKS);
    let (free, from_hash) = sync_channel(BLOCKS);
    for _ in 0..BLOCKS {
        let _ = free.send(Block::new(BLOCK_BYTES));
    }
    let stage = |from, to| Stage { from, to };
    let reading = stage(from_hash, to_disk);
    let writing = stage(from_socket, to_hash);
    let hashing = stage(from_disk, free);
    let (length, file) = (body.length, &file);
    std::thread::scope(|scope| {
        let disk = scope.spawn(move || writing.write(file, length));
        let hash = scope.spawn(move || hashing.hash());
        let read = reading.read(body);
        let bytes = disk.join().map_err(|_| io::ErrorKind::Other)??;
        let digest = hash.join().map_err(|_| io::ErrorKind::Other)?;
        read?;
        Ok(Received { digest, bytes })
    })
}

/// A file to be written past the page cache, or through it where the file system knows no other way.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
    options
        .clone()
        .custom_flags(direct)
        .open(path)
        .or_else(|_| options.open(path))
}

/// One of the three threads that blocks go round between. Each ends when one beside it has: its ends of the channels are its own.
struct Stage {
    from: Receiver<Block>,
    to: SyncSender<Block>,
}

impl Stage {
    fn read(self, body: &mut Body<'_>) -> io::Result<()> {
        loop {
            let mut block = self.from.recv().map_err(|_| io::ErrorKind::Other)?;
            block.length = 0;
            while block.length < BLOCK_BYTES {
                let from = block.length;
                let length = body.read(&mut block.all()[from..])?;
                if length == 0 {
                    break;
                }
                block.length += length;
            }
            let is_last = block.length < BLOCK_BYTES;
            self.to.send(block).map_err(|_| io::ErrorKind::Other)?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn write(self, file: &File, length: Option<u64>) -> io::Result<u64> {
        let mut at = 0;
        let mut set_aside = 0;
        for mut block in self.from {
            let end = at + block.length as u64;
            if set_aside < end {
                set_aside = length.unwrap_or(set_aside + SET_ASIDE_BYTES).max(end);
                // Not every file system can, and what is not set aside now is found while writing.
                let _ = fallocate(file, FallocateFlags::KEEP_SIZE, 0, set_aside);
            }
            let whole = block.length.next_multiple_of(ALIGNMENT);
            file.write_all_at(&block.all()[..whole], at)?;
            at = end;
            let _ = self.to.send(block);
        }
        file.set_len(at)?;
        file.sync_all()?;
        Ok(at)
    }

    fn hash(self) -> String {
        let mut hash = Sha256::new();
        for mut block in self.from {
            let length = block.length;
            hash.update(&block.all()[..length]);
            let _ = self.to.send(block);
        }
        text_of(hash)
    }
}

/// Memory that begins where the disk wants it to.
pub(crate) struct Block {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Block {
    /// Of this many bytes, a multiple of [`ALIGNMENT`].
    pub(crate) fn new(size: usize) -> Self {
        let bytes = vec![0; size + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            bytes,
            start,
            length: 0,
        }
    }

    pub(crate) fn all(&mut self) -> &mut [u8] {
        let end = self.start + self.bytes.len() - ALIGNMENT;
        &mut self.bytes[self.start..end]
    }
}
