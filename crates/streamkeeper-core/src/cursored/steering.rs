//! What an operator asks of the connection: to pause, to go on, to connect afresh.
//!
//! A pause is not written down: a restarted process reads. Whoever asks for anything but a pause may know
//! more than we do: no pause between attempts outlives it, and neither does a server's 204.

use crate::time::Instant;

use super::Cursored;

impl Cursored {
    /// Whatever waits to be tried again is tried now.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.slots.try_now(now);
        self.resync.try_now(now);
    }

    /// Reads the connection to its end, and opens none until `resume`.
    pub(super) fn pause(&mut self, now: Instant) {
        if self.slots.set_paused(true) && self.is_running() {
            self.link_is_wanted_ended();
            self.slots.drain_all(&mut self.effects, now);
        }
    }

    /// Connects again after a pause, or after the server's 204.
    pub(super) fn resume(&mut self) {
        self.slots.set_paused(false);
        self.ask_again();
    }

    /// Reads the connection to its end and opens another, also out of a rest.
    pub(super) fn reconnect(&mut self, now: Instant) {
        self.ask_again();
        if self.is_running() {
            self.link_is_wanted_ended();
            self.slots.drain_all(&mut self.effects, now);
            self.slots.wake_all();
        }
    }

    /// Kills the connection and opens another, with the cursor.
    pub(super) fn recover(&mut self) {
        self.ask_again();
        if self.is_running() {
            self.link_is_wanted_ended();
            self.slots.kill_all(&mut self.effects);
            self.slots.wake_all();
        }
    }

    /// A server that wanted to be asked no more is asked.
    fn ask_again(&mut self) {
        if std::mem::take(&mut self.ended) {
            self.record.changed();
        }
    }
}
