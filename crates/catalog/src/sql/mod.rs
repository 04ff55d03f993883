//! The one small SQL surface that both engines offer, and that only this crate can use.
//!
//! Statements are `&'static str` in portable SQL, parameters `?1`, `?2`; `dialect` says what is rewritten. A `Tx` runs
//! them, `Value` goes in and out. Fails: `Error`, already in the words of the catalog.

mod dialect;
mod tx;
mod value;

pub(crate) use dialect::{Dialect, expand};
pub use tx::Tx;
pub(crate) use tx::{Connection, PostgresSession, Seen, SqliteSession};
pub(crate) use value::{Cell, Row, Value, values};
