//! The recovery: terminate everything, make a new stream from the day of the mark, read it again. What is
//! different where the same stream is read on is in `same_stream`.
//!
//! Every step that has a side effect is preceded by the durable state that lets a crash at that point end
//! in the same recovery (recovery.md, "recover").

use std::time::Duration;

use crate::id::{ConnectionId, Reader, SlotId};
use crate::marked::establish::{Answer, CallFailure, Establish, Established, FirstDay, Progress};
use crate::policy::SlotState;
use crate::time::Instant;

use super::incident::{Terminated, Way};
use super::{Cause, Marked, Output, Phase, Report, Stage};

impl Marked {
    /// Starts a recovery, unless one is being set up, or too many came lately.
    pub(super) fn recover(&mut self, cause: Cause, now: Instant) {
        if !matches!(self.stage, Stage::Starting | Stage::Running) {
            return;
        }
        if let Err((until, first)) = self.recovery.ask(cause, now) {
            if first {
                self.effects.report(Report::RecoveryPaused { cause, pause: until.since(now) });
            }
            self.go_on_without(cause, now);
            return;
        }
        let way = self.choose_way(cause, now);
        let incident = self.recovery.begin(
            cause,
            way,
            Terminated {
                here: now,
                there: self.reading.latest(now),
                clock_is_proven: self.reading.knows_time(),
            },
        );
        let connections = self.slots.connected();
        let mark = self.reading.mark();
        self.effects.report(Report::RecoveryStarted { incident, cause, connections, mark });
        // After a pause there may be room long since: nobody would say so again.
        let full = cause == Cause::OutboxFull && self.blocked_since().is_some();
        self.terminate(full, now);
    }

    /// Too many recoveries: close what is broken, go on with the rest, and come back later.
    fn go_on_without(&mut self, cause: Cause, now: Instant) {
        // Whatever the broken connection lost is younger than this.
        self.reading.suspect(now);
        if let Cause::Stale(slot) | Cause::SlowFrame(slot) = cause {
            self.slots.kill(slot, &mut self.effects);
        }
    }

    /// Kills every connection and writes down that a recovery is under way; both have to be done
    /// before the first call.
    pub(super) fn terminate(&mut self, await_room: bool, now: Instant) {
        self.slots.kill_all(&mut self.effects);
        // A first stream is made, too.
        let way = self.recovery.way().unwrap_or(Way::NewStream);
        // Nobody would see a replay die, either, for whose frames there is no room.
        if way == Way::NewStream || await_room {
            self.verification.abort(&mut self.effects);
        }
        let phase = match way {
            Way::NewStream => {
                self.reading.begin_filling();
                Phase::Recovering
            }
            Way::SameStream => {
                if let Some(date) = self.verification.serve_recovery() {
                    self.recovery.reads_from(Some(date));
                }
                Phase::Rereading
            }
        };
        let persisted = self.persist(phase, false, now);
        self.stage = Stage::Terminating { persisted: Some(persisted), await_room };
        self.go_on_terminating(now);
    }

    /// Goes on to the calls when everything is closed, written down, and there is room.
    pub(super) fn go_on_terminating(&mut self, now: Instant) {
        let Stage::Terminating { persisted: None, await_room: false } = self.stage else { return };
        if self.slots.connected() > 0 || self.remote.is_calling() {
            return;
        }
        if self.recovery.rereads() {
            return self.go_on_with_stream(now);
        }
        let not_before = if self.recovery.is_under_way() {
            self.effects.report(Report::Terminated);
            now + CLOSE_SEEN
        } else {
            now
        };
        let first_day = self.first_day(now);
        let seed = self.seeds.u64(..);
        self.stage = Stage::Establishing(Box::new(Establish::new(
            self.config.establish(),
            self.remote.ours(),
            first_day,
            not_before,
            seed,
        )));
        self.next_call(now);
    }

    /// From which day the new stream is read.
    fn first_day(&mut self, now: Instant) -> FirstDay {
        let is_first = self.reading.mark().is_none();
        let kept_from = self.reading.kept_from(now);
        let start_date = self
            .reading
            .day(self.remote.start(), now)
            .map_or(self.config.start_date, |day| Some(day.minus_days(self.widening.days())));
        if let Some(day) = start_date.filter(|day| is_first && Some(*day) < kept_from) {
            self.effects.report(Report::FirstDayNotKept(day));
        }
        FirstDay::new(start_date, is_first, kept_from)
    }

    /// Makes the next call of the procedure, or deletes what was left behind.
    pub(super) fn next_call(&mut self, now: Instant) {
        if self.remote.is_calling() {
            return;
        }
        let call = match &mut self.stage {
            Stage::Establishing(establish) => establish.next_call(now),
            Stage::Running if self.slots.is_answered() => self.remote.left_behind.call(now),
            _ => None,
        };
        let Some(call) = call else { return };
        if self.remote.calls(call.clone()) {
            // What is written down is ours when it is found, whatever becomes of the answer or of us.
            let number = self.persist(Phase::Recovering, false, now);
            self.remote.announces_by(number);
        } else {
            self.effects.push(Output::Call(call));
        }
    }

    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        let Some(call) = self.remote.answered() else { return };
        if let Answer::Failed { failure, retry_after } = answer {
            self.asked_to_wait(retry_after, now);
            self.refused.set_token(matches!(failure, CallFailure::Token { .. }));
            self.effects.report(Report::CallFailed(failure));
        } else {
            self.refused.set_token(false);
        }
        match &mut self.stage {
            Stage::Establishing(establish) => {
                let progress = establish.answered(now, answer);
                if let Progress::Failed(_) = progress {
                    self.remote.may_exist(establish.announced());
                }
                let strangers = establish.take_strangers();
                self.made_progress(progress, now);
                self.found_strangers(strangers);
            }
            _ => self.left_behind_answered(&call, answer, now),
        }
        // A call of the old stage may have held these back.
        self.go_on_terminating(now);
        self.next_call(now);
        self.flush_if_ended();
    }

    fn made_progress(&mut self, progress: Progress, now: Instant) {
        match progress {
            Progress::Continues | Progress::Failed(_) => {}
            Progress::NameTaken { name, resembling } => {
                self.effects.report(Report::NameTaken { name, resembling });
            }
            Progress::Deleted(id) => {
                self.remote.left_behind.deleted(&id);
                self.effects.report(Report::Deleted(id));
            }
            Progress::Done(established) => self.established(established, now),
        }
    }

    /// The fresh stream is there: write it down, then connect.
    fn established(&mut self, established: Established, now: Instant) {
        self.remote.established(&established, self.reading.mark(), now);
        self.reading.of_new_stream(now);
        let Established { id, name, start_date, left_behind, not_before, .. } = established;
        for id in left_behind {
            self.leave_behind(id, not_before, now);
        }
        self.recovery.reads_from(start_date);
        self.effects.report(Report::Created { id, name, start_date });
        if self.reading.knows_time() {
            self.tell_what_is_lost();
        }
        let persisted = self.persist(Phase::Recovering, false, now);
        self.stage = Stage::Recording { persisted };
    }

    /// The stream id is durable: the reading starts over.
    pub(super) fn start_reading(&mut self, now: Instant) {
        self.stage = Stage::Running;
        self.reading.start_over(self.remote.start(), self.recovery.terminated(), now);
        self.census.start_over(now);
        self.connect_slots(now);
        self.next_call(now);
    }

    /// What was lost has been read again, up to where we were: the incident is over.
    pub(super) fn caught_up(&mut self, now: Instant) {
        self.reading.is_filled();
        self.tell_what_is_lost();
        let incident = self.recovery.end(now);
        self.effects.report(Report::CaughtUp { incident });
        self.persist(Phase::Running, false, now);
    }

    /// The replay has come to where we were, and so many users' last known records did not come.
    pub(super) fn witnesses_missing(&mut self, count: usize, now: Instant) {
        self.effects.report(Report::WitnessesMissing { count });
        self.cut_by_start_time(now);
    }

    /// Something is missing from the stream that should have come if it were cut by `created_at`.
    pub(super) fn cut_by_start_time(&mut self, now: Instant) {
        if self.remote.start().is_some() && self.widening.widen() {
            self.recover(Cause::CutByStartTime, now);
        }
    }

    /// A recovery that had to wait is due, or the queue has been full for too long.
    pub(super) fn recover_if_due(&mut self, now: Instant) {
        if let Some(cause) = self.recovery.due(now) {
            self.recover(cause, now);
        }
        if self.full_at().is_some_and(|full| now >= full) {
            self.recover(Cause::OutboxFull, now);
        }
        if self.clients_given_up_at().is_some_and(|given_up| now >= given_up) {
            self.recover(Cause::ForeignClient, now);
        }
    }

    /// Since when a connection has been unable to put its frames into the queue.
    fn blocked_since(&self) -> Option<Instant> {
        self.slots.blocked_since().into_iter().chain(self.verification.blocked_since()).min()
    }

    /// When the queue has been full for too long, if nothing frees it until then.
    fn full_at(&self) -> Option<Instant> {
        let since = self.blocked_since().filter(|_| !self.recovery.is_wanted())?;
        Some(since + self.config.watchdog.stale_after)
    }

    pub(super) fn incident_deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Establishing(establish) => establish.deadline(),
            Stage::Running => {
                let can_wait = !self.remote.is_calling() && self.slots.is_answered();
                let left = self.remote.left_behind.deadline().filter(|_| can_wait);
                let given_up = self.clients_given_up_at();
                [left, self.recovery.wanted_until(), self.full_at(), given_up]
                    .into_iter()
                    .flatten()
                    .min()
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
            Reader::Replay => self.verification.stale(connection, &mut self.effects),
            Reader::Slot(id) => {
                if self.slots.of(connection).is_some_and(|slot| slot.state() == SlotState::Live) {
                    self.recover(cause(id), now);
                }
            }
        }
    }
}

/// Sockets are closed before the first call; the service needs a moment to see it, and would answer
/// 409 until then.
const CLOSE_SEEN: Duration = Duration::from_millis(250);
