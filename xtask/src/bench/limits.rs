//! What the machine does without any server: hashing on one core, and reading and writing the disk past the page cache.
//!
//! Units: MB/s, 10^6 bytes. Fails: `openssl` missing, a disk that gives up.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::fs::{FallocateFlags, OFlags, fallocate};

use super::bare::{Block, create};
use super::content::small;
use super::figures::real;
use super::result::MachineLimit;
use crate::outcome::words;

const BLOCK_BYTES: usize = 4 << 20;

/// Measures them, in a folder on the disk that the servers use.
pub(crate) fn measure(folder: &Path, bytes: u64) -> io::Result<Vec<MachineLimit>> {
    fs::create_dir_all(folder)?;
    let path = folder.join("disk");
    let write = write(&path, bytes);
    let read = read(&path, bytes);
    fs::remove_file(&path)?;
    let limit = |heading, rate| MachineLimit { heading, rate };
    Ok(vec![
        limit("SHA-256 on one core (openssl speed)", sha256()?),
        limit("disk, written past the page cache, synced", write?),
        limit("disk, read past the page cache", read?),
    ])
}

fn write(path: &Path, bytes: u64) -> io::Result<f64> {
    let mut block = Block::new(BLOCK_BYTES);
    let length = block.all().len();
    block
        .all()
        .copy_from_slice(&small(1, 1 << 20).repeat(length >> 20));
    rustix::fs::sync();
    let file = create(path)?;
    let began = Instant::now();
    let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes);
    let mut at = 0;
    while at < bytes {
        file.write_all_at(block.all(), at)?;
        at += length as u64;
    }
    file.sync_all()?;
    Ok(rate(at, began))
}

fn read(path: &Path, bytes: u64) -> io::Result<f64> {
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(path)
        .or_else(|_| File::open(path))?;
    let mut block = Block::new(BLOCK_BYTES);
    let began = Instant::now();
    let mut at = 0;
    while at < bytes {
        file.read_exact_at(block.all(), at)?;
        at += block.all().len() as u64;
    }
    Ok(rate(at, began))
}

fn rate(bytes: u64, began: Instant) -> f64 {
    real(bytes) / 1e6 / began.elapsed().as_secs_f64()
}

fn sha256() -> io::Result<f64> {
    let speed = [
        "speed", "-mr", "-seconds", "1", "-bytes", "1048576", "-evp", "sha256",
    ];
    words(Command::new("openssl").args(speed))
        .and_then(|text| sha256_rate(&text))
        .ok_or_else(|| io::Error::other("`openssl speed` does not say how fast it is"))
}

/// `+F:22:sha256:1889785610.24`, in bytes a second.
fn sha256_rate(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("+F:"))?;
    Some(line.rsplit(':').next()?.trim().parse::<f64>().ok()? / 1e6)
}

#[cfg(test)]
mod tests {
    use super::sha256_rate;

    #[test]
    fn the_speed_of_openssl_is_read() {
        assert_eq!(
            sha256_rate("+H:1048576\n+F:22:sha256:1889500000.00\n"),
            Some(1889.5)
        );
        assert_eq!(sha256_rate(""), None);
    }
}
