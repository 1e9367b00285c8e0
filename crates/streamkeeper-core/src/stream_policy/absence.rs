//! Time in which nobody reads the stream, and what it does to the service's checkpoint.
//!
//! The service remembers for seven days where the last of a stream's clients left; after that it sends
//! the stream from its beginning again (Inform API, Connecting). An ungated reading would take that walk
//! through old events for the present, and move the mark past events that are still to come. So whatever
//! kept everybody away (an operator's pause, rests, an outage, a suspended process or machine, a stop)
//! and whatever the reading had come to, such a stream is not read on: it is recovered.

use std::time::Duration;

use crate::time::{Instant, Timestamp};

use super::{Cause, StreamPolicy};

/// A day less than the service remembers, because neither our clock nor the mark is the service's.
pub(super) const CHECKPOINT_TRUSTED: Duration = Duration::from_secs(6 * 86_400);

/// A wall clock further than this behind a mark is wrong, and says nothing about how long ago that was.
const CLOCK_BEHIND: Duration = Duration::from_secs(86_400);

/// For how long nobody had read the stream when this process took it over from the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absence {
    /// By our wall clock, until something is read.
    before: Duration,
    /// Until the service's time is known: when it was taken over, and the mark of then.
    taken_over: Option<(Instant, Timestamp)>,
    /// Our wall clock did not tell.
    unknown: bool,
}

impl Absence {
    /// A stream is taken over at `now`, and our wall clock says `wall`. Without a mark nothing tells how
    /// long nobody has read it: then its reading is gated as that of a new stream.
    pub(super) fn taken_over(now: Instant, wall: Timestamp, mark: Option<Timestamp>) -> Self {
        Self {
            before: mark.map_or(Duration::ZERO, |mark| wall.since(mark)),
            taken_over: mark.map(|mark| (now, mark)),
            unknown: mark.is_some_and(|mark| mark.since(wall) >= CLOCK_BEHIND),
        }
    }

    /// Whether the service may have forgotten where we were before anything was read.
    pub(super) fn is_too_long(self) -> bool {
        self.before >= CHECKPOINT_TRUSTED
    }

    /// Whether it may have been too long: the mark waits until the service has told the time.
    pub(super) const fn is_unknown(self) -> bool {
        self.unknown
    }

    /// Something was read.
    pub(super) const fn read(&mut self) {
        self.before = Duration::ZERO;
    }
}

impl StreamPolicy {
    /// Recovers if nobody has read the stream for too long until `now`. One that nobody has ever read
    /// begins at its beginning anyway.
    pub(super) fn recovers_from_absence(&mut self, now: Instant) -> bool {
        let away = now.since(self.position.evidence()).saturating_add(self.absence.before);
        let expired = away >= CHECKPOINT_TRUSTED && self.unopened_since.is_none();
        if expired {
            self.recover(Cause::CheckpointExpired, now);
        }
        expired
    }

    /// So much time has passed unseen: the machine was stopped, with all its clocks.
    pub(super) fn missed(&mut self, time: Duration, now: Instant) {
        if time >= CHECKPOINT_TRUSTED && self.unopened_since.is_none() {
            self.recover(Cause::CheckpointExpired, now);
        }
    }

    /// The service has told the time: whether our wall clock was right about how long nobody had read
    /// the stream that was taken over.
    pub(super) fn time_is_proven(&mut self, now: Instant) {
        if let Some((at, mark)) = self.absence.taken_over.take() {
            self.absence.unknown = false;
            self.missed(self.clock.at(at).since(mark), now);
        }
    }
}
