//! The recovery: terminate everything, make a new stream from the day of the mark, read it again.
//!
//! One incident at a time: a second stall during the replay starts over from the same mark, within
//! the same incident. Every step that has a side effect is preceded by the durable state that lets
//! a crash at that point end in the same recovery (recovery.md, "recover").

use std::time::Duration;

use crate::establish::{Answer, CallFailure, Establish, Established, FirstDay, Progress};
use crate::id::{ConnectionId, IncidentId, Reader, SlotId};
use crate::restart::Permission;
use crate::time::{Instant, Timestamp, UtcDay};

use super::lost_history::{HISTORY_DAYS, Unread};
use super::slots::SlotState;
use super::{
    Cause, IncidentSummary, Lost, OpenIncident, Output, Phase, Report, Stage, StreamPolicy,
};

/// The incident under way.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    id: IncidentId,
    cause: Cause,
    since: Instant,
    /// How long it had lasted when this process started.
    earlier: Duration,
    recoveries: u32,
    terminated: Instant,
    terminated_at: Timestamp,
    /// Whether a poke had told the service's time by then.
    clock_is_proven: bool,
    start_date: Option<UtcDay>,
    pub(super) lost: Option<Lost>,
    pub(super) new: u64,
    pub(super) recovered: u64,
    pub(super) duplicate: u64,
}

impl Incident {
    /// The moment up to which accepted events count as recovered.
    pub(super) const fn terminated_at(&self) -> Timestamp {
        self.terminated_at
    }

    pub(super) const fn summary(&self, now: Instant) -> IncidentSummary {
        IncidentSummary {
            id: self.id,
            cause: self.cause,
            recoveries: self.recoveries,
            start_date: self.start_date,
            lost: self.lost,
            terminated_at: self.terminated_at,
            new: self.new,
            recovered: self.recovered,
            duplicate: self.duplicate,
            duration: self.earlier.saturating_add(now.since(self.since)),
        }
    }

    /// An incident that begins now.
    const fn begin(id: IncidentId, cause: Cause, now: Instant, at: Timestamp) -> Self {
        Self {
            id,
            cause,
            since: now,
            earlier: Duration::ZERO,
            recoveries: 0,
            terminated: now,
            terminated_at: at,
            clock_is_proven: false,
            start_date: None,
            lost: None,
            new: 0,
            recovered: 0,
            duplicate: 0,
        }
    }

    /// The incident in which the last process ended.
    pub(super) fn resume(id: IncidentId, open: &OpenIncident, now: Instant, at: Timestamp) -> Self {
        let OpenIncident { cause, since, recoveries, new, recovered, duplicate, lost } = *open;
        let begun = Self::begin(id, cause, now, at);
        Self { earlier: at.since(since), recoveries, new, recovered, duplicate, lost, ..begun }
    }

    /// What is written down of it; `now` is the service's time.
    pub(super) fn open(&self, now: Instant, at: Timestamp) -> OpenIncident {
        OpenIncident {
            cause: self.cause,
            since: at.minus(self.summary(now).duration),
            recoveries: self.recoveries,
            new: self.new,
            recovered: self.recovered,
            duplicate: self.duplicate,
            lost: self.lost,
        }
    }
}

impl StreamPolicy {
    /// Starts a recovery, unless one is being set up, or too many came lately.
    pub(super) fn recover(&mut self, cause: Cause, now: Instant) {
        if !matches!(self.stage, Stage::Starting | Stage::Running) {
            return;
        }
        if let Permission::PausedUntil(until) = self.restart.ask(now) {
            self.pause_recovery(cause, until, now);
            return;
        }
        self.wanted_recovery = None;
        let terminated_at = self.clock.latest(now);
        let incident = self.incident.get_or_insert_with(|| {
            self.incidents.0 += 1;
            Incident::begin(self.incidents, cause, now, terminated_at)
        });
        incident.recoveries += 1;
        incident.terminated = now;
        incident.terminated_at = terminated_at;
        incident.clock_is_proven = self.clock.is_proven();
        let incident = incident.id;
        let connections = self.slots.iter().filter(|slot| slot.is_connected()).count();
        let mark = self.water.mark();
        self.report(Report::RecoveryStarted { incident, cause, connections, mark });
        // After a pause there may be room long since: nobody would say so again.
        let full = cause == Cause::OutboxFull && self.paused_since().is_some();
        self.terminate(full, now);
    }

    /// Too many recoveries: close what is broken, go on with the rest, and come back later.
    fn pause_recovery(&mut self, cause: Cause, until: Instant, now: Instant) {
        if self.wanted_recovery.is_none() {
            self.report(Report::RecoveryPaused { cause, pause: until.since(now) });
        }
        self.wanted_recovery = Some((cause, until));
        // Whatever the broken connection lost is younger than this.
        self.water.suspect(self.clock.latest(now));
        if let Cause::Stale(slot) | Cause::SlowFrame(slot) = cause {
            self.kill_slot(slot);
        }
    }

    fn kill_slot(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id && slot.is_connected())
            && slot.state != SlotState::Closing
        {
            slot.state = SlotState::Closing;
            self.outputs.push_back(Output::Kill(slot.connection()));
        }
    }

    /// Kills every connection and writes down that a recovery is under way; both have to be done
    /// before the first call.
    pub(super) fn terminate(&mut self, await_room: bool, now: Instant) {
        for slot in &mut self.slots {
            if slot.is_connected() && slot.state != SlotState::Closing {
                self.outputs.push_back(Output::Kill(slot.connection()));
            }
            slot.state = match slot.state {
                _ if slot.is_connected() => SlotState::Closing,
                SlotState::Limited => SlotState::Limited,
                _ => SlotState::Idle,
            };
        }
        if let Some(connection) = self.verification.abort() {
            self.outputs.push_back(Output::Kill(connection));
        }
        self.filling = true;
        let persisted = self.persist(Phase::Recovering, false, now);
        self.stage = Stage::Terminating { persisted: Some(persisted), await_room };
        self.go_on_terminating(now);
    }

    /// Goes on to the calls when everything is closed, written down, and there is room.
    pub(super) fn go_on_terminating(&mut self, now: Instant) {
        let Stage::Terminating { persisted: None, await_room: false } = self.stage else { return };
        if self.slots.iter().any(super::slots::Slot::is_connected) || self.call.is_some() {
            return;
        }
        if self.incident.is_some() {
            self.report(Report::Terminated);
        }
        let mark = self.water.mark();
        let lookback = self.lookback();
        // Early in a stream's first day the mark is a margin below it, where nothing was sent from.
        let day = mark.map(Timestamp::utc_day).max(self.stream_start.filter(|_| mark.is_some()));
        // A clock of the service that was days ahead for a while has taken the mark along. A stream that
        // starts on a day to come would be silent until then.
        let today = self.clock.is_proven().then(|| self.clock.at(now).utc_day());
        let day = day.map(|day| today.map_or(day, |today| day.min(today)));
        let start_date = day.map_or(self.config.start_date, |day| Some(day.minus_days(lookback)));
        if let Some(day) =
            start_date.filter(|day| mark.is_none() && Some(*day) < self.kept_from(now))
        {
            self.report(Report::FirstDayNotKept(day));
        }
        let seed = self.seeds.u64(..);
        self.stage = Stage::Establishing(Box::new(Establish::new(
            self.config.establish(),
            self.ours(),
            FirstDay::new(start_date, mark.is_none(), self.kept_from(now)),
            if self.incident.is_some() { now + CLOSE_SEEN } else { now },
            seed,
        )));
        self.next_call(now);
    }

    /// How many days before the day of the mark are read again: none, unless configured, or the
    /// service has been seen to cut streams by start time (`cut_by_start_time`).
    pub(super) fn lookback(&self) -> u32 {
        self.config.lookback_days.saturating_add(self.widened_days).min(HISTORY_DAYS)
    }

    /// Makes the next call of the procedure, or deletes what was left behind.
    pub(super) fn next_call(&mut self, now: Instant) {
        if self.call.is_some() {
            return;
        }
        let answered = self.is_answered();
        let call = match &mut self.stage {
            Stage::Establishing(establish) => establish.next_call(now),
            Stage::Running if answered => self.left_behind.call(now),
            _ => None,
        };
        let Some(call) = call else { return };
        self.call = Some(call.clone());
        if self.announces(&call) {
            // What is written down is ours when it is found, whatever becomes of the answer or of us.
            self.announcing = Some(self.persist(Phase::Recovering, false, now));
        } else {
            self.outputs.push_back(Output::Call(call));
        }
    }

    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        let Some(call) = self.call.take() else { return };
        if let Answer::Failed { failure, retry_after } = answer {
            self.asked_to_wait(retry_after, now);
            self.token_refused = matches!(failure, CallFailure::Token { .. });
            self.report(Report::CallFailed(failure));
        } else {
            self.token_refused = false;
        }
        match &mut self.stage {
            Stage::Establishing(establish) => match establish.answered(now, answer) {
                Progress::Continues => {}
                Progress::Failed(_) => self.announced = establish.announced().to_vec(),
                Progress::NameTaken { name, resembling } => {
                    self.report(Report::NameTaken { name, resembling });
                }
                Progress::Deleted(id) => {
                    self.left_behind.deleted(&id);
                    self.report(Report::Deleted(id));
                }
                Progress::Done(established) => self.established(established, now),
            },
            _ => self.left_behind_answered(&call, answer, now),
        }
        if let Stage::Establishing(establish) = &mut self.stage {
            let strangers = establish.take_strangers();
            self.found_strangers(strangers);
        }
        // A call of the old stage may have held these back.
        self.go_on_terminating(now);
        self.next_call(now);
        self.flush_if_ended();
    }

    /// The fresh stream is there: write it down, then connect.
    fn established(&mut self, established: Established, now: Instant) {
        self.stream = Some(established.id.clone());
        self.stream_start = established.start_date;
        self.unread = Unread::after(self.water.mark(), established.refused_day, now);
        self.unopened_since = Some(now);
        self.absence = super::Absence::of_new_stream(now);
        for id in established.left_behind {
            self.leave_behind(id, established.not_before, now);
        }
        self.announced.retain(|name| *name != established.name);
        self.left_behind.unlooked |= !self.announced.is_empty();
        if let Some(incident) = &mut self.incident {
            incident.start_date = established.start_date;
        }
        self.report(Report::Created {
            id: established.id,
            name: established.name,
            start_date: established.start_date,
        });
        if self.clock.is_proven() {
            self.tell_what_is_lost();
        }
        let persisted = self.persist(Phase::Recovering, false, now);
        self.stage = Stage::Recording { persisted };
    }

    /// The stream id is durable: the reading starts over.
    pub(super) fn start_reading(&mut self, now: Instant) {
        self.stage = Stage::Running;
        let terminated =
            self.incident.as_ref().map_or_else(|| self.clock.at(now), Incident::terminated_at);
        let first = self.stream_start.or_else(|| self.kept_from(now));
        self.position = if let Some(incident) = &self.incident {
            self.water.restart(first, terminated, incident.clock_is_proven, now)
        } else {
            crate::low_water::Position::new(self.config.position, now, self.filling)
        };
        self.terminated_at = terminated;
        self.terminated = self.incident.as_ref().map_or(now, |incident| incident.terminated);
        self.position.changed(now);
        self.has_read = false;
        self.members = None;
        self.counted = None;
        self.counted_at = now;
        self.closings.clear();
        self.excess_since = None;
        self.foreign_since = None;
        self.foreign_said = 0;
        self.connect_slots(now);
        self.next_call(now);
    }

    /// The service's time, which our own clock had stood in for, is known better: what it called `ours`
    /// is `theirs`. Our own may have been set weeks ahead, or be minutes behind: the history would
    /// count as read that much later, or what suspects lost as verified before it was read.
    pub(super) fn clock_moved(&mut self, ours: Timestamp, theirs: Timestamp) {
        self.water.restamp(ours, theirs);
        self.verification.restamp(ours, theirs);
        self.terminated_at = self.clock.at(self.terminated);
        if let Some(incident) = &mut self.incident {
            incident.terminated_at = self.terminated_at;
        }
    }

    /// A time was believed that was too late by more than the margin. What was stamped with it is stamped
    /// anew, and a stream that starts on a day to come would be silent until then.
    pub(super) fn clock_taken_back(&mut self, latest: Timestamp, now: Instant) {
        self.water.no_later(latest);
        self.verification.no_later(latest);
        self.terminated_at = self.terminated_at.min(latest);
        if let Some(incident) = &mut self.incident {
            incident.terminated_at = incident.terminated_at.min(latest);
        }
        if self.stream_start.is_some_and(|first| first > latest.utc_day()) {
            self.recover(Cause::CutByStartTime, now);
        }
    }

    /// The history has been read to where we were: the incident is over.
    pub(super) fn caught_up(&mut self, now: Instant) {
        self.filling = false;
        self.tell_what_is_lost();
        let incident = self.incident.take().map(|incident| incident.summary(now));
        self.report(Report::CaughtUp { incident });
        self.persist(Phase::Running, false, now);
    }

    /// The replay has come to where we were, and so many users' last known records did not come.
    pub(super) fn witnesses_missing(&mut self, count: usize, now: Instant) {
        self.report(Report::WitnessesMissing { count });
        self.cut_by_start_time(now);
    }

    /// Something is missing from the stream that should have come if it were cut by `created_at`.
    ///
    /// If nothing on the stream has shown that it is, it may be cut by the start of the measured span
    /// (the older reading of the page): read again from as many days earlier as spans were seen to
    /// start before they were processed.
    pub(super) fn cut_by_start_time(&mut self, now: Instant) {
        let widen = self.span_days.min(HISTORY_DAYS);
        if !self.reading_ruled_out && self.stream_start.is_some() && widen > self.widened_days {
            self.widened_days = widen;
            self.recover(Cause::CutByStartTime, now);
        }
    }

    /// A recovery that had to wait is due.
    pub(super) fn recover_if_due(&mut self, now: Instant) {
        if let Some((cause, until)) = self.wanted_recovery
            && now >= until
        {
            self.recover(cause, now);
        }
        if self.full_at().is_some_and(|full| now >= full) {
            self.recover(Cause::OutboxFull, now);
        }
    }

    /// Since when a connection has been unable to put its frames into the queue.
    pub(super) fn paused_since(&self) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| slot.paused_since);
        slots.chain(self.verification.paused_since()).min()
    }

    /// When the queue has been full for too long, if nothing frees it until then.
    fn full_at(&self) -> Option<Instant> {
        let since = self.paused_since().filter(|_| self.wanted_recovery.is_none())?;
        Some(since + self.config.watchdog.stale_after)
    }

    pub(super) fn incident_deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Establishing(establish) => establish.deadline(),
            Stage::Running => {
                let left = self.left_behind.deadline();
                let left = left.filter(|_| self.call.is_none() && self.is_answered());
                let wanted = self.wanted_recovery.map(|(_, until)| until);
                [left, wanted, self.full_at()].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// A connection is silent for too long, or a frame of it takes too long.
    pub(super) fn stale(
        &mut self,
        connection: ConnectionId,
        cause: fn(SlotId) -> Cause,
        now: Instant,
    ) {
        match connection.reader {
            Reader::Replay => self.verification_stale(connection),
            Reader::Slot(id) => {
                let live = |state| matches!(state, SlotState::Live);
                if self.slot_of(connection).is_some_and(|slot| live(slot.state)) {
                    self.recover(cause(id), now);
                }
            }
        }
    }
}

/// Sockets are closed before the first call; the service needs a moment to see it, and would answer
/// 409 until then.
const CLOSE_SEEN: Duration = Duration::from_millis(250);
