//! The signals that ask a command to end, or to read its configuration again.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
