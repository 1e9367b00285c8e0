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
    pub(super) suspicion: Suspicion,
}

/// The search for an event that is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspicion {
    /// It is among so many of the next events; 0: there is none.
    among: usize,
    /// So many are tried at once.
    limit: usize,
    /// So often the next one was refused alone.
    refusals: u32,
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
    /// The last delivery failed as a whole: the next one carries one stream, and nothing is beside it.
    pub(super) alone: bool,
    pub(super) blight: Blight,
}

/// How many of the latest events were set aside: where it is most, it is not the events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blight {
    set_aside: usize,
    settled: usize,
    /// It is too many: nothing is set aside before something else has been delivered.
    pub(super) stopped: bool,
}

impl Feed {
    pub(super) const fn is_well(&mut self) {
        self.held = false;
        self.backoff.reset();
    }
}

impl Suspicion {
    pub(super) const fn is_any(self) -> bool {
        self.among > 0
    }

    /// At most so many are tried at once.
    pub(super) const fn limit(self, events_max: usize) -> usize {
        if self.among == 0 || self.limit > events_max { events_max } else { self.limit }
    }

    /// One of the next `left` events is refused: the one at `at`, if that is known.
    pub(super) const fn found(&mut self, left: usize, at: Option<usize>) {
        (self.among, self.limit) = match at {
            Some(at) if at < left => (at + 1, at),
            _ => (left, left / 2),
        };
        if self.limit == 0 {
            self.limit = 1;
        }
    }

    /// The next event was refused alone; how often by now.
    pub(super) const fn refused_alone(&mut self) -> u32 {
        self.refusals += 1;
        self.refusals
    }

    /// The next events are behind us: delivered, or set aside.
    pub(super) const fn passed(&mut self, events: usize) {
        if events > 0 {
            self.refusals = 0;
        }
        self.among = self.among.saturating_sub(events);
        if self.limit > self.among {
            self.limit = self.among;
        }
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

impl Blight {
    pub(super) const fn delivered(&mut self, events: usize) {
        if events > 0 {
            self.stopped = false;
            self.settle(events);
        }
    }

    pub(super) const fn set_aside(&mut self) {
        self.set_aside += 1;
        self.settle(1);
    }

    /// Whether one more would be too many.
    pub(super) const fn is_too_much(&self) -> bool {
        self.set_aside >= SET_ASIDE_MAX && self.set_aside * 2 > self.settled
    }

    /// Old ones count for less and less.
    const fn settle(&mut self, events: usize) {
        self.settled += events;
        while self.settled > SETTLED_MAX {
            self.settled /= 2;
            self.set_aside /= 2;
        }
    }
}

/// So many may be set aside in any case …
const SET_ASIDE_MAX: usize = 10;

/// … and more only while they are the lesser part of about so many.
const SETTLED_MAX: usize = 100;

pub(super) fn pause(backoff: &mut Backoff, retry: Retry) -> Duration {
    match retry {
        Retry::Growing { at_least } => backoff.next(at_least),
        Retry::Held => backoff.next(None).max(backoff.config().max),
    }
}
