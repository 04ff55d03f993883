//! The access log's lines: in the log's own form, or in the combined log format of Apache.
//!
//! A busy registry writes more of these than of anything else, so the plain form is put together by hand, with the fields
//! in the order in which the log has them.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use server::{Entry, Journal};

use crate::log_thread::LogThread;
use crate::logging::{Collected, Form, Forms, Quoted};

/// Lines in the form that the log has at the moment.
pub(crate) struct AccessLines {
    pub(crate) forms: Forms,
    pub(crate) thread: LogThread,
}

/// Lines in combined log format.
pub(crate) struct Combined(pub(crate) LogThread);

thread_local! {
    /// Memory for a line, used again.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn with_line(write: impl FnOnce(&mut String) -> fmt::Result, thread: &LogThread) {
    LINE.with_borrow_mut(|line| {
        line.clear();
        if write(line).is_ok() {
            thread.line(line.as_bytes());
        }
    });
}

impl Journal for AccessLines {
    fn keep(&self, entry: &Entry<'_>) {
        let form = self.forms.load();
        with_line(
            |line| {
                if form.is_plain() {
                    plain(line, &form, entry)
                } else {
                    form.write(line, tracing::Level::INFO, &collected(entry))
                }
            },
            &self.thread,
        );
    }
}

impl Journal for Combined {
    fn keep(&self, entry: &Entry<'_>) {
        let now = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
        let safe = |text: &str| text.replace(['"', '\\'], "_");
        with_line(
            |line| {
                match entry.client {
                    Some(ip) => write!(line, "{ip}")?,
                    None => line.push('-'),
                }
                writeln!(
                    line,
                    " - {} [{now}] \"{} {} {:?}\" {} {} \"{}\" \"{}\"",
                    safe(entry.user.unwrap_or("-")),
                    entry.method,
                    safe(entry.path),
                    entry.version,
                    entry.status.as_u16(),
                    entry.bytes,
                    safe(entry.referer),
                    safe(entry.agent),
                )
            },
            &self.0,
        );
    }
}

fn plain(line: &mut String, form: &Form, entry: &Entry<'_>) -> fmt::Result {
    form.begin(line, tracing::Level::INFO, "request")?;
    write!(line, " bytes={}", entry.bytes)?;
    match entry.client {
        Some(ip) => write!(line, " client={ip}")?,
        None => line.push_str(" client=-"),
    }
    write!(
        line,
        " dur_ms={} method={} path={} repo={} route={} status={} ua={} user={}",
        entry.took.as_millis(),
        entry.method,
        Quoted(entry.path),
        entry.repository.unwrap_or("-"),
        entry.route,
        entry.status.as_u16(),
        Quoted(entry.agent),
        Quoted(entry.user.unwrap_or("-")),
    )?;
    form.end(line)
}

fn collected(entry: &Entry<'_>) -> Collected {
    let text = |text: &str| Value::String(text.to_owned());
    let fields = [
        ("bytes", entry.bytes.into()),
        (
            "client",
            text(&entry.client.map_or("-".to_owned(), |ip| ip.to_string())),
        ),
        (
            "dur_ms",
            u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX).into(),
        ),
        ("method", text(entry.method.as_str())),
        ("path", text(entry.path)),
        ("repo", text(entry.repository.unwrap_or("-"))),
        ("route", text(entry.route)),
        ("status", entry.status.as_u16().into()),
        ("ua", text(entry.agent)),
        ("user", text(entry.user.unwrap_or("-"))),
    ];
    Collected {
        message: "request".to_owned(),
        fields: Map::from_iter(fields.map(|(key, value)| (key.to_owned(), value))),
    }
}
