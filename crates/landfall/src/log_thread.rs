//! Lines of the log go to a thread of their own, so that a reader who stalls holds up no request.
//!
//! Units: bytes; at most `WAITING_MAX` wait. The thread writes all that waits at once, then pauses for a moment, so that a
//! busy server pays for few writes and few wake-ups. When the reader is too slow, lines are dropped and counted, and the
//! count is written when there is room again. Fails: never; a closed pipe ends the log, not the server.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait.
const WAITING_MAX: usize = 1024 * 1024;
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the end waits for the last lines.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Where lines are handed in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogThread(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    handed_in: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    lost: u64,
    /// The thread sleeps until somebody tells it.
    idle: bool,
    /// Somebody waits for the end of all that is here.
    flushing: bool,
    /// Bytes handed in and bytes written, since the start.
    taken: u64,
    done: u64,
}

impl LogThread {
    /// Starts a thread that writes to `out`.
    pub(crate) fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work.write_all(out))?;
        Ok(Self(shared))
    }

    /// Hands a line in, or drops it if too much waits.
    pub(crate) fn line(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.lines.len() + line.len() > WAITING_MAX {
            state.lost += 1;
            return;
        }
        if state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            let note = format!("level=warning msg=\"the log's reader is too slow\" lines_lost={lost}\n");
            state.take(note.as_bytes());
        }
        state.take(line);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.0.handed_in.notify_one();
        }
    }

    /// Waits, not for long, until what was handed in is written.
    pub(crate) fn flush(&self) {
        let mut state = self.0.lock();
        let all = state.taken;
        (state.flushing, state.idle) = (true, false);
        self.0.handed_in.notify_one();
        // A reader who stalls for good must not keep us from ending.
        let waiting = self
            .0
            .written
            .wait_timeout_while(state, FLUSH_TIME, |state| state.done < all);
        drop(waiting);
    }
}

impl State {
    fn take(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.taken += line.len() as u64;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() {
                state.idle = true;
                state = self.handed_in.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.lines, &mut lines);
            drop(state);
            // Nobody reads any more: there is nobody to tell.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            let mut state = self.lock();
            state.done += lines.len() as u64;
            lines.clear();
            self.written.notify_all();
            if !std::mem::take(&mut state.flushing) {
                drop(state);
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Takes one line for the thread.
pub(crate) struct Line<'a>(&'a LogThread);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogThread {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Stalled(Arc<Mutex<Vec<u8>>>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_stalls_holds_nobody_up_and_is_told_what_it_missed() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = LogThread::start("test", Stalled(Arc::clone(&written))).unwrap();
        let stall = written.lock().unwrap();
        for _ in 0..WAITING_MAX {
            log.line(b"line\n");
        }
        drop(stall);
        let is_told = || {
            let text = written.lock().unwrap();
            text.windows(11).any(|part| part == b"lines_lost=")
        };
        // The count is told with the next line that finds room.
        while !is_told() {
            log.line(b"again\n");
            log.flush();
        }
    }
}
