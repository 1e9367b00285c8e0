//! What an operator asks of the connections: to pause, to go on, to connect afresh.
//!
//! Each is an orderly end (half-closed, read to the end), so that none of them loses an event: the
//! service keeps its checkpoint, and the mark stands still until reading goes on. A pause is not
//! written down: a restarted process reads. A recovery that is under way, or is asked for in a pause,
//! goes on up to the point where it would connect.
//!
//! Whoever asks for anything may know more than we do: no pause between attempts outlives it, and no
//! `Retry-After`, which may be a mistake of the service.

use std::time::Duration;

use crate::time::Instant;

use super::slots::SlotState;
use super::{Output, Report, Stage, StreamPolicy};

impl StreamPolicy {
    /// Whatever waits to be tried again is tried now.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.admission.try_now(now);
        self.verification.try_now(now);
        self.left_behind.try_now(now);
        if let Stage::Establishing(establish) = &mut self.stage {
            establish.try_now(now);
        }
    }

    /// The service asks us to wait: said if it is longer than we would have waited.
    pub(super) fn asked_to_wait(&mut self, retry_after: Option<Duration>, now: Instant) {
        let Some(asked) = retry_after.filter(|&asked| asked > self.config.backoff.max) else {
            return;
        };
        // Of attempts that are refused together, and while we wait, one line says it.
        if self.waits_until.is_none_or(|until| now >= until) {
            let wait = self.config.backoff.obeyed(asked);
            self.waits_until = Some(now + wait);
            self.report(Report::AskedToWait { asked, wait });
        }
    }

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
