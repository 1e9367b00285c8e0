//! Time in which nobody reads the stream, and what it does to the service's checkpoint.
//!
//! The service remembers for seven days where the last of a stream's clients left; after that it sends
//! the stream from its beginning again (Inform API, Connecting). An ungated reading would take that walk
//! through old events for the present, and move the mark past events that are still to come. So whatever
//! kept everybody away (an operator's pause, rests, an outage, a suspended process or machine, a stop)
//! and whatever the reading had come to, such a stream is not read on: it is recovered.

use std::time::Duration;

use crate::service_clock::Jump;
use crate::time::{Instant, Timestamp};

use super::super::{Cause, Marked};

/// A day less than the service remembers, because neither our clock nor the mark is the service's.
const CHECKPOINT_TRUSTED: Duration = Duration::from_secs(6 * 86_400);

/// For how long nobody had read the stream when this process took it over from the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absence {
    /// By our wall clock, until something is read.
    before: Duration,
    /// Until the service's time is known: when it was first read, and the mark of then.
    taken_over: Option<(Instant, Timestamp)>,
    /// When something was read for the first time.
    reading_since: Option<Instant>,
    /// The longest time between two frames since the service's time was last borne out.
    gap: Duration,
    /// When the stream was made, if this process has made it.
    made: Option<Instant>,
}

impl Absence {
    /// A stream is taken over at `now`, and our wall clock says `wall`. Without a mark nothing tells how
    /// long nobody has read it: then its reading is gated as that of a new stream.
    pub(super) fn taken_over(now: Instant, wall: Timestamp, mark: Option<Timestamp>) -> Self {
        Self {
            before: mark.map_or(Duration::ZERO, |mark| wall.since(mark)),
            taken_over: mark.map(|mark| (now, mark)),
            ..Self::default()
        }
    }

    /// A stream was made: nobody has missed anything of it.
    pub(super) fn of_new_stream(now: Instant) -> Self {
        Self { made: Some(now), ..Self::default() }
    }

    /// Whether the service may have forgotten where we were before anything was read.
    pub(super) fn is_too_long(self) -> bool {
        self.before >= CHECKPOINT_TRUSTED
    }

    /// Whether it may have been too long: our wall clock proves nothing. The mark waits until the service has
    /// told the time; one that never does is read for as long as the gate of a new stream may stay closed.
    pub(super) fn is_unknown(self, now: Instant, forced: Duration) -> bool {
        self.taken_over.is_some()
            && self.reading_since.is_none_or(|since| now.since(since) < forced)
    }

    /// Something was read.
    pub(super) fn read(&mut self, now: Instant) {
        self.before = Duration::ZERO;
        if self.reading_since.is_none() {
            self.reading_since = Some(now);
            if let Some((at, _)) = &mut self.taken_over {
                *at = now;
            }
        }
    }

    /// Nobody has read for so long.
    fn gap(&mut self, gap: Duration) {
        self.gap = self.gap.max(gap);
    }

    /// The service's time goes on as expected.
    pub(super) const fn time_goes_on(&mut self) {
        self.gap = Duration::ZERO;
    }
}

impl Marked {
    /// Recovers if nobody has read the stream for too long until `now`. One that nobody has ever read
    /// begins at its beginning anyway.
    pub(in super::super) fn recovers_from_absence(&mut self, now: Instant) -> bool {
        let gap = now.since(self.reading.position.evidence());
        let absence = &mut self.reading.absence;
        absence.gap(gap);
        let away = gap.saturating_add(absence.before);
        self.recovers_after(away, now)
    }

    /// The service's time has gone ahead of ours: the machine was stopped, with all its clocks. Not if a
    /// connection went on meanwhile: that would not have outlived it.
    pub(super) fn time_jumped(&mut self, jump: Jump, now: Instant) {
        let gap = std::mem::take(&mut self.reading.absence.gap);
        let made_since = self.reading.absence.made.is_some_and(|made| made > jump.after);
        if !made_since && !self.slots.read_on(jump.after, jump.since) {
            self.recovers_after(jump.by.saturating_add(gap), now);
        }
    }

    /// The service has told what time it is, or at least is: whether our wall clock was right about how
    /// long nobody had read the stream that was taken over.
    pub(super) fn time_is_told(&mut self, now: Instant) {
        let Some((at, mark)) = self.reading.absence.taken_over else { return };
        if self.reading.knows_time() {
            self.reading.absence.taken_over = None;
        }
        self.recovers_after(self.reading.time(at).since(mark), now);
    }

    fn recovers_after(&mut self, away: Duration, now: Instant) -> bool {
        let expired = away >= CHECKPOINT_TRUSTED && !self.remote.is_unopened();
        if expired {
            self.recover(Cause::CheckpointExpired, now);
        }
        expired
    }
}
