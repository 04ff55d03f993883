//! A copy of a catalog that lies somewhere: read, and never written to.
//!
//! What a copy is asked is asked by the same operations as the catalog itself, on the thread that opened it. It may lie on a
//! disk that takes no writes. Fails: `Error::Open`, `Error::Newer` (a newer Landfall made it), `Error::Altered`.

use std::path::Path;
use std::sync::Arc;

use rusqlite::OpenFlags;

use crate::Error;
use crate::engine::cause;
use crate::schema;
use crate::sql::{Connection, SqliteSession, Tx, values};

/// A copy of a catalog, open.
pub struct CatalogCopy {
    session: SqliteSession,
}

/// What a copy says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CopyFacts {
    /// Repositories that are not deleted.
    pub repositories: u64,
    /// Manifests that are served.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, small ones in the catalog too.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// The last change.
    pub seq: i64,
}

impl CatalogCopy {
    /// Opens the copy at `path`. Blocks.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refused = |error: rusqlite::Error| Error::Open {
            path: path.to_owned(),
            source: Arc::new(error),
        };
        if !path.is_file() {
            return Err(Error::Open {
                path: path.to_owned(),
                source: cause("no such file"),
            });
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let raw = rusqlite::Connection::open_with_flags(address(path), flags).map_err(refused)?;
        raw.pragma_update(None, "query_only", true).map_err(refused)?;
        raw.pragma_update(None, "cell_size_check", true)
            .map_err(refused)?;
        schema::check_sqlite(&raw).map_err(|error| match error {
            Error::Database { source } => Error::Open {
                path: path.to_owned(),
                source,
            },
            other => other,
        })?;
        Ok(Self {
            session: SqliteSession::new(raw, Arc::default()),
        })
    }

    /// Asks the copy something. Blocks.
    pub fn read<T>(&self, operation: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        operation(&mut Tx::new(Connection::Sqlite(&self.session)))
    }

    /// How much it holds.
    pub fn facts(&self) -> Result<CopyFacts, Error> {
        self.read(|tx| {
            let usage = crate::usage(tx, &crate::Scope::Everything)?;
            let number = |number: i64| u64::try_from(number).unwrap_or(0);
            let repositories = tx.first(
                "SELECT COUNT(*) FROM repos WHERE deleted_at IS NULL AND name > ?1",
                values![""],
                |row| row.get(0),
            )?;
            Ok(CopyFacts {
                repositories: repositories.unwrap_or(0),
                manifests: number(usage.manifests),
                tags: number(usage.tags),
                blobs: number(usage.blobs),
                bytes: number(usage.bytes),
                seq: crate::last_change(tx)?,
            })
        })
    }
}

/// The file as an address, opened as one that nobody changes: no log, no lock, no shared memory beside it.
fn address(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut address = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            address.push(char::from(*byte));
        } else {
            let _ = write!(address, "%{byte:02X}"); // to a text, which does not fail
        }
    }
    address.push_str("?immutable=1");
    address
}

#[cfg(test)]
mod tests {
    use super::address;
    use std::path::Path;

    #[test]
    fn what_means_something_in_an_address_means_nothing_in_a_path() {
        let address = address(Path::new("/a b/c?d#e%f.db"));
        assert_eq!(address, "file:/a%20b/c%3Fd%23e%25f.db?immutable=1");
    }
}
