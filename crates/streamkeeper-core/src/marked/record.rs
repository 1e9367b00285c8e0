//! What is written down, and the orderly stop that ends with it.
//!
//! The next start believes what stands here: `clean` is said only if nothing but the service's checkpoint is
//! needed to go on.

use std::time::Duration;

use crate::policy;
use crate::time::{Instant, Timestamp};

use super::settings::PERSIST_EVERY;
use super::{Marked, Output, Phase, Stage, StreamState};

/// What was last asked to be written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    number: u64,
    mark: Option<Timestamp>,
    at: Instant,
}

impl Record {
    pub(super) const fn new() -> Self {
        Self { number: 0, mark: None, at: Instant::ZERO }
    }

    /// The number of the state that is written down next.
    const fn next(&mut self, mark: Option<Timestamp>, now: Instant) -> u64 {
        self.number += 1;
        self.mark = mark;
        self.at = now;
        self.number
    }

    /// Whether the mark has moved, and the last time is a while ago.
    fn is_due(&self, mark: Option<Timestamp>, now: Instant) -> bool {
        self.mark != mark && now.since(self.at) >= PERSIST_EVERY
    }
}

impl Marked {
    /// Asks for this state to be made durable.
    pub(super) fn persist(&mut self, phase: Phase, clean: bool, now: Instant) -> u64 {
        let mark = self.reading.mark();
        let number = self.record.next(mark, now);
        let ours = self.remote.ours();
        let state = StreamState {
            mark,
            phase,
            stream_id: ours.stream,
            clean,
            suspects: self.reading.suspects().to_vec(),
            incidents: self.recovery.last(),
            incident: self.recovery.open(now, self.reading.time(now)),
            left_behind: ours.left_behind,
            announced: ours.announced,
        };
        self.effects.push(policy::Output::Persist { number, state: state.into() });
        number
    }

    /// Writes the mark down every few seconds.
    pub(super) fn persist_mark(&mut self, now: Instant) {
        if self.record.is_due(self.reading.mark(), now) {
            self.persist(self.phase(), false, now);
        }
    }

    /// What the next start has to know of the stream's history.
    fn phase(&self) -> Phase {
        if self.reading.is_filling() {
            Phase::Recovering
        } else if self.recovery.rereads() {
            Phase::Rereading
        } else {
            Phase::Running
        }
    }

    pub(super) fn persisted(&mut self, number: u64, now: Instant) {
        let wanted = matches!(self.stage, Stage::Establishing(_));
        if let Some(call) = self.remote.announced_by(number, wanted) {
            self.effects.push(Output::Call(call));
        }
        match &mut self.stage {
            Stage::Terminating { persisted, .. } if *persisted == Some(number) => {
                *persisted = None;
                self.go_on_terminating(now);
            }
            Stage::Recording { persisted } if *persisted == number => self.start_reading(now),
            Stage::Closing { persisted, clean } if *persisted == number => {
                let clean = *clean;
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
        // A procedure that is cut short starts over at the next start. Before the first connection
        // nothing has been read or missed: a clean start is as clean as it was.
        self.ends_in_order &= matches!(self.stage, Stage::Running | Stage::Recording { .. });
        self.stage = Stage::Draining;
        self.slots.stop(drain, &mut self.effects, now);
        self.verification.abort(&mut self.effects);
        self.flush_if_ended();
    }

    pub(super) fn flush_if_ended(&mut self) {
        // A call under way is not waited for: its outcome is looked up at the next start.
        let open = self.slots.connected() > 0 || self.verification.is_connected();
        if matches!(self.stage, Stage::Draining) && !open {
            self.stage = Stage::Flushing;
            self.effects.push(policy::Output::Flush);
        }
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Flushing) {
            return;
        }
        // A client that was not ours may have been sent what nobody else was.
        if self.census.has_foreigners() {
            self.reading.suspect(now);
        }
        // The next process verifies what this one has not, if that is done at all.
        let verifiable = self.reading.suspects().is_empty() || self.config.verify_every.is_some();
        let clean = self.ends_in_order
            && verifiable
            && !self.reading.is_filling()
            && !self.recovery.is_under_way()
            && !self.recovery.is_wanted();
        let persisted = self.persist(self.phase(), clean, now);
        self.stage = Stage::Closing { persisted, clean };
    }
}
