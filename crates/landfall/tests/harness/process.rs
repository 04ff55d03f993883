//! The server as a process: its log is read all the time, and it ends with whoever holds it.
//!
//! Fails: when it does not start or end, or has panicked anywhere in its life.

use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::journal::Journal;
use super::wait_until;

/// The child and the threads that read from it; ends with it.
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) log: Journal,
    drains: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it, and reads all that it says.
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("landfall starts");
        let log = Journal::default();
        let out = log.drain(child.stdout.take().unwrap());
        let err = log.drain(child.stderr.take().unwrap());
        Self {
            child,
            log,
            drains: vec![out, err],
        }
    }

    /// Most bytes of memory that it ever had resident, as the kernel counts them.
    pub(super) fn memory_peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        for drain in self.drains.drain(..) {
            drain.join().unwrap();
        }
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}\n---", self.log);
        } else {
            assert!(
                !self.log.contains("panicked at"),
                "the server panicked:\n{}",
                self.log
            );
        }
    }
}

/// A running server that listens on something else than a TCP address.
pub(crate) struct Elsewhere(pub(super) Process);

impl Elsewhere {
    /// SIGTERM: drains and ends with 0.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.0.child), Signal::TERM).unwrap();
        let status = self.0.wait();
        assert!(status.success(), "{status}:\n{}", self.0.log);
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.0.child.kill().unwrap();
        self.0.wait();
    }
}
