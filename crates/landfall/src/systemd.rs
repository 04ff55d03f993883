//! What systemd offers a service: sockets that it opened, and a place to say how things stand.
//!
//! Without systemd everything here does nothing. Source: sd_listen_fds(3), sd_notify(3), systemd.service(5)
//! (`Type=notify`, `Type=notify-reload`).
#![expect(
    unsafe_code,
    reason = "the sockets are inherited as numbers, and only an unsafe call makes owners of them"
)]

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::io::FdFlags;
use rustix::time::ClockId;
use server::Listener;
use socket2::Socket;

/// The first descriptor that is passed.
const FIRST: i32 = 3;
/// More than any unit has; a larger number is a mistake.
const COUNT_MAX: i32 = 16;

/// A socket that systemd opened for us, and its name in the unit (`FileDescriptorName=`).
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) name: String,
    socket: Socket,
}

/// The sockets that were passed to this process. Call it once, before anything else opens files.
pub(crate) fn passed() -> Vec<Passed> {
    let variable = |name: &str| std::env::var(name).ok();
    let ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let count: i32 = variable("LISTEN_FDS")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    if !ours || !(1..=COUNT_MAX).contains(&count) {
        return Vec::new();
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names = names
        .split(':')
        .map(str::to_owned)
        .chain(std::iter::repeat(String::new()));
    (FIRST..FIRST + count)
        .zip(names)
        .filter_map(|(number, name)| {
            // SAFETY: LISTEN_PID says that these descriptors were made for this very process, which has opened nothing
            // yet and calls this once: nobody else owns them. One that is not open is found by the next call.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            if rustix::io::fcntl_setfd(&descriptor, FdFlags::CLOEXEC).is_err() {
                std::mem::forget(descriptor); // not open: closing it would be a fault of ours
                return None;
            }
            Some(Passed {
                name,
                socket: descriptor.into(),
            })
        })
        .collect()
}

impl Passed {
    /// As a listener, with the address that it listens on and whether only this machine reaches it.
    pub(crate) fn into_listener(self) -> std::io::Result<(Listener, String, bool)> {
        self.socket.set_nonblocking(true)?;
        let address = self.socket.local_addr()?;
        if let Some(path) = address.as_pathname() {
            let shown = path.display().to_string();
            let listener = tokio::net::UnixListener::from_std(self.socket.into())?;
            return Ok((Listener::Unix(listener), shown, true));
        }
        let ip = address.as_socket().ok_or(std::io::ErrorKind::Unsupported)?;
        let listener = tokio::net::TcpListener::from_std(self.socket.into())?;
        Ok((
            Listener::Tcp(listener),
            ip.to_string(),
            ip.ip().to_canonical().is_loopback(),
        ))
    }
}

/// What the service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Requests are served.
    Ready,
    /// The configuration is read again; `Ready` follows.
    Reloading,
    /// Running requests may finish.
    Stopping,
}

/// Tells systemd, if it listens. A failure is nobody's loss but the status line's.
pub(crate) fn notify(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let text = match state {
        State::Ready => "READY=1".to_owned(),
        State::Reloading => {
            let now = rustix::time::clock_gettime(ClockId::Monotonic);
            format!(
                "RELOADING=1\nMONOTONIC_USEC={}",
                now.tv_sec * 1_000_000 + now.tv_nsec / 1000
            )
        }
        State::Stopping => "STOPPING=1".to_owned(),
    };
    let bytes = socket.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&socket),
    };
    let sent = UnixDatagram::unbound().and_then(|datagram| datagram.send_to_addr(text.as_bytes(), &address?));
    if let Err(error) = sent {
        tracing::debug!(%error, "systemd could not be told how things stand");
    }
}
