//! What the reports of the slots' connections mean for the stream.

use crate::classify::{End, Refusal};
use crate::id::{ConnectionId, Reader};
use crate::policy::slots::{Ended, spread};
use crate::policy::{Output, Report};
use crate::time::Instant;
use crate::watchdog::Lack;

use super::{Cause, Marked, Members, Stage, Target};

impl Marked {
    /// Connects every slot that wants to, may, and has a stream to connect to.
    pub(super) fn connect_slots(&mut self, now: Instant) {
        if !self.is_running() {
            return;
        }
        let Some(stream) = self.remote.id() else { return };
        let opening = self.slots.connect(self.census.places(), now);
        self.census.connecting(&opening);
        for connection in opening {
            let target = Target::Stream(stream.clone()).into();
            self.effects.push(Output::Connect { connection, target });
        }
    }

    pub(super) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        match connection.reader {
            Reader::Replay => self.verification.opened(connection, now),
            Reader::Slot(_) => {
                if self.slots.opened(connection, now) {
                    if let Some(age) = self.config.max_age {
                        self.slots.replace_after(connection, spread(age, &mut self.seeds), now);
                    }
                    self.census.opened(now);
                    self.recovers_from_absence(now);
                    self.remote.opened();
                    self.reading.opened(now);
                    if self.census.let_in(now) {
                        self.reading.suspect(now);
                    }
                }
            }
        }
    }

    pub(super) fn poked(&mut self, connection: ConnectionId, members: Members, now: Instant) {
        let Some(slot) = self.slots.of(connection) else { return };
        slot.poke();
        // What waited while we did not read counts clients of then.
        let old = slot.reads_what_waited(now, self.config.watchdog.late_after);
        let members = Members { count: members.count.filter(|_| !old), ..members };
        // How many are allowed comes before the others connect.
        self.poke_counts(connection, members, now);
        self.alive(connection, now);
        self.rest_if_due(connection, now);
    }

    pub(super) fn data(&mut self, connection: ConnectionId, now: Instant) {
        let Some(slot) = self.slots.of(connection) else { return };
        slot.data();
        self.alive(connection, now);
    }

    /// A frame came.
    fn alive(&mut self, connection: ConnectionId, now: Instant) {
        if self.slots.alive(connection, now) {
            self.refused.set_token(false);
            self.reading.proven(now);
            self.remote.left_behind.look_if_unlooked(&mut self.seeds, now);
            self.connect_slots(now);
        }
    }

    pub(super) fn late(&mut self, connection: ConnectionId, lack: Lack) {
        if let Some(slot) = self.slots.of(connection) {
            slot.is_late();
        }
        self.effects.report(Report::Late(connection, lack));
    }

    pub(super) fn garbled(&mut self, connection: ConnectionId, now: Instant) {
        // In a verification it was seen again as it was: holding the mark would not mend it.
        if connection.reader != Reader::Replay {
            self.reading.suspect(now);
        }
    }

    pub(super) fn blocked(&mut self, connection: ConnectionId, is_blocked: bool, now: Instant) {
        if connection.reader == Reader::Replay {
            self.verification.blocked(connection, is_blocked, now);
            return;
        }
        let reads = self.is_running();
        let lasted = self.slots.blocked(connection, is_blocked, reads, now);
        if lasted.is_some_and(|lasted| lasted >= self.config.position.long_block()) {
            self.reading.changed(now);
        }
    }

    /// Half-closes a slot whose pokes call for a rest, unless reading on matters more.
    fn rest_if_due(&mut self, connection: ConnectionId, now: Instant) {
        let busy = self.recovery.is_under_way()
            || self.verification.is_running()
            || !self.is_running()
            || self.reading.reads_backlog(now)
            || self.reading.wants_to_settle(self.config.hygiene.rest_max, now)
            // No rest adds to the clients that are to be told apart.
            || self.census.is_unclear(now);
        if busy {
            return;
        }
        if let Some((slot, rest)) = self.slots.rest_if_wanted(connection, &mut self.effects, now) {
            self.effects.report(Report::Rest { slot, rest });
        }
    }

    pub(super) fn ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        self.asked_to_wait(end.retry_after(), now);
        match connection.reader {
            Reader::Slot(_) => self.slot_ended(connection, end, now),
            Reader::Replay => self.replay_ended(connection, end, now),
        }
        self.go_on_terminating(now);
        self.flush_if_ended();
    }

    fn slot_ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        // A recovery under way reads everything again anyway.
        let terminating = matches!(self.stage, Stage::Terminating { .. });
        let Some(ended) = self.slots.ended(connection, end, terminating, now) else { return };
        let Ended { slot, suspect, was_client, failed } = ended;
        if suspect {
            self.reading.suspect(now);
        }
        if was_client {
            self.reading.changed(now);
            self.census.closed(now);
        }
        self.effects.report(Report::Ended { connection, end, suspect });
        if failed {
            self.refused.set_token(matches!(end, End::Refused(Refusal::Token { .. })));
            if matches!(end, End::Refused(Refusal::Crowded { .. })) {
                self.census.crowded(self.slots.connected() == 0, now);
            }
        }
        if self.slots.connected() == 0 {
            self.census.nobody_is_there();
        }
        if let Some(max) = self.census.limit() {
            self.slots.keep_within(max);
        }
        match end {
            End::Panicked if !terminating => {
                // A stop does not wait for a recovery: the next start begins with it.
                self.ends_in_order = false;
                self.recover(Cause::Panic(slot), now);
            }
            End::Refused(Refusal::Gone) if !terminating && !self.may_yet_appear(now) => {
                self.recover(Cause::StreamGone, now);
            }
            _ => {}
        }
    }

    fn may_yet_appear(&self, now: Instant) -> bool {
        self.remote.may_yet_appear(self.config.watchdog.stale_after, now)
    }
}
