//! The slots: who may connect now, what their reports mean, when they rest.
//!
//! `Idle → Connecting → Live → (Draining → Resting | Closing)` and back to `Idle`. Whether an
//! attempt may be made now is the business of `admission`.

use std::time::Duration;

use crate::classify::{End, Refusal};
use crate::hygiene::Hygiene;
use crate::id::{ConnectionId, Epoch, Reader, SlotId};
use crate::time::Instant;

use super::{Cause, Members, Output, Report, Stage, StreamPolicy, Target};

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Has no connection and wants one.
    Idle,
    /// A connection is being opened.
    Connecting,
    /// Reading.
    Live,
    /// Half-closed, reading to the end until this instant.
    Draining {
        /// When it is closed hard; `None` when that has been done.
        until: Option<Instant>,
        /// How long it rests then, if it rests.
        rest: Option<Duration>,
    },
    /// Killed; the socket is not gone yet.
    Closing,
    /// Disconnected on purpose until this instant.
    Resting {
        /// When it connects again.
        until: Instant,
    },
    /// Not used: the service allows fewer connections.
    Limited,
}

/// One slot.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) state: SlotState,
    pub(super) epoch: Epoch,
    pub(super) hygiene: Hygiene,
    pub(super) opened: Instant,
    /// A frame came on this connection.
    pub(super) proven: bool,
    /// It has lived long enough to forget the failures before it.
    lasted: bool,
    /// When the last committed frame of this connection was read.
    pub(super) heard: Option<Instant>,
    pub(super) paused_since: Option<Instant>,
    pub(super) resumed: Option<Instant>,
    pub(super) late: bool,
    /// How many clients its last poke counted.
    pub(super) counted: Option<u32>,
}

impl Slot {
    pub(super) fn new(id: SlotId, hygiene: Hygiene) -> Self {
        Self {
            id,
            state: SlotState::Idle,
            epoch: Epoch::default(),
            hygiene,
            opened: Instant::ZERO,
            proven: false,
            lasted: false,
            heard: None,
            paused_since: None,
            resumed: None,
            late: false,
            counted: None,
        }
    }

    pub(super) const fn connection(&self) -> ConnectionId {
        ConnectionId { reader: Reader::Slot(self.id), epoch: self.epoch }
    }

    /// Ends its connection, if it has one that is not ending: one that reads is half-closed and read to
    /// its end, until then at the latest; one that is being opened is closed.
    pub(super) fn end(&mut self, until: Option<Instant>) -> Option<Output> {
        match self.state {
            SlotState::Live => {
                self.state = SlotState::Draining { until, rest: None };
                Some(Output::Drain(self.connection()))
            }
            SlotState::Connecting => {
                self.state = SlotState::Closing;
                Some(Output::Kill(self.connection()))
            }
            _ => None,
        }
    }

    /// Whether frames come on it.
    pub(super) const fn reads(&self) -> bool {
        matches!(self.state, SlotState::Live) && self.proven
    }

    /// Whether it has a connection, in the service's eyes or ours.
    pub(super) const fn is_connected(&self) -> bool {
        matches!(
            self.state,
            SlotState::Connecting
                | SlotState::Live
                | SlotState::Draining { .. }
                | SlotState::Closing
        )
    }
}

impl StreamPolicy {
    /// Connects every slot that wants to, may, and has a stream to connect to.
    pub(super) fn connect_slots(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Running) || self.paused {
            return;
        }
        let Some(stream) = self.stream.clone() else { return };
        let mut connecting = self.slots.iter().filter(|s| s.state == SlotState::Connecting).count();
        let mut connected = self.slots.iter().filter(|slot| slot.is_connected()).count();
        let limit = self.limit.map_or(usize::MAX, |max| max as usize);
        let free = self.limit.zip(self.members).map(|(max, count)| max.saturating_sub(count));
        // Who is to wake soon wakes with the first: each join is a rebalance, in which nobody on the
        // stream gets data, and twenty slots that come and go one by one would starve it.
        let settle = self.config.position.settle;
        let wakes = |slot: &Slot, by: Instant| matches!(slot.state, SlotState::Resting { until } if by >= until);
        let wakes_by =
            if self.slots.iter().any(|slot| wakes(slot, now)) { now + settle } else { now };
        for slot in &mut self.slots {
            if wakes(slot, wakes_by) {
                slot.state = SlotState::Idle;
            }
            // One more than the service has places for, by its own last count, would be refused;
            // one at a time finds out whether the count is still true.
            let place = connecting == 0 || self.attempts < free.unwrap_or(u32::MAX);
            let place = place && connected < limit;
            if slot.state == SlotState::Idle && place && self.admission.admit(slot.id, now) {
                connecting += 1;
                connected += 1;
                self.attempts = self.attempts.saturating_add(1);
                slot.epoch = self.epochs.next();
                slot.state = SlotState::Connecting;
                slot.proven = false;
                slot.lasted = false;
                slot.heard = None;
                slot.late = false;
                slot.paused_since = None;
                slot.resumed = None;
                slot.counted = None;
                let connection = slot.connection();
                let target = Target::Stream(stream.clone());
                self.outputs.push_back(Output::Connect { connection, target });
            }
        }
    }

    /// The slot whose present connection this is.
    pub(super) fn slot_of(&mut self, connection: ConnectionId) -> Option<&mut Slot> {
        let Reader::Slot(id) = connection.reader else { return None };
        self.slots
            .iter_mut()
            .find(|slot| slot.id == id && slot.epoch == connection.epoch && slot.is_connected())
    }

    pub(super) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        let Some(slot) = self.slot_of(connection) else { return };
        if slot.state == SlotState::Connecting {
            slot.state = SlotState::Live;
            slot.opened = now;
            slot.hygiene.opened();
            self.recovers_from_absence(now);
            self.unopened_since = None;
            self.position.opened(now);
            self.position.changed(now);
        }
    }

    pub(super) fn poked(&mut self, connection: ConnectionId, members: Members, now: Instant) {
        let late_after = self.config.watchdog.late_after;
        let Some(slot) = self.slot_of(connection) else { return };
        slot.hygiene.poke();
        // What waited while we did not read counts clients of then.
        let stale = slot.resumed.is_some_and(|resumed| now.since(resumed) <= late_after);
        let members = Members { count: members.count.filter(|_| !stale), ..members };
        // How many are allowed comes before the others connect.
        let by = match connection.reader {
            Reader::Slot(id) => Some(id),
            Reader::Replay => None,
        };
        self.note_members(members, by, now);
        self.alive(connection, now);
        self.rest_if_due(connection, now);
    }

    pub(super) fn data(&mut self, connection: ConnectionId, now: Instant) {
        let Some(slot) = self.slot_of(connection) else { return };
        slot.hygiene.data();
        self.alive(connection, now);
    }

    /// A frame came: the connection has proven itself. Only its first one speaks for attempts to
    /// connect: that a connection goes on says nothing about one that is refused beside it.
    fn alive(&mut self, connection: ConnectionId, now: Instant) {
        let late_after = self.config.watchdog.late_after;
        let Some(slot) = self.slot_of(connection) else { return };
        slot.late = false;
        let first = !std::mem::replace(&mut slot.proven, true);
        let opened = slot.opened;
        let lasted = !slot.lasted && now.since(opened) >= late_after;
        slot.lasted |= lasted;
        if lasted {
            self.admission.lasted();
        }
        if first {
            self.admission.proven(opened, now);
            self.token_refused = false;
            self.has_read = true;
            self.absence.read(now);
            self.look_for_left_behind(now);
            self.connect_slots(now);
        }
    }

    /// Half-closes a slot whose pokes call for a rest, unless reading on matters more.
    fn rest_if_due(&mut self, connection: ConnectionId, now: Instant) {
        let busy = self.incident.is_some()
            || self.verification.is_running()
            || !matches!(self.stage, Stage::Running)
            || self.reads_backlog(now)
            || self.wants_to_settle(now)
            || self.wants_to_count(now);
        let drain_limit = self.config.drain_limit();
        let Some(slot) = self.slot_of(connection) else { return };
        if busy || slot.state != SlotState::Live || !slot.hygiene.wants_rest() {
            return;
        }
        let rest = slot.hygiene.rest();
        slot.state = SlotState::Draining { until: Some(now + drain_limit), rest: Some(rest) };
        let slot = slot.id;
        self.outputs.push_back(Output::Drain(connection));
        self.report(Report::Rest { slot, rest });
    }

    /// A backlog is being read. Each slot that goes and comes is a rebalance, after which the service sends
    /// again what it had not ticked off: slots that rest by turns would have it send the same for ever.
    fn reads_backlog(&self, now: Instant) -> bool {
        self.backlog_at.is_some_and(|at| now.since(at) <= self.config.position.settle)
    }

    /// The stream has not settled for an hour, because its slots rest by turns: rests are postponed
    /// until it has, within a bound, so that the mark can move.
    fn wants_to_settle(&self, now: Instant) -> bool {
        // All come back within a rest, then it takes `settle`; if it fails, again an hour later.
        let postponed = self.config.hygiene.rest_max + self.config.position.settle * 3;
        let period = (SETTLE_EVERY + postponed).as_nanos().max(1);
        now.since(self.settled_at).as_nanos() % period > SETTLE_EVERY.as_nanos()
    }

    /// The service has counted more clients than are connected for long: no rest adds to them until
    /// it is clear whether they are ours, closed and not yet released, or somebody else's.
    fn wants_to_count(&self, now: Instant) -> bool {
        let settle = self.config.position.settle;
        self.excess_since.is_some_and(|since| now.since(since) >= settle)
    }

    /// A slot's connection ended.
    pub(super) fn slot_ended(&mut self, connection: ConnectionId, end: End, now: Instant) {
        let late_after = self.config.watchdog.late_after;
        let stage_recovers = matches!(self.stage, Stage::Terminating { .. });
        let Some(slot) = self.slot_of(connection) else { return };
        let id = slot.id;
        let before = slot.state;
        let lived = slot.proven && now.since(slot.opened) >= late_after;
        slot.paused_since = None;
        slot.state = match before {
            SlotState::Draining { rest: Some(rest), .. } => {
                SlotState::Resting { until: now + rest }
            }
            _ => SlotState::Idle,
        };
        let wanted = matches!(before, SlotState::Draining { .. });
        // A recovery under way reads everything again anyway.
        let suspect = !stage_recovers && end.may_have_lost(wanted);
        if suspect {
            self.water.suspect(self.clock.latest(now));
        }
        let opened = before != SlotState::Connecting;
        if opened || suspect {
            self.position.changed(now);
            self.closings.push(now);
        }
        self.report(Report::Ended { connection, end, suspect });
        if wanted || stage_recovers {
            self.admission.released(id);
        } else if lived {
            self.admission.lasted();
        } else {
            self.attempt_failed(id, end, now);
        }
        if let Some(max) = self.limit {
            self.keep_within(max);
        }
        match end {
            End::Panicked if !stage_recovers => {
                // A stop does not wait for a recovery: the next start begins with it.
                self.ends_in_order = false;
                self.recover(Cause::Panic(id), now);
            }
            End::Refused(Refusal::Gone) if !stage_recovers && !self.may_yet_appear(now) => {
                self.recover(Cause::StreamGone, now);
            }
            _ => {}
        }
    }

    /// Whether a stream that is not known may be too young: not every part of the service learns of a
    /// new one at once. To make another would begin that anew.
    fn may_yet_appear(&self, now: Instant) -> bool {
        let patience = self.config.watchdog.stale_after;
        self.unopened_since.is_some_and(|since| now.since(since) < patience)
    }

    /// Whether the service can be asked for what can wait: it does not refuse us everywhere.
    pub(super) fn is_answered(&self) -> bool {
        !self.admission.is_failing() || self.slots.iter().any(Slot::reads)
    }

    fn attempt_failed(&mut self, slot: SlotId, end: End, now: Instant) {
        if matches!(end, End::Refused(Refusal::Crowded { .. })) {
            self.attempts = u32::MAX; // until the service has counted
        }
        self.token_refused = matches!(end, End::Refused(Refusal::Token { .. }));
        self.admission.failed(slot, end, now);
    }

    /// Closes hard what has drained for too long, and says who has to be asked again when.
    pub(super) fn slots_tick(&mut self, now: Instant) {
        let stopping = !matches!(self.stage, Stage::Running);
        for slot in &mut self.slots {
            // While our own queue is full we do not read: that is no reason to lose what waits.
            if let SlotState::Draining { until: Some(until), rest } = slot.state
                && now >= until
                && (stopping || slot.paused_since.is_none())
            {
                // It stays `Draining`, so that its end is followed by the rest.
                slot.state = SlotState::Draining { until: None, rest };
                self.outputs.push_back(Output::Kill(slot.connection()));
            }
        }
        self.connect_slots(now);
    }

    /// The next instant at which a slot wants to be looked at.
    pub(super) fn slots_deadline(&self) -> Option<Instant> {
        let running = matches!(self.stage, Stage::Running);
        let connects = running && !self.paused;
        let timed = self.slots.iter().filter_map(|slot| match slot.state {
            SlotState::Draining { until, .. } if slot.paused_since.is_none() || !running => until,
            SlotState::Resting { until } if connects => Some(until),
            _ => None,
        });
        let idle = connects && self.slots.iter().any(|slot| slot.state == SlotState::Idle);
        // In the past: what holds the slot back is something else than time.
        let held = self.admission.held_until().filter(|&held| idle && held > self.now);
        timed.chain(held).chain(self.count_due()).min()
    }
}

/// A stream that rests by turns is made to settle this often.
pub(super) const SETTLE_EVERY: Duration = Duration::from_secs(3600);
