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

use super::{Marked, Stage};

impl Marked {
    /// Whatever waits to be tried again is tried now.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.slots.try_now(now);
        self.verification.try_now(now);
        self.remote.left_behind.try_now(now);
        if let Stage::Establishing(establish) = &mut self.stage {
            establish.try_now(now);
        }
    }

    /// The service asks us to wait.
    pub(super) fn asked_to_wait(&mut self, retry_after: Option<Duration>, now: Instant) {
        let said = self.refused.asked_to_wait(retry_after, &self.config.backoff, now);
        if let Some(report) = said {
            self.effects.report(report);
        }
    }

    /// Ends every connection, and opens none until `resume`.
    pub(super) fn pause(&mut self, now: Instant) {
        if self.slots.set_paused(true) {
            self.drain_all(now);
            self.verification.abort(&mut self.effects);
        }
    }

    /// Connects again after a pause.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.slots.set_paused(false) {
            self.reading.changed(now);
        }
    }

    /// Ends every connection; the slots connect again at once, those that rest or are about to, too.
    pub(super) fn reconnect(&mut self, now: Instant) {
        self.drain_all(now);
        self.slots.wake_all();
    }

    fn drain_all(&mut self, now: Instant) {
        // A recovery, or a stop, ends them in its own way.
        if self.is_running() {
            self.slots.drain_all(&mut self.effects, now);
            self.reading.changed(now);
        }
    }
}
