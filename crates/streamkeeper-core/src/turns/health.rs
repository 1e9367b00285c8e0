//! How a stream is at a sink, and how the sink as a whole is: what waits, for how long, and for whose hand.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::time::Instant;

use super::messages::Retry;

/// A stream's way through the sink.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) told: bool,
    pub(super) state: State,
    /// It is held: a hand has to mend what it waits for.
    pub(super) held: bool,
    pub(super) backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has nothing.
    Quiet,
    /// It is in one of the queues.
    Queued,
    /// It is being read, or in a delivery; there may be more in its outbox.
    Gathered { more: bool },
    /// It waits after a failure.
    Waits { until: Instant },
}

/// How the sink as a whole is.
#[derive(Debug)]
pub(super) struct SinkHealth {
    pub(super) backoff: Backoff,
    pub(super) paused_until: Option<Instant>,
    pub(super) held: bool,
    /// The last delivery failed as a whole: the next one carries one stream.
    pub(super) alone: bool,
}

impl Feed {
    pub(super) const fn is_well(&mut self) {
        self.held = false;
        self.backoff.reset();
    }
}

impl SinkHealth {
    pub(super) fn failed(&mut self, now: Instant, retry: Retry) {
        self.paused_until = Some(now + pause(&mut self.backoff, retry));
        self.held = retry == Retry::Held;
    }

    pub(super) const fn is_well(&mut self) {
        self.held = false;
        self.alone = false;
        self.backoff.reset();
    }
}

pub(super) fn pause(backoff: &mut Backoff, retry: Retry) -> Duration {
    match retry {
        Retry::Growing { at_least } => backoff.next(at_least),
        Retry::Held => backoff.next(None).max(backoff.config().max),
    }
}
