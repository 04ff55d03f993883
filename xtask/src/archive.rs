//! A tar archive in memory, the same bytes for the same contents.
//!
//! Shape: entries are added in any order and written sorted by path, with one time for all of them, numeric owners and no names.
//! Units: modes as in chmod, times in seconds since 1970.
//! Fails: a path of more than 100 bytes, or a number that its field cannot hold, is a mistake of ours and says so.
//! Source: POSIX.1-1988 ustar, the form that every reader of images understands.

use std::collections::BTreeMap;

use crate::outcome::Failure;

const BLOCK: usize = 512;
const NAME_BYTES_MAX: usize = 100;

/// Who owns an entry: user and group have the same number.
pub(crate) const ROOT: u32 = 0;

/// Files and folders on their way into an archive.
#[derive(Default)]
pub(crate) struct Archive {
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    mode: u32,
    owner: u32,
    /// `None` for a folder.
    bytes: Option<Vec<u8>>,
}

impl Archive {
    /// A folder; its path ends without a slash.
    pub(crate) fn folder(&mut self, path: &str, mode: u32, owner: u32) {
        let entry = Entry {
            mode,
            owner,
            bytes: None,
        };
        self.entries.insert(format!("{path}/"), entry);
    }

    /// A file of root's.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        let entry = Entry {
            mode,
            owner: ROOT,
            bytes: Some(bytes.into()),
        };
        self.entries.insert(path.to_owned(), entry);
    }

    /// The archive, with this time on every entry.
    pub(crate) fn into_bytes(self, epoch: u64) -> Result<Vec<u8>, Failure> {
        let mut archive = Vec::new();
        for (path, entry) in &self.entries {
            archive.extend_from_slice(&header(path, entry, epoch)?);
            if let Some(bytes) = &entry.bytes {
                archive.extend_from_slice(bytes);
                archive.resize(archive.len().next_multiple_of(BLOCK), 0);
            }
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }
}

fn header(path: &str, entry: &Entry, epoch: u64) -> Result<[u8; BLOCK], Failure> {
    if path.len() > NAME_BYTES_MAX {
        return Err(Failure::new(format!(
            "{path} is too long for an archive of this form"
        )));
    }
    let mut block = [0_u8; BLOCK];
    block[..path.len()].copy_from_slice(path.as_bytes());
    let size = entry.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    for (start, digits, number) in [
        (100, 7, u64::from(entry.mode)),
        (108, 7, u64::from(entry.owner)),
        (116, 7, u64::from(entry.owner)),
        (124, 11, size),
        (136, 11, epoch),
    ] {
        let text = format!("{number:0digits$o}");
        if text.len() > digits {
            return Err(Failure::new(format!(
                "{path}: {number} does not fit into an archive"
            )));
        }
        block[start..start + digits].copy_from_slice(text.as_bytes());
    }
    block[156] = if entry.bytes.is_some() { b'0' } else { b'5' };
    block[257..265].copy_from_slice(b"ustar\x0000");
    // The sum counts its own field as eight spaces.
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn archive(backwards: bool) -> Vec<u8> {
        let mut archive = Archive::default();
        let file = |archive: &mut Archive| archive.file("bin/run", 0o755, "twelve bytes");
        if backwards {
            file(&mut archive);
        }
        archive.folder("data", 0o750, 65532);
        if !backwards {
            file(&mut archive);
        }
        archive.into_bytes(1_000_000_000).unwrap()
    }

    #[test]
    fn the_same_contents_are_the_same_bytes() {
        assert_eq!(archive(false), archive(true));
    }

    #[test]
    fn tar_reads_what_was_written() {
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner", "--utc", "--file=-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&archive(false)).unwrap();
        let output = tar.wait_with_output().unwrap();
        assert!(output.status.success());
        let listing = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Vec<&str>> = listing
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [
                ["-rwxr-xr-x", "0/0", "12", "2001-09-09", "01:46", "bin/run"],
                ["drwxr-x---", "65532/65532", "0", "2001-09-09", "01:46", "data/"],
            ]
        );
    }
}
