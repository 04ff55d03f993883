//! The log: text for people, `key=value` for `grep`, JSON for programs. It goes to standard error.
//!
//! Source: `log.formatter`, `log.level`, `log.fields` of the CNCF registry.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::{Formatter, Level, Log};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::log_thread::LogThread;

/// Starts logging as the settings say; the answer changes it later. Its thread must be flushed at the end.
pub(crate) fn start(log: &Log) -> io::Result<Control> {
    let (level, level_control) = reload::Layer::new(least(log.level));
    let form = Arc::new(ArcSwap::from_pointee(Form::of(log)));
    let thread = LogThread::start("log", io::stderr())?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(thread.clone())
        .event_format(Lines(Arc::clone(&form)));
    tracing_subscriber::registry().with(level).with(lines).init();
    Ok(Control {
        level: level_control,
        form,
        thread,
    })
}

/// What can be changed while lines are written.
pub(crate) struct Control {
    level: reload::Handle<Targets, Registry>,
    form: Arc<ArcSwap<Form>>,
    thread: LogThread,
}

impl Control {
    /// From the next line on.
    pub(crate) fn set(&self, log: &Log) {
        self.form.store(Arc::new(Form::of(log)));
        if let Err(error) = self.level.reload(least(log.level)) {
            tracing::error!(%error, "the level of the log could not be changed");
        }
    }

    /// The thread that writes the lines.
    pub(crate) fn thread(&self) -> LogThread {
        self.thread.clone()
    }
}

/// The access log has a switch of its own, so the level does not reach it.
fn least(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(level)
        .with_target("access", LevelFilter::INFO)
}

/// Writes one event as one line.
struct Lines(Arc<ArcSwap<Form>>);

/// What a line looks like.
struct Form {
    formatter: Formatter,
    fields: Vec<(String, String)>,
    colour: bool,
}

/// The fields of an event, message first.
#[derive(Default)]
struct Collected {
    message: String,
    fields: Map<String, Value>,
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl Collected {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let form = self.0.load();
        let mut collected = Collected::default();
        event.record(&mut collected);
        let level = event.metadata().level();
        let now = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string();
        match form.formatter {
            Formatter::Text if form.colour => form.coloured(&mut out, &now, *level, &collected),
            Formatter::Text => form.plain(&mut out, &now, *level, &collected),
            Formatter::Json => form.json(
                &mut out,
                [
                    ("time", &now),
                    ("level", &name(*level)),
                    ("msg", &collected.message),
                ],
                &collected,
            ),
            Formatter::Logstash => form.json(
                &mut out,
                [
                    ("@timestamp", &now),
                    ("level", &name(*level)),
                    ("message", &collected.message),
                ],
                &collected,
            ),
        }
    }
}

impl Form {
    fn of(log: &Log) -> Self {
        Self {
            formatter: log.formatter,
            fields: log.fields.clone(),
            colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    fn plain(
        &self,
        out: &mut Writer<'_>,
        now: &str,
        level: tracing::Level,
        event: &Collected,
    ) -> std::fmt::Result {
        write!(
            out,
            "time={now} level={} msg={}",
            name(level),
            quoted(&event.message)
        )?;
        for (key, value) in &event.fields {
            write!(out, " {key}={}", shown(value))?;
        }
        for (key, value) in &self.fields {
            write!(out, " {key}={}", quoted(value))?;
        }
        writeln!(out)
    }

    fn coloured(
        &self,
        out: &mut Writer<'_>,
        now: &str,
        level: tracing::Level,
        event: &Collected,
    ) -> std::fmt::Result {
        let colour = match level {
            tracing::Level::ERROR => 31,
            tracing::Level::WARN => 33,
            tracing::Level::INFO => 36,
            _ => 90,
        };
        let message = event.message.replace(char::is_control, " ");
        write!(
            out,
            "\x1b[90m{now}\x1b[0m \x1b[{colour}m{:5}\x1b[0m {message}",
            name(level)
        )?;
        for (key, value) in &event.fields {
            write!(out, " \x1b[90m{key}=\x1b[0m{}", shown(value))?;
        }
        for (key, value) in &self.fields {
            write!(out, " \x1b[90m{key}=\x1b[0m{}", quoted(value))?;
        }
        writeln!(out)
    }

    fn json(&self, out: &mut Writer<'_>, head: [(&str, &str); 3], event: &Collected) -> std::fmt::Result {
        let mut line = event.fields.clone();
        line.extend(
            self.fields
                .iter()
                .map(|(key, value)| (key.clone(), Value::String(value.clone()))),
        );
        line.extend(
            head.iter()
                .map(|(key, value)| ((*key).to_owned(), Value::String((*value).to_owned()))),
        );
        writeln!(out, "{}", Value::Object(line))
    }
}

fn name(level: tracing::Level) -> String {
    match level {
        tracing::Level::WARN => "warning".into(),
        other => other.as_str().to_lowercase(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// As it is if nothing in it could be mistaken, else quoted; control characters are escaped either way.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=');
    if plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}
