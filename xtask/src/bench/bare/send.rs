//! What the bare server sends: whole answers from memory in one write, files by `sendfile`.
//!
//! Units: bytes. Fails: a client that is gone.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpStream;

use super::super::head::Head;
use super::{Shelf, head_of};

const AT_ONCE_BYTES_MAX: u64 = 1 << 30;

pub(super) fn answer(
    shelf: &Shelf,
    head: &Head<'_>,
    method: &str,
    path: &str,
    socket: &mut TcpStream,
) -> io::Result<()> {
    let small = shelf.small.read().map_err(|_| io::ErrorKind::Other)?;
    let whole = small.get(path).cloned();
    drop(small);
    if let Some(whole) = whole {
        let end = if method == "HEAD" {
            super::head::end(&whole).unwrap_or(whole.len())
        } else {
            whole.len()
        };
        return socket.write_all(&whole[..end]);
    }
    if path == "/v2/" {
        return socket.write_all(head_of("200 OK", "Content-Length: 0").as_bytes());
    }
    let digest = path.rsplit('/').next().unwrap_or_default();
    let Ok(file) = File::open(shelf.blob(digest)) else {
        return socket.write_all(head_of("404 Not Found", "Content-Length: 0").as_bytes());
    };
    let size = file.metadata()?.len();
    let (status, first, length) = match head.range {
        Some((first, last)) if first <= last && last < size => {
            ("206 Partial Content", first, last - first + 1)
        }
        _ => ("200 OK", 0, size),
    };
    socket.write_all(head_of(status, &format!("Content-Length: {length}")).as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    send_file(&file, first, length, socket)
}

fn send_file(file: &File, first: u64, length: u64, socket: &TcpStream) -> io::Result<()> {
    let mut at = first;
    let end = first + length;
    while at < end {
        let piece = usize::try_from((end - at).min(AT_ONCE_BYTES_MAX)).unwrap_or(usize::MAX);
        let sent = rustix::fs::sendfile(socket, file, Some(&mut at), piece)?;
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
