//! The log: text for people, `key=value` for `grep`, JSON for programs. It goes to standard error.
//!
//! Source: `log.formatter`, `log.level`, `log.fields` of the CNCF registry.

use std::cell::Cell;
use std::fmt::{self, Display, Write};
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

use crate::access_lines::AccessLines;
use crate::log_thread::LogThread;

/// Starts logging as the settings say; the answer changes it later. Its thread must be flushed at the end.
pub(crate) fn start(log: &Log) -> io::Result<Control> {
    let (level, level_control) = reload::Layer::new(least(log.level));
    let forms = Forms::new(ArcSwap::from_pointee(Form::of(log)));
    let thread = LogThread::start("log", io::stderr())?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(thread.clone())
        .event_format(Lines(Arc::clone(&forms)));
    tracing_subscriber::registry().with(level).with(lines).init();
    Ok(Control {
        level: level_control,
        forms,
        thread,
    })
}

/// What can be changed while lines are written.
pub(crate) struct Control {
    level: reload::Handle<Targets, Registry>,
    forms: Forms,
    thread: LogThread,
}

/// The form of the moment.
pub(crate) type Forms = Arc<ArcSwap<Form>>;

impl Control {
    /// From the next line on.
    pub(crate) fn set(&self, log: &Log) {
        self.forms.store(Arc::new(Form::of(log)));
        if let Err(error) = self.level.reload(least(log.level)) {
            tracing::error!(%error, "the level of the log could not be changed");
        }
    }

    /// Lines of the access log, in this log.
    pub(crate) fn access(&self) -> AccessLines {
        AccessLines {
            forms: Arc::clone(&self.forms),
            thread: self.thread(),
        }
    }

    /// The thread that writes the lines.
    pub(crate) fn thread(&self) -> LogThread {
        self.thread.clone()
    }
}

fn least(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new().with_default(level)
}

/// Writes one event as one line.
struct Lines(Forms);

/// What a line looks like.
pub(crate) struct Form {
    formatter: Formatter,
    fields: Vec<(String, String)>,
    colour: bool,
}

/// The fields of an event, message first.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
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
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut collected = Collected::default();
        event.record(&mut collected);
        self.0
            .load()
            .write(&mut out, *event.metadata().level(), &collected)
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

    /// Whether a line is `key=value` and nothing else.
    pub(crate) fn is_plain(&self) -> bool {
        self.formatter == Formatter::Text && !self.colour
    }

    /// One line.
    pub(crate) fn write(
        &self,
        out: &mut impl Write,
        level: tracing::Level,
        event: &Collected,
    ) -> fmt::Result {
        match self.formatter {
            Formatter::Text if self.colour => self.coloured(out, level, event),
            Formatter::Text => self.plain(out, level, event),
            Formatter::Json => self.json(
                out,
                [
                    ("time", &Now.to_string()),
                    ("level", name(level)),
                    ("msg", &event.message),
                ],
                event,
            ),
            Formatter::Logstash => self.json(
                out,
                [
                    ("@timestamp", &Now.to_string()),
                    ("level", name(level)),
                    ("message", &event.message),
                ],
                event,
            ),
        }
    }

    fn plain(&self, out: &mut impl Write, level: tracing::Level, event: &Collected) -> fmt::Result {
        self.begin(out, level, &event.message)?;
        for (key, value) in &event.fields {
            write!(out, " {key}={}", Shown(value))?;
        }
        self.end(out)
    }

    /// What stands before the fields of a plain line.
    #[expect(
        clippy::unused_self,
        reason = "a plain line begins the same whatever the form adds at its end"
    )]
    pub(crate) fn begin(&self, out: &mut impl Write, level: tracing::Level, message: &str) -> fmt::Result {
        write!(out, "time={Now} level={} msg={}", name(level), Quoted(message))
    }

    /// What stands behind them.
    pub(crate) fn end(&self, out: &mut impl Write) -> fmt::Result {
        for (key, value) in &self.fields {
            write!(out, " {key}={}", Quoted(value))?;
        }
        writeln!(out)
    }

    fn coloured(&self, out: &mut impl Write, level: tracing::Level, event: &Collected) -> fmt::Result {
        let colour = match level {
            tracing::Level::ERROR => 31,
            tracing::Level::WARN => 33,
            tracing::Level::INFO => 36,
            _ => 90,
        };
        let message = event.message.replace(char::is_control, " ");
        write!(
            out,
            "\x1b[90m{Now}\x1b[0m \x1b[{colour}m{:5}\x1b[0m {message}",
            name(level)
        )?;
        for (key, value) in &event.fields {
            write!(out, " \x1b[90m{key}=\x1b[0m{}", Shown(value))?;
        }
        for (key, value) in &self.fields {
            write!(out, " \x1b[90m{key}=\x1b[0m{}", Quoted(value))?;
        }
        writeln!(out)
    }

    fn json(&self, out: &mut impl Write, head: [(&str, &str); 3], event: &Collected) -> fmt::Result {
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

const fn name(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warning",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// The time, to the millisecond.
struct Now;

impl Display for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        thread_local! {
            /// The last second that was put into words here.
            static LAST: Cell<(i64, [u8; 19])> = const { Cell::new((i64::MIN, [0; 19])) };
        }
        let now = jiff::Timestamp::now();
        let (second, milliseconds) = (now.as_second(), now.subsec_millisecond());
        let (known, mut words) = LAST.get();
        if known != second {
            let text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            match text.as_bytes().try_into() {
                Ok(bytes) => words = bytes,
                // A year of five digits.
                Err(_) => return write!(f, "{text}.{milliseconds:03}Z"),
            }
            LAST.set((second, words));
        }
        write!(
            f,
            "{}.{milliseconds:03}Z",
            str::from_utf8(&words).map_err(|_| fmt::Error)?
        )
    }
}

struct Shown<'a>(&'a Value);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => Quoted(text).fmt(f),
            other => other.fmt(f),
        }
    }
}

/// As it is if nothing in it could be mistaken, else quoted; control characters are escaped either way.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ascii = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'=';
        let any = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
        let is_plain = !self.0.is_empty() && (self.0.bytes().all(ascii) || self.0.chars().all(any));
        if is_plain {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}
