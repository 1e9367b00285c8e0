//! What is written down, and the orderly stop that ends with it.

use std::time::Duration;

use crate::policy;
use crate::time::{Instant, Timestamp};

use super::{Cursored, CursoredState, Stage};

/// While data flows, the cursor is written down this often. A restart that asks with an older one gets known
/// events again, which are dropped.
const PERSIST_EVERY: Duration = Duration::from_secs(1);

/// What was last asked to be written down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    number: u64,
    at: Option<Instant>,
    /// It is not durable yet: nothing newer is asked for that can wait.
    unanswered: bool,
    changed: bool,
    /// What has changed cannot wait.
    urgent: bool,
}

impl Record {
    /// There is something that is not written down.
    pub(super) const fn changed(&mut self) {
        self.changed = true;
    }

    /// There is a cursor without an event, and there was none: without it a crash would be a gap.
    pub(super) const fn first_cursor(&mut self) {
        (self.changed, self.urgent) = (true, true);
    }

    /// The number of the state that is written down next.
    const fn next(&mut self, now: Instant) -> u64 {
        self.number += 1;
        *self = Self {
            number: self.number,
            at: Some(now),
            unanswered: true,
            changed: false,
            urgent: false,
        };
        self.number
    }

    fn persisted(&mut self, number: u64) {
        self.unanswered &= number != self.number;
    }

    /// When it is to be written down what has changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let last = self.at.filter(|_| !self.urgent);
        let due = last.map_or(Instant::ZERO, |at| at + PERSIST_EVERY);
        (self.changed && !self.unanswered).then_some(due)
    }
}

impl Cursored {
    /// Asks for this state to be made durable.
    pub(super) fn persist(&mut self, clean: bool, now: Instant) -> u64 {
        let number = self.record.next(now);
        let state = CursoredState {
            cursor: self.point.cursor().cloned(),
            cursor_at: self.config.cursor_at.clone(),
            has_read: self.point.has_read(),
            forgotten: self.point.is_forgotten(),
            snapshot_owed: self.resync.is_owed(),
            ended: self.ended,
            clean,
            incidents: self.incidents.last(),
            incident: self.incidents.open(now, self.wall(now)),
        };
        self.effects.push(policy::Output::Persist { number, state: state.into() });
        number
    }

    /// Writes down what has changed, every second at most.
    pub(super) fn persist_if_due(&mut self, now: Instant) {
        if self.is_running() && self.record.due().is_some_and(|due| now >= due) {
            self.persist(false, now);
        }
    }

    /// Our wall clock.
    fn wall(&self, now: Instant) -> Timestamp {
        let (at, wall) = self.started;
        wall.plus(now.since(at))
    }

    pub(super) fn persisted(&mut self, number: u64) {
        self.record.persisted(number);
        self.gap_is_recorded(number);
        match self.stage {
            Stage::Recording { persisted } if persisted == number => self.stage = Stage::Running,
            Stage::Closing { persisted, clean } if persisted == number => {
                self.stage = Stage::Stopped;
                self.effects.push(policy::Output::Stopped { clean });
            }
            _ => {}
        }
    }

    pub(super) fn stop(&mut self, drain: Duration, now: Instant) {
        if matches!(
            self.stage,
            Stage::Draining | Stage::Flushing | Stage::Closing { .. } | Stage::Stopped
        ) {
            return;
        }
        self.stage = Stage::Draining;
        self.link_is_wanted_ended();
        self.slots.stop(drain, &mut self.effects, now);
        self.flush_if_ended();
    }

    pub(super) fn flush(&mut self) {
        self.tail.flush();
        self.effects.push(policy::Output::Flush);
    }

    pub(super) fn flush_if_ended(&mut self) {
        if matches!(self.stage, Stage::Draining) && self.slots.connected() == 0 {
            self.stage = Stage::Flushing;
            self.flush();
        }
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        if !self.tail.flushed() {
            return;
        }
        self.judge_break(now);
        if matches!(self.stage, Stage::Flushing) {
            let clean = self.tail.is_whole();
            let persisted = self.persist(clean, now);
            self.stage = Stage::Closing { persisted, clean };
        }
    }
}
