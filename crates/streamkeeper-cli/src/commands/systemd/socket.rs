//! The socket that systemd gave us, without ever waiting for whoever reads it.
//!
//! A reader that hangs must not hold up a reload or a stop. What finds no room is kept in order and told
//! later: systemd waits for the end of a reload that it has heard of. A ping is of the moment.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sd_notify::NotifyState;

/// The way to whoever supervises this process, if somebody does.
pub(super) struct Socket {
    /// Ours, and where theirs is: not connected, since theirs may be made anew.
    way: Option<(UnixDatagram, SocketAddr)>,
    /// What found no room yet.
    kept: RefCell<VecDeque<String>>,
}

impl Socket {
    /// The one that `NOTIFY_SOCKET` names.
    pub(super) fn of_the_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let way = name.and_then(|name| match way_to(&name) {
            Ok(way) => Some(way),
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be told anything: NOTIFY_SOCKET");
                None
            }
        });
        Self { way, kept: RefCell::default() }
    }

    /// Tells of these states, now or later.
    pub(super) fn tell(&self, states: &[NotifyState<'_>]) {
        let message = states.iter().map(|state| format!("{state}\n")).collect();
        let mut kept = self.kept.borrow_mut();
        kept.push_back(message);
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
        drop(kept);
        self.tell_the_rest();
    }

    /// Tells what was kept, as far as there is room.
    pub(super) fn tell_the_rest(&self) {
        let mut kept = self.kept.borrow_mut();
        while let Some(message) = kept.front() {
            if !self.send(message) {
                return;
            }
            kept.pop_front();
        }
    }

    /// Says that we live. If nobody hears it, the next one says it.
    pub(super) fn ping(&self) {
        self.send(&format!("{}\n", NotifyState::Watchdog));
    }

    /// Whether there is nothing more to do about it.
    fn send(&self, message: &str) -> bool {
        let Some((socket, theirs)) = &self.way else { return true };
        match socket.send_to_addr(message.as_bytes(), theirs) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                tracing::debug!(%error, "systemd cannot be told");
                true
            }
            Ok(_) => true,
        }
    }
}

/// A path, or a name in the abstract namespace of Linux after an `@`.
fn way_to(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Some reloads; of more, systemd has to hear the last.
const KEPT_MAX: usize = 16;
