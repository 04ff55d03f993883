//! A terminal on which somebody runs a command, reads what it shows, types, and presses Ctrl-C.
//!
//! Shape: [`Terminal::runs`] starts a line of the shell on a terminal of its own (`script` of util-linux makes it); what is
//! shown is kept from the beginning. Nothing is typed before the words that ask for it are there.
//! Fails: by panic, with everything that was shown, where words do not come or the command does not end.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(2);

/// A command on a terminal.
pub struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs a line of the shell. `around` prepares the command: folder, variables.
    #[must_use]
    pub fn runs(line: &str, around: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", line, "/dev/null"]);
        Self::on(command, around)
    }

    /// The same with a command that ends in `script` by itself.
    #[must_use]
    pub fn on(mut command: Command, around: impl FnOnce(&mut Command)) -> Self {
        command
            .env("TERM", "xterm")
            .env("COLUMNS", "200")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        around(&mut command);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot make a terminal: {error}; is `script` (bsdutils) installed?")
        });
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut shown, kept) = (child.stdout.take().expect("stdout is piped"), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = shown.read(&mut buffer) {
                let mut screen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                screen.extend_from_slice(&buffer[..read]);
            }
        });
        let keyboard = child.stdin.take();
        Self {
            child,
            keyboard,
            screen,
        }
    }

    /// Everything that was shown so far.
    #[must_use]
    pub fn shown(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until these words are shown.
    pub fn shows(&mut self, words: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown().contains(words) {
            assert!(
                Instant::now() < deadline,
                "`{words}` is not shown:\n{}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.sends(format!("{line}\n").as_bytes())
    }

    /// Presses Ctrl-C.
    pub fn interrupts(&mut self) -> &mut Self {
        self.sends(b"\x03")
    }

    fn sends(&mut self, bytes: &[u8]) -> &mut Self {
        let keyboard = self.keyboard.as_mut().expect("the terminal is open");
        keyboard
            .write_all(bytes)
            .and_then(|()| keyboard.flush())
            .unwrap_or_else(|error| panic!("cannot type: {error}"));
        self
    }

    /// Waits for the end; the exit code, and everything that was shown.
    pub fn ends(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return (status.code(), self.shown());
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.keyboard = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
