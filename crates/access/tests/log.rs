//! What the log says about a password file that changes: each fact once, and never a secret.

mod desk;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex, PoisonError};

use desk::{BUSY_BEE, Desk, line};

/// All that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was logged since this was last asked.
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_each_change_once_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let desk = Desk::open_fresh(line("ann", "canary"));
    let login_thrice = async || {
        for _ in 0..3 {
            let _ = desk.login("ann", "canary").await;
        }
        log.take()
    };
    assert_eq!(login_thrice().await, "");

    fs::remove_file(&desk.file).unwrap();
    let away = login_thrice().await;
    assert_eq!(away.matches("LF-AUTH-001").count(), 1, "{away}");
    assert!(
        away.contains("ERROR") && away.contains("the users stay as they were last read"),
        "{away}"
    );

    fs::create_dir(&desk.file).unwrap();
    let directory = login_thrice().await;
    assert_eq!(directory.matches("LF-STO-003").count(), 1, "{directory}");
    fs::remove_dir(&desk.file).unwrap();

    symlink("/proc/self/mem", &desk.file).unwrap(); // a file that opens and gives an error when it is read
    let broken = login_thrice().await;
    assert_eq!(broken.matches("LF-AUTH-003").count(), 1, "{broken}");
    fs::remove_file(&desk.file).unwrap();
    let _ = login_thrice().await;

    desk.write(BUSY_BEE.to_owned() + "bob:canary\ncanary\n" + &line("ann", "canary"));
    let back = login_thrice().await;
    assert_eq!(back.matches("can be read again").count(), 1, "{back}");
    assert_eq!(back.matches("LF-AUTH-008").count(), 1, "{back}");
    assert!(
        back.contains("users=2") && back.contains("line 3 of ") && back.contains("line 4 of "),
        "{back}"
    );

    let all = away + &directory + &broken + &back;
    assert!(!all.contains("canary") && !all.contains("$2"), "{all}");
}
