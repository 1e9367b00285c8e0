//! What is written down, and the orderly stop that ends with it.
//!
//! The next start believes what stands here: `clean` is said only if nothing but the service's checkpoint is
//! needed to go on.

use std::time::Duration;

use crate::time::Instant;

use super::slots::{Slot, SlotState};
use super::{Output, Phase, Stage, StreamPolicy, StreamState, settings};

impl StreamPolicy {
    /// Asks for this state to be made durable.
    pub(super) fn persist(&mut self, phase: Phase, clean: bool, now: Instant) -> u64 {
        self.persists += 1;
        self.persisted_mark = (self.water.mark(), now);
        let at = self.clock.at(now);
        let state = StreamState {
            mark: self.water.mark(),
            phase,
            stream_id: self.stream.clone(),
            clean,
            suspects: self.water.suspects().to_vec(),
            incidents: self.incidents,
            incident: self.incident.as_ref().map(|incident| incident.open(now, at)),
            left_behind: self.left_behind.ids(),
            announced: self.announced.clone(),
        };
        self.outputs.push_back(Output::Persist { number: self.persists, state });
        self.persists
    }

    /// Writes the mark down every few seconds.
    pub(super) fn persist_mark(&mut self, now: Instant) {
        let (mark, at) = self.persisted_mark;
        if self.water.mark() != mark && now.since(at) >= settings::PERSIST_EVERY {
            let phase = if self.filling { Phase::Recovering } else { Phase::Running };
            self.persist(phase, false, now);
        }
    }

    pub(super) fn persisted(&mut self, number: u64, now: Instant) {
        if self.announcing == Some(number) {
            self.announcing = None;
            let wanted = matches!(self.stage, Stage::Establishing(_));
            self.call = self.call.take().filter(|_| wanted);
            self.outputs.extend(self.call.clone().map(Output::Call));
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
                self.outputs.push_back(Output::Stopped { clean });
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
        let until = Some(now + drain.min(self.config.drain_limit()));
        for slot in &mut self.slots {
            match slot.state {
                SlotState::Live | SlotState::Connecting => self.outputs.extend(slot.end(until)),
                SlotState::Draining { until: Some(earlier), .. } => {
                    slot.state =
                        SlotState::Draining { until: until.min(Some(earlier)), rest: None };
                }
                SlotState::Draining { until: None, .. } | SlotState::Closing => {}
                SlotState::Idle | SlotState::Resting { .. } | SlotState::Limited => {
                    slot.state = SlotState::Idle;
                }
            }
        }
        if let Some(connection) = self.verification.abort() {
            self.outputs.push_back(Output::Kill(connection));
        }
        self.flush_if_ended();
    }

    pub(super) fn flush_if_ended(&mut self) {
        // A call under way is not waited for: its outcome is looked up at the next start.
        let open = self.slots.iter().any(Slot::is_connected) || self.verification.is_connected();
        if matches!(self.stage, Stage::Draining) && !open {
            self.stage = Stage::Flushing;
            self.outputs.push_back(Output::Flush);
        }
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Flushing) {
            return;
        }
        // A client that was not ours may have been sent what nobody else was.
        if self.foreign_since.is_some() {
            self.water.suspect(self.clock.latest(now));
        }
        // The next process verifies what this one has not, if that is done at all.
        let verifiable = self.water.suspects().is_empty() || self.config.verify_every.is_some();
        let clean =
            self.ends_in_order && verifiable && !self.filling && self.wanted_recovery.is_none();
        let phase = if self.filling { Phase::Recovering } else { Phase::Running };
        let persisted = self.persist(phase, clean, now);
        self.stage = Stage::Closing { persisted, clean };
    }
}
