//! The signals that ask a command to end, or to read its configuration again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal as Number};
use signal_hook::consts::SIGXFSZ;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Lets a write that a limit of the process (`ulimit -f`) forbids fail, like one to a full disk: by itself
/// SIGXFSZ ends the process.
pub(crate) fn survive_file_limits() -> Result<(), Failure> {
    // Nobody looks at the flag. A handler, unlike a signal that is ignored, is not passed on to children.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .context("cannot listen for signals")?;
    Ok(())
}

/// Lets the signals that `run` handles come through: a parent that waits for its own with `sigwait` leaves
/// them blocked in its children. Before there is any other thread, which would not hear of it.
pub(crate) fn unblock() -> anyhow::Result<()> {
    let handled: SigSet = [Number::SIGTERM, Number::SIGINT, Number::SIGHUP].into_iter().collect();
    handled.thread_unblock().context("cannot listen for signals")
}

/// SIGHUP, for who reads a configuration.
pub(crate) struct Hangup(Signal);

impl Hangup {
    /// Listens from here on; it no longer ends the process.
    pub(crate) fn new() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from here on; both no longer end the process by themselves.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one that is meant as a second: `timeout`, and a shell's Ctrl-C through wrappers, send
    /// the first one twice, to the process and to its group.
    pub(crate) async fn again(&mut self) -> i32 {
        let first = tokio::time::Instant::now();
        loop {
            let signal = self.next().await;
            if first.elapsed() >= ECHO {
                return signal;
            }
        }
    }

    /// Waits for the next, and gives its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}

/// A repeated signal within this is an echo of the first.
const ECHO: Duration = Duration::from_millis(500);
