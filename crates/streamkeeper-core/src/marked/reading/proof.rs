//! What committed frames prove: how far the stream has been read, and with it the mark.
//!
//! Only what is durable counts, and only while nothing changes: `docs/recovery.md` has the rules, and the
//! naive ones that lose events.

use std::time::Duration;

use crate::id::{ConnectionId, Reader, SlotId};
use crate::marked::low_water::Gate;
use crate::policy::Datum;
use crate::policy::Span;
use crate::service_clock::Statement;
use crate::time::{Instant, Timestamp};

use super::super::{Cause, Marked, Report};
use super::Reading;

/// The reading has come further.
struct Advanced {
    /// It has come up to where we were.
    caught_up: bool,
    /// Users whose last known records should have come on the way.
    missing: usize,
}

impl Reading {
    /// Records were accepted, or known, wherever they came from.
    fn accepted(&mut self, data: &[Datum]) {
        for datum in data {
            self.water.accepted(datum);
        }
    }

    /// Frames of the stream that are durable.
    fn frames(&mut self, span: &Span) {
        self.position.frame(span.arrived);
        for datum in &span.data {
            self.position.data(span.arrived, datum);
        }
        // Whether what is read is from a while ago: the service has a backlog for us.
        let present = self.clock.latest(span.arrived);
        let old = self.water.margin() + self.config.settle * 2;
        let is_old = |created_at| present.since(created_at) > old;
        if self.clock.is_proven() && span.data.iter().any(|datum| is_old(datum.created_at)) {
            self.backlog_at = Some(span.arrived);
        }
    }

    /// Whether we have read for `settle` without a change, and nothing says that more time may have passed.
    fn is_settled(&self) -> bool {
        let evidence = self.position.evidence();
        self.position.is_settled()
            && !self.absence.is_unknown(evidence, self.config.forced_open())
            && !self.clock.is_doubted(evidence)
    }

    /// Moves live reading and mark, if the gate is open. `heard`: when the slot heard longest ago was.
    fn advance(&mut self, span: &Span, heard: Instant, now: Instant) -> Option<Advanced> {
        let missing = match self.position.gate() {
            Gate::Closed => return None,
            Gate::Open => 0,
            Gate::Forced { missing } => missing,
        };
        let margin = self.water.margin();
        let settle = self.config.settle;
        let reached = self.position.reached(&self.clock, heard, margin)?;
        if self.clock.is_proven() {
            let present = self.clock.at(span.arrived);
            let behind = present.since(reached);
            let new = span.data.iter().filter(|datum| datum.new);
            let oldest = new.map(|datum| datum.created_at).min();
            if let Some(oldest) = oldest.filter(|_| behind <= settle + margin * 4) {
                self.water.delayed(present.since(oldest));
            }
            if behind <= settle * 2 + margin {
                self.settled_at = now;
            }
        }
        self.water.advance(reached);
        let caught_up = self.filling && reached >= self.terminated_at.minus(margin).minus(settle);
        if caught_up {
            self.position.open_gate();
        }
        Some(Advanced { caught_up, missing })
    }
}

impl Marked {
    /// What durable frames prove about the position.
    pub(in super::super) fn committed(
        &mut self,
        connection: ConnectionId,
        span: &Span,
        now: Instant,
    ) {
        self.recovery.count(span);
        self.reading.accepted(&span.data);
        if connection.reader == Reader::Replay {
            // Where data flows, the stream itself may tell no time; a replay pokes before it brings anything.
            if span.poke.is_some() && self.recovery.rereads() && !self.reading.knows_time() {
                self.tell_time(connection, span, now);
            }
            self.verification_committed(connection, span, now);
            self.persist_mark(now);
            return;
        }
        // Events of an older epoch are accepted all the same; they prove nothing about position.
        let Some(slot) = self.slots.of(connection) else { return };
        let silence = slot.hear(span.arrived);
        // A process that was suspended for days reads first what had waited in its sockets.
        if self.recovers_from_absence(span.arrived) {
            return;
        }
        self.tell_time(connection, span, now);
        // What was sent while it was silent comes after this frame, and has not been seen yet.
        if silence > self.config.watchdog.late_after {
            self.reading.changed(span.arrived);
        }
        self.reading.frames(span);
        for datum in &span.data {
            self.widening.read(datum, self.remote.start());
        }
        self.advance(span, now);
    }

    /// What frames say of the service's time.
    fn tell_time(&mut self, connection: ConnectionId, span: &Span, now: Instant) {
        let proven = self.reading.knows_time();
        let (ours, latest) = (self.reading.time(span.arrived), self.reading.latest(span.arrived));
        if let Some(ts) = span.poke {
            self.poke_tells_time(connection, span.arrived, ts, now);
        } else if let Some(newest) = span.data.iter().map(|datum| datum.created_at).max() {
            self.reading.clock.at_least(span.arrived, newest);
        }
        if !proven {
            let theirs = self.reading.time(span.arrived);
            if ours != theirs {
                self.clock_moved(ours, theirs);
                self.time_is_told(now);
            }
            if self.reading.knows_time() {
                self.time_is_told(now);
                self.clock_taken_back(theirs, now);
                self.tell_what_is_lost();
                self.persist_mark(now);
            }
            return;
        }
        let theirs = self.reading.latest(span.arrived);
        if latest.since(theirs) > self.reading.margin() {
            self.clock_taken_back(theirs, now);
        }
    }

    fn poke_tells_time(
        &mut self,
        connection: ConnectionId,
        arrived: Instant,
        ts: Timestamp,
        now: Instant,
    ) {
        let by = self.said_by(connection);
        let proven = self.reading.knows_time();
        match self.reading.clock.poke(arrived, ts, by) {
            Statement::Plausible if proven => self.reading.absence.time_goes_on(),
            Statement::Plausible => {}
            Statement::Doubted(by) => {
                let again = self.reading.doubt_told.is_again(now);
                self.effects.report(Report::TimeDoubted { connection, by, again });
            }
            Statement::Confirmed(jump) => {
                let again = self.reading.jump_told.is_again(now);
                self.effects.report(Report::TimeJumped { by: jump.by, again });
                self.time_jumped(jump, now);
            }
        }
    }

    /// Who says something, if there are others that could say otherwise.
    fn said_by(&self, connection: ConnectionId) -> Option<SlotId> {
        match connection.reader {
            Reader::Slot(id) if self.slots.used() > 1 => Some(id),
            _ => None,
        }
    }

    /// The service's time is known better than by our own clock.
    fn clock_moved(&mut self, ours: Timestamp, theirs: Timestamp) {
        self.reading.restamp(ours, theirs);
        // What suspects lost would count as verified before it was read.
        self.verification.restamp(ours, theirs);
        self.recovery.restamp(self.reading.terminated_at);
    }

    /// A time was believed that was too late by more than the margin. What was stamped with it is stamped
    /// anew, and a stream that starts on a day to come would be silent until then.
    fn clock_taken_back(&mut self, latest: Timestamp, now: Instant) {
        self.reading.no_later(latest);
        self.verification.no_later(latest);
        self.recovery.no_later(latest);
        if self.remote.start().is_some_and(|first| first > latest.utc_day()) {
            self.recover(Cause::CutByStartTime, now);
        }
    }

    /// Moves live reading and mark, if the stream is settled and the gate open.
    fn advance(&mut self, span: &Span, now: Instant) {
        let Some(heard) = self.settled() else { return };
        let Some(Advanced { caught_up, missing }) = self.reading.advance(span, heard, now) else {
            return;
        };
        if caught_up {
            if missing > 0 {
                self.witnesses_missing(missing, now);
            }
            if self.is_running() {
                self.caught_up(now);
            }
        }
        self.persist_mark(now);
    }

    /// Whether nothing has changed for `settle` and every open slot was heard lately; then when the
    /// one heard longest ago was.
    fn settled(&self) -> Option<Instant> {
        let quiet = self.is_running() && self.reading.is_settled() && !self.census.has_foreigners();
        if quiet { self.slots.heard(self.reading.position.evidence()) } else { None }
    }
}

/// When something that may come with every poke was last told: once an hour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told(Option<Instant>);

impl Told {
    /// Whether it has been told in the last hour; if not, it is now.
    fn is_again(&mut self, now: Instant) -> bool {
        let again = self.0.is_some_and(|told| now.since(told) < TOLD_EVERY);
        if !again {
            self.0 = Some(now);
        }
        again
    }
}

const TOLD_EVERY: Duration = Duration::from_secs(3_600);
