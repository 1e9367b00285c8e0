//! The recovery of the strategy `replay`: terminate everything, read on from the same stream, and read
//! `/replay` beside it until that has passed whatever may have been lost.
//!
//! The service goes on from its checkpoint, so the live reading needs no history, and what was lost is a suspect
//! like any other. What differs from a verification is when it is over. A client of ours that was closed may stay
//! a member for long where the service does not hear of it, and is sent its share of the events until it is let
//! go. So the replay has to pass the moment at which, for the first time since the termination, all clients that
//! the service counts were certainly ours ([`census`](super::census)); a second stall moves that moment on, and
//! leaves the replay alone. If the moment does not come, the stream is made anew.
//!
//! It is made anew, too, where nothing proves what of the old one is still to come: see [`Obstacle`].

use crate::time::{Instant, Timestamp, UtcDay};

use super::incident::Way;
use super::{Cause, Marked, Obstacle, Report, Stage, Strategy};

impl Marked {
    /// How a recovery for that cause goes on. That a stream has to be made anew, against the strategy, is said
    /// once in an incident.
    pub(super) fn choose_way(&mut self, cause: Cause, now: Instant) -> Way {
        if self.config.strategy == Strategy::Recreate {
            return Way::NewStream;
        }
        let Some(obstacle) = self.obstacle(cause, now) else { return Way::SameStream };
        if self.recovery.way() != Some(Way::NewStream) {
            self.effects.report(Report::NeedsNewStream(obstacle));
        }
        Way::NewStream
    }

    fn obstacle(&self, cause: Cause, now: Instant) -> Option<Obstacle> {
        let is_read = self.remote.id().is_some() && !self.reading.is_filling();
        let Some(mark) = self.reading.mark().filter(|_| is_read) else {
            return Some(Obstacle::Unread);
        };
        match cause {
            Cause::StreamGone => Some(Obstacle::StreamGone),
            Cause::CheckpointExpired => Some(Obstacle::CheckpointExpired),
            Cause::CutByStartTime => Some(Obstacle::CutByStartTime),
            // The first time it may be one of ours, which the service has not let go of.
            Cause::ForeignClient if self.recovery.rereads() => Some(Obstacle::Clients),
            _ if !self.keeps(mark.utc_day(), now) => Some(Obstacle::DayNotKept),
            Cause::ReplayRefused => Some(Obstacle::ReplayRefused),
            _ if self.verification.is_refused() => Some(Obstacle::ReplayRefused),
            _ => None,
        }
    }

    /// Whether the service keeps that day, as far as we know the time.
    fn keeps(&self, day: UtcDay, now: Instant) -> bool {
        self.reading.kept_from(now).is_none_or(|kept_from| day >= kept_from)
    }

    /// Everything is closed and written down: on with the same stream.
    pub(super) fn go_on_with_stream(&mut self, now: Instant) {
        self.effects.report(Report::Terminated);
        self.reading.go_on_after(self.recovery.terminated(), now);
        self.census.closed_all(now);
        self.stage = Stage::Running;
        self.connect_slots(now);
        self.next_call(now);
    }

    /// When the replay of a recovery is to be opened: at once, and again after a pause if it has failed.
    pub(super) fn reread_due(&self) -> Option<Instant> {
        let is_idle = !self.verification.is_connected()
            && !self.slots.is_paused()
            // A service that refuses all is left alone; one that has no place for us reads to others.
            && (self.slots.is_answered() || self.census.is_kept_out())
            && self.is_running();
        is_idle.then(|| self.verification.not_before())
    }

    /// Whether the replay can still be read from the day of the mark; if not, the stream is made anew.
    pub(super) fn can_reread(&mut self, now: Instant) -> bool {
        let can = self.reading.mark().is_some_and(|mark| self.keeps(mark.utc_day(), now));
        if !can {
            self.verification.put_off(now);
            self.recover(Cause::ReplayRefused, now);
        }
        can
    }

    /// Up to where the replay of the recovery under way has to have read: what was lost was sent before all
    /// clients were ours again. If the service never tells the time, records have set our own clock forward by
    /// then; what they were behind is within the margin.
    pub(super) fn reread_goal(&self, now: Instant) -> Option<Timestamp> {
        let ours = self.census.ours_at().filter(|_| self.is_running())?;
        let goal = self.reading.latest(ours);
        if self.reading.knows_time() {
            return Some(goal);
        }
        let is_late = now.since(ours) >= self.config.position.forced_open();
        is_late.then(|| goal.plus(self.reading.margin()))
    }

    /// When it is no use to wait any longer for the service to count our clients alone.
    pub(super) fn clients_given_up_at(&self) -> Option<Instant> {
        let waits = self.recovery.rereads() && self.is_running() && !self.recovery.is_wanted();
        let since = self.census.unsettled_since().filter(|_| waits)?;
        Some(since + self.config.position.forced_open())
    }
}
