//! What an operator asks of the connections: to pause, to go on, to connect afresh.
//!
//! Each is an orderly end (half-closed, read to the end), so that none of them loses an event: the
//! service keeps its checkpoint, and the mark stands still until reading goes on. A pause is not
//! written down: a restarted process reads. A recovery that is under way, or is asked for in a pause,
//! goes on up to the point where it would connect.

use crate::time::Instant;

use super::slots::SlotState;
use super::{Output, Stage, StreamPolicy};

impl StreamPolicy {
    /// Ends every connection, and opens none until `resume`.
    pub(super) fn pause(&mut self, now: Instant) {
        if std::mem::replace(&mut self.paused, true) {
            return;
        }
        self.drain_all(now);
        if let Some(connection) = self.verification.abort() {
            self.outputs.push_back(Output::Kill(connection));
        }
    }

    /// Connects again after a pause.
    pub(super) fn resume(&mut self, now: Instant) {
        if std::mem::replace(&mut self.paused, false) {
            self.position.changed(now);
        }
    }

    /// Ends every connection; the slots connect again at once, those that rest or are about to, too.
    pub(super) fn reconnect(&mut self, now: Instant) {
        self.drain_all(now);
        for slot in &mut self.slots {
            match &mut slot.state {
                SlotState::Resting { .. } => slot.state = SlotState::Idle,
                SlotState::Draining { rest, .. } => *rest = None,
                _ => {}
            }
        }
    }

    fn drain_all(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Running) {
            // A recovery, or a stop, ends them in its own way.
            return;
        }
        let until = Some(now + self.config.drain_limit());
        for slot in &mut self.slots {
            self.outputs.extend(slot.end(until));
        }
        self.position.changed(now);
    }
}
