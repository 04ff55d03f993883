//! One transaction, as operations see it. Other crates can hold a `Tx` and hand it on, but not run SQL with it.
//!
//! The engine begins and ends it; an operation that fails is undone whole. Statements are prepared once a connection.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::guard::Shared;
use crate::quota::Claimed;
use crate::sql::dialect::{Dialect, expand};
use crate::sql::value::{Row, Value};
use crate::stamps::Touched;

/// A transaction that is under way.
pub struct Tx<'a> {
    connection: Connection<'a>,
    given_up: bool,
    touched: Vec<Touched>,
    remote: Option<String>,
    reason: Option<String>,
    /// What operators forbid, if anything.
    guard: Option<Shared>,
    claimed: Option<Claimed>,
}

/// Who runs the statements.
pub(crate) enum Connection<'a> {
    Sqlite(&'a SqliteSession),
    Postgres(&'a mut PostgresSession),
}

/// A connection to a file, and the texts that were expanded for it.
pub(crate) struct SqliteSession {
    pub(crate) raw: rusqlite::Connection,
    /// By address: each statement stands in one place of the program.
    texts: RefCell<HashMap<(usize, usize), Rc<str>>>,
    seen: Arc<Seen>,
}

/// What the connections of one catalog have run.
#[derive(Default)]
pub(crate) struct Seen {
    /// Every statement that was prepared.
    pub(crate) statements: Mutex<BTreeSet<&'static str>>,
    /// Steps that SQLite's machine took for all of them.
    pub(crate) steps: AtomicU64,
}

/// A connection to a server, and the statements that were prepared on it.
pub(crate) struct PostgresSession {
    pub(crate) client: postgres::Client,
    prepared: HashMap<&'static str, postgres::Statement>,
    /// Which stripe of the counters this connection adds to.
    stripe: i64,
}

impl SqliteSession {
    pub(crate) fn new(raw: rusqlite::Connection, seen: Arc<Seen>) -> Self {
        raw.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Self {
            raw,
            texts: RefCell::default(),
            seen,
        }
    }

    fn text(&self, sql: &'static str) -> Rc<str> {
        let place = (sql.as_ptr().addr(), sql.len());
        if let Some(text) = self.texts.borrow().get(&place) {
            return Rc::clone(text);
        }
        let text: Rc<str> = expand(sql, Dialect::Sqlite).into();
        self.texts.borrow_mut().insert(place, Rc::clone(&text));
        self.seen
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sql);
        text
    }

    /// Counts what a statement that has ended took.
    fn count(&self, statement: &rusqlite::Statement<'_>) {
        let steps = statement.reset_status(rusqlite::StatementStatus::VmStep);
        let steps = u64::try_from(steps).unwrap_or(0);
        self.seen.steps.fetch_add(steps, Ordering::Relaxed);
    }
}

/// More than there are statements in this crate.
const STATEMENTS_MAX: usize = 512;

impl PostgresSession {
    pub(crate) fn new(client: postgres::Client, stripe: i64) -> Self {
        Self {
            client,
            prepared: HashMap::new(),
            stripe,
        }
    }

    fn statement(&mut self, sql: &'static str) -> Result<postgres::Statement, Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&expand(sql, Dialect::Postgres))?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: Connection<'a>) -> Self {
        Self {
            connection,
            given_up: false,
            touched: Vec::new(),
            remote: None,
            reason: None,
            guard: None,
            claimed: None,
        }
    }

    /// Says where whoever asked for this is, as history will tell.
    pub fn asked_from(&mut self, remote: Option<&str>) {
        self.remote = remote.map(str::to_owned);
    }

    /// Says why its operations are done, where people should read that in the history.
    pub fn done_because(&mut self, reason: Option<&str>) {
        self.reason = reason.map(str::to_owned);
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(crate) fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// Lets operations ask what operators forbid.
    pub(crate) fn set_guard(&mut self, guard: Option<Shared>) {
        self.guard = guard;
    }

    /// What operators forbid.
    pub(crate) fn guard(&self) -> Option<Shared> {
        self.guard.clone()
    }

    /// From here on nothing is forbidden: what is adopted from elsewhere is taken as it is.
    pub(crate) fn lift_guard(&mut self) {
        (self.guard, self.claimed) = (None, None);
    }

    /// The quotas of the repository that this transaction adds to.
    pub(crate) fn claimed(&self) -> Option<&Claimed> {
        self.claimed.as_ref()
    }

    pub(crate) fn claim(&mut self, claimed: Claimed) {
        self.claimed = Some(claimed);
    }

    /// Undoes everything at the end, although the operation has an answer to give.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Once this is committed, answers about that hold no more.
    pub(crate) fn touch(&mut self, what: Touched) {
        if !self.touched.contains(&what) {
            self.touched.push(what);
        }
    }

    pub(crate) fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// Which stripe of the counters to add to.
    pub(crate) fn stripe(&self) -> i64 {
        match &self.connection {
            Connection::Sqlite(_) => 0,
            Connection::Postgres(session) => session.stripe,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Error> {
        match &mut self.connection {
            Connection::Sqlite(session) => {
                let mut statement = session.raw.prepare_cached(&session.text(sql))?;
                let changed = statement.execute(rusqlite::params_from_iter(values))?;
                session.count(&statement);
                Ok(changed as u64)
            }
            Connection::Postgres(session) => {
                let statement = session.statement(sql)?;
                Ok(session.client.execute(&statement, &borrowed(values))?)
            }
        }
    }

    /// Runs a statement and maps all its rows.
    pub(crate) fn query<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        match &mut self.connection {
            Connection::Sqlite(session) => {
                let mut statement = session.raw.prepare_cached(&session.text(sql))?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                let mut mapped = Vec::new();
                while let Some(row) = rows.next()? {
                    mapped.push(map(&Row::Sqlite(row))?);
                }
                drop(rows);
                session.count(&statement);
                Ok(mapped)
            }
            Connection::Postgres(session) => {
                let statement = session.statement(sql)?;
                let rows = session.client.query(&statement, &borrowed(values))?;
                rows.iter().map(|row| map(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Runs a statement that has one row or none.
    pub(crate) fn first<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.query(sql, values, map)?.into_iter().next())
    }

    /// Locks rows ahead of the statements that need them, so that all operations lock in one order: tags, then
    /// manifests, then links. Without it the server would find a deadlock, a second later, and we would try again.
    /// SQLite, with its one writer, needs no lock.
    pub(crate) fn lock(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Error> {
        if let Connection::Postgres(_) = self.connection {
            self.query(sql, values, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Whether a statement has a row.
    pub(crate) fn exists(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<bool, Error> {
        Ok(self.first(sql, values, |_| Ok(()))?.is_some())
    }
}

fn borrowed<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn postgres::types::ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn postgres::types::ToSql + Sync))
        .collect()
}
