//! Lines of the log go to a thread of their own, so that a reader who stalls holds up no request.
//!
//! Units: lines; at most `LINES_MAX` wait. When the reader is too slow, lines are dropped and counted, and the count is
//! written when there is room again. Fails: never; a closed pipe ends the log, not the server.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Most lines that wait.
const LINES_MAX: usize = 4096;
/// How long the end waits for the last lines.
const FLUSH_TIME: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    /// Everything before it is written: answer.
    Flush(SyncSender<()>),
}

/// Where lines are handed in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogThread {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl LogThread {
    /// Starts a thread that writes to `out`.
    pub(crate) fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || write_all(out, &entries, &counted))?;
        Ok(Self { queue, lost })
    }

    /// Hands a line in, or drops it if too many wait.
    pub(crate) fn line(&self, line: &[u8]) {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, not for long, until what was handed in is written.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(done)).is_ok() {
            // A reader who stalls for good must not keep us from ending.
            let _ = written.recv_timeout(FLUSH_TIME);
        }
    }
}

fn write_all(mut out: impl Write, entries: &Receiver<Entry>, lost: &AtomicU64) {
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) => {
                let missing = lost.swap(0, Ordering::Relaxed);
                if missing > 0 {
                    let note =
                        format!("level=warning msg=\"the log's reader is too slow\" lines_lost={missing}\n");
                    let _ = out.write_all(note.as_bytes());
                }
                // Nobody reads any more: there is nobody to tell.
                let _ = out.write_all(&line).and_then(|()| out.flush());
            }
            Entry::Flush(done) => {
                let _ = done.send(());
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
        for _ in 0..LINES_MAX * 2 {
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
