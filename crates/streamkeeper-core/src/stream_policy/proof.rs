//! What committed frames prove: how far the stream has been read, and with it the mark.
//!
//! Only what is durable counts, and only while nothing changes: `docs/recovery.md` has the rules, and the
//! naive ones that lose events.

use std::time::Duration;

use crate::id::{ConnectionId, Reader, SlotId};
use crate::low_water::{Datum, Gate};
use crate::service_clock::Statement;
use crate::time::Instant;

use super::slots::SlotState;
use super::{Report, Span, Stage, StreamPolicy};

impl StreamPolicy {
    /// What durable frames prove about the position.
    pub(super) fn committed(&mut self, connection: ConnectionId, span: &Span, now: Instant) {
        if let Some(incident) = &mut self.incident {
            let before = incident.terminated_at();
            let old = span.data.iter().filter(|datum| datum.new && datum.created_at <= before);
            incident.recovered += old.count() as u64;
            incident.new += span.new;
            incident.duplicate += span.duplicate;
        }
        for datum in &span.data {
            self.water.accepted(datum);
        }
        if connection.reader == Reader::Replay {
            self.verification_committed(connection, span, now);
            self.persist_mark(now);
            return;
        }
        // Events of an older epoch are accepted all the same; they prove nothing about position.
        let Some(slot) = self.slot_of(connection) else { return };
        slot.heard = Some(span.arrived);
        // A process that was suspended for days reads first what had waited in its sockets.
        if self.recovers_from_absence(span.arrived) {
            return;
        }
        self.tell_time(connection, span, now);
        self.position.frame(span.arrived);
        for datum in &span.data {
            self.position.data(span.arrived, datum);
            self.note_span(datum);
        }
        self.note_backlog(span);
        self.advance(span, now);
    }

    /// What frames say of the service's time.
    fn tell_time(&mut self, connection: ConnectionId, span: &Span, now: Instant) {
        let proven = self.clock.is_proven();
        let (ours, latest) = (self.clock.at(span.arrived), self.clock.latest(span.arrived));
        if let Some(ts) = span.poke {
            match self.clock.poke(span.arrived, ts, self.said_by(connection)) {
                Statement::Plausible if proven => self.absence.time_goes_on(),
                Statement::Plausible => {}
                Statement::Doubted(by) => {
                    let again = self.doubt_told.is_again(now);
                    self.report(Report::TimeDoubted { connection, by, again });
                }
                Statement::Confirmed(jump) => {
                    let again = self.jump_told.is_again(now);
                    self.report(Report::TimeJumped { by: jump.by, again });
                    self.time_jumped(jump, now);
                }
            }
        } else if let Some(newest) = span.data.iter().map(|datum| datum.created_at).max() {
            self.clock.at_least(span.arrived, newest);
        }
        if !proven {
            let theirs = self.clock.at(span.arrived);
            if ours != theirs {
                self.clock_moved(ours, theirs);
                self.time_is_told(now);
            }
            if self.clock.is_proven() {
                self.time_is_told(now);
                self.clock_taken_back(theirs, now);
                self.tell_what_is_lost();
                self.persist_mark(now);
            }
            return;
        }
        let theirs = self.clock.latest(span.arrived);
        if latest.since(theirs) > self.water.margin() {
            self.clock_taken_back(theirs, now);
        }
    }

    /// Who says something, if there are others that could say otherwise.
    fn said_by(&self, connection: ConnectionId) -> Option<SlotId> {
        let used = self.slots.iter().filter(|slot| slot.state != SlotState::Limited).count();
        match connection.reader {
            Reader::Slot(id) if used > 1 => Some(id),
            _ => None,
        }
    }

    /// Which reading of `start_date` the service follows (see `cut_by_start_time`).
    fn note_span(&mut self, datum: &Datum) {
        self.span_days = self.span_days.max(datum.span_days());
        if let (Some(start_day), Some(first)) = (datum.start_day, self.stream_start) {
            self.reading_ruled_out |= start_day < first;
        }
    }

    /// Whether what is read is from a while ago: the service has a backlog for us.
    fn note_backlog(&mut self, span: &Span) {
        let present = self.clock.latest(span.arrived);
        let old = self.water.margin() + self.config.position.settle * 2;
        let is_old = |created_at| present.since(created_at) > old;
        if self.clock.is_proven() && span.data.iter().any(|datum| is_old(datum.created_at)) {
            self.backlog_at = Some(span.arrived);
        }
    }

    /// Moves live reading and mark, if the stream is settled and the gate open.
    fn advance(&mut self, span: &Span, now: Instant) {
        let Some(heard) = self.settled() else { return };
        let missing = match self.position.gate() {
            Gate::Closed => return,
            Gate::Open => 0,
            Gate::Forced { missing } => missing,
        };
        let margin = self.water.margin();
        let settle = self.config.position.settle;
        let Some(reached) = self.position.reached(&self.clock, heard, margin) else { return };
        let service_now = self.clock.at(span.arrived);
        if self.clock.is_proven() && service_now.since(reached) <= settle + margin * 4 {
            let oldest = span.data.iter().filter(|datum| datum.new).map(|d| d.created_at).min();
            if let Some(oldest) = oldest {
                self.water.delayed(service_now.since(oldest));
            }
        }
        if self.clock.is_proven() && service_now.since(reached) <= settle * 2 + margin {
            self.settled_at = now;
        }
        self.water.advance(reached);
        if self.filling && reached >= self.terminated_at.minus(margin).minus(settle) {
            self.position.open_gate();
            if missing > 0 {
                self.witnesses_missing(missing, now);
            }
            if matches!(self.stage, Stage::Running) {
                self.caught_up(now);
            }
        }
        self.persist_mark(now);
    }

    /// Whether nothing has changed for `settle` and every open slot was heard lately; then when the
    /// one heard longest ago was.
    fn settled(&self) -> Option<Instant> {
        let evidence = self.position.evidence();
        let quiet = matches!(self.stage, Stage::Running)
            && self.position.is_settled()
            && self.foreign_since.is_none()
            && !self.absence.is_unknown(evidence, self.config.position.forced_open())
            && !self.clock.is_doubted(evidence);
        if !quiet {
            return None;
        }
        let lately = self.config.watchdog.late_after;
        let mut heard = None;
        for slot in &self.slots {
            match slot.state {
                SlotState::Live => {
                    let last = slot.heard.filter(|&last| {
                        evidence.since(last) <= lately && !slot.late && slot.paused_since.is_none()
                    })?;
                    heard = Some(heard.map_or(last, |oldest: Instant| oldest.min(last)));
                }
                SlotState::Connecting | SlotState::Draining { .. } | SlotState::Closing => {
                    return None;
                }
                SlotState::Idle | SlotState::Resting { .. } | SlotState::Limited => {}
            }
        }
        heard
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
