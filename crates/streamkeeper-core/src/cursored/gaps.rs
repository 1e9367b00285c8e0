//! A lost resume point: it is an incident, never silent; then a snapshot, if there is one; then on.

use crate::id::ConnectionId;
use crate::time::Instant;

use super::link::Held;
use super::resync::Outcome;
use super::{Cursored, GapSign, Output, Report, Sign};

impl Cursored {
    /// The resume point is lost.
    pub(super) fn gap(&mut self, sign: Sign, now: Instant) -> u64 {
        for report in self.incidents.gap(sign, now) {
            self.effects.report(report);
        }
        if self.config.resync {
            self.resync.owe(now);
        }
        // A crash from here on must not forget that a snapshot is owed.
        let number = self.persist(false, now);
        self.end_if_over(now);
        number
    }

    /// An answered 200 shows that the resume point was lost. It goes on, and its events move the cursor; but
    /// not before the gap is written down and the snapshot is committed.
    pub(super) fn gap_shown(&mut self, connection: ConnectionId, sign: GapSign, now: Instant) {
        let has_read = self.point.has_read();
        let Some(link) = self.link_of(connection) else { return };
        if sign == GapSign::Session {
            // What stood in the old one stands for nothing in the new one, which is asked from its beginning.
            link.asked = None;
            if !has_read {
                self.effects.push(Output::GoOn(connection));
                return;
            }
            self.point.forget(connection);
        } else if sign != GapSign::Header {
            // It came in a frame.
            self.alive(connection, now);
        }
        let number = self.gap(Sign::Answer(sign), now);
        if let Some(link) = self.link_of(connection) {
            link.held = Some(Held::Record(number));
        }
    }

    /// The state of that number is durable.
    pub(super) fn gap_is_recorded(&mut self, number: u64) {
        if let Some(link) = &mut self.link
            && link.held.is_some_and(|held| held == Held::Record(number))
        {
            link.held = Some(Held::Snapshot);
            self.go_on();
        }
    }

    /// Lets what waits behind a sign come, if nothing has to come before.
    fn go_on(&mut self) {
        if self.resync.is_owed() {
            return;
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.held == Some(Held::Snapshot)) {
            link.held = None;
            self.effects.push(Output::GoOn(link.connection));
        }
    }

    /// The incident is over when the stream is read again, or is not to be, and no snapshot is owed.
    pub(super) fn end_if_over(&mut self, now: Instant) {
        let reads = self.link.as_ref().is_some_and(|link| link.proven && link.ending.is_none());
        if self.resync.is_owed() || !(reads || self.ended) {
            return;
        }
        if let Some(report) = self.incidents.end(now) {
            self.effects.report(report);
            self.record.changed();
        }
    }

    /// What was read before a break is committed. If there is still nothing to go on from, what was sent
    /// since is lost.
    pub(super) fn judge_break(&mut self, now: Instant) {
        if self.tail.take_missed() && !self.resumes() && !self.config.full_state {
            self.gap(Sign::Break, now);
        }
    }

    pub(super) fn resync_if_due(&mut self, now: Instant) {
        if self.is_running() && self.resync.ask(now) {
            self.effects.report(Report::Resyncing);
            self.effects.push(Output::Resync);
        }
    }

    pub(super) fn resynced(&mut self, ok: bool, now: Instant) {
        match self.resync.answered(ok, now) {
            Some(Outcome::Done) => {
                self.effects.report(Report::Resynced);
                self.record.changed();
                self.end_if_over(now);
                self.go_on();
            }
            Some(Outcome::Failed(wait)) => self.effects.report(Report::ResyncFailed { wait }),
            None => {}
        }
    }
}
