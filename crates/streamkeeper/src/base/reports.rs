//! The one way by which what happens in a stream reaches its supervisor: in order, stamped with the time.

use streamkeeper_core::policy::Input;
use streamkeeper_core::time::Instant;
use tokio::sync::mpsc;

use super::clock::Clock;

/// Where connections, lifecycle and writer report to; each report is stamped as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    sender: mpsc::UnboundedSender<(Instant, Input)>,
    clock: Clock,
}

/// The supervisor's end of [`Reports`].
pub(crate) type ReportsReceiver = mpsc::UnboundedReceiver<(Instant, Input)>;

impl Reports {
    /// A channel for one stream. It needs no bound of its own: frames are bounded by the stream's
    /// budget, and everything else is a few reports for each connection and poke.
    pub(crate) fn channel(clock: Clock) -> (Self, ReportsReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, clock }, receiver)
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends a report; after the supervisor has stopped, nobody wants it.
    pub(crate) fn send(&self, input: impl Into<Input>) {
        if self.sender.send((self.clock.now(), input.into())).is_err() {
            tracing::trace!("a report came after the stream had stopped");
        }
    }
}
