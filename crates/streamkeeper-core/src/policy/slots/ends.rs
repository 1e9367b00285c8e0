//! How connections of slots end: by themselves, to rest, for want of places, or all of them at once.

use std::time::Duration;

use crate::classify::End;
use crate::id::{ConnectionId, SlotId};
use crate::time::Instant;

use super::super::effects::Effects;
use super::{Ended, Slot, SlotState, Slots};

impl Slot {
    /// Ends its connection, if it has one that is not ending: one that reads is half-closed and read to
    /// its end, until then at the latest; one that is being opened is closed.
    fn end(&mut self, until: Option<Instant>, effects: &mut Effects) {
        match self.state {
            SlotState::Live => {
                self.state = SlotState::Draining { until, rest: None };
                effects.drain(self.connection());
            }
            SlotState::Connecting => {
                self.state = SlotState::Closing;
                effects.kill(self.connection());
            }
            _ => {}
        }
    }

    /// Its connection is gone: what it was doing.
    fn leave(&mut self, now: Instant) -> SlotState {
        let before = self.state;
        self.blocked_since = None;
        self.state = match before {
            SlotState::Draining { rest: Some(rest), .. } => {
                SlotState::Resting { until: now + rest }
            }
            _ => SlotState::Idle,
        };
        before
    }

    fn kill(&mut self, effects: &mut Effects) {
        if self.is_connected() && self.state != SlotState::Closing {
            self.state = SlotState::Closing;
            effects.kill(self.connection());
        }
    }
}

impl Slots {
    /// A connection ended, and its family says when the next may be opened. What the slot was doing.
    pub(crate) fn closed(
        &mut self,
        connection: ConnectionId,
        next: Instant,
        now: Instant,
    ) -> Option<SlotState> {
        let before = self.of(connection)?.leave(now);
        self.admission.hold(next);
        Some(before)
    }

    /// A connection ended. `terminating`: everything is read again anyway.
    pub(crate) fn ended(
        &mut self,
        connection: ConnectionId,
        end: End,
        terminating: bool,
        now: Instant,
    ) -> Option<Ended> {
        let late_after = self.config.late_after;
        let slot = self.of(connection)?;
        let (id, opened) = (slot.id, slot.opened);
        let lived = slot.proven && now.since(opened) >= late_after;
        let before = slot.leave(now);
        let wanted = matches!(before, SlotState::Draining { .. });
        let suspect = !terminating && end.may_have_lost(wanted);
        let failed = !wanted && !terminating && !lived;
        if wanted || terminating {
            self.admission.released(id);
        } else if lived {
            self.admission.lasted(opened);
        } else {
            self.admission.failed(id, end, now);
        }
        let was_client = before != SlotState::Connecting || suspect;
        Some(Ended { slot: id, suspect, was_client, failed })
    }

    /// Half-closes a connection whose slot is to rest, if it is: for how long.
    pub(crate) fn rest_if_wanted(
        &mut self,
        connection: ConnectionId,
        effects: &mut Effects,
        now: Instant,
    ) -> Option<(SlotId, Duration)> {
        let until = Some(now + self.config.drain_limit);
        let slot = self.of(connection)?;
        if slot.state != SlotState::Live || !slot.hygiene.wants_rest() {
            return None;
        }
        let rest = slot.hygiene.rest();
        slot.state = SlotState::Draining { until, rest: Some(rest) };
        effects.drain(connection);
        Some((slot.id, rest))
    }

    /// Closes hard what has drained for too long. `reads`: we are not about to end everything anyway.
    pub(crate) fn tick(&mut self, reads: bool, effects: &mut Effects, now: Instant) {
        for slot in &mut self.slots {
            // While our own queue is full we do not read: that is no reason to lose what waits.
            if let SlotState::Draining { until: Some(until), rest } = slot.state
                && now >= until
                && (!reads || slot.blocked_since.is_none())
            {
                // It stays `Draining`, so that its end is followed by the rest.
                slot.state = SlotState::Draining { until: None, rest };
                effects.kill(slot.connection());
            }
        }
        if let Some((at, id)) = self.replacement().filter(|_| reads)
            && now >= at
        {
            let until = Some(now + self.config.drain_limit);
            let slots = self.slots.iter_mut().filter(|slot| slot.id == id);
            slots.for_each(|slot| slot.end(until, effects));
        }
    }

    /// Kills the connection of one slot.
    pub(crate) fn kill(&mut self, id: SlotId, effects: &mut Effects) {
        self.slots.iter_mut().filter(|slot| slot.id == id).for_each(|slot| slot.kill(effects));
    }

    /// Kills every connection; no slot rests any more.
    pub(crate) fn kill_all(&mut self, effects: &mut Effects) {
        for slot in &mut self.slots {
            slot.kill(effects);
            if slot.is_resting() {
                slot.state = SlotState::Idle;
            }
        }
    }

    /// Has every connection read to its end.
    pub(crate) fn drain_all(&mut self, effects: &mut Effects, now: Instant) {
        let until = Some(now + self.config.drain_limit);
        self.slots.iter_mut().for_each(|slot| slot.end(until, effects));
    }

    /// Nobody rests, nor will when its connection has ended.
    pub(crate) fn wake_all(&mut self) {
        for slot in &mut self.slots {
            match &mut slot.state {
                SlotState::Resting { .. } => slot.state = SlotState::Idle,
                SlotState::Draining { rest, .. } => *rest = None,
                _ => {}
            }
        }
    }

    /// Has every connection read to its end within `drain`, for good.
    pub(crate) fn stop(&mut self, drain: Duration, effects: &mut Effects, now: Instant) {
        let until = now + drain.min(self.config.drain_limit);
        for slot in &mut self.slots {
            match slot.state {
                SlotState::Live | SlotState::Connecting => slot.end(Some(until), effects),
                SlotState::Draining { until: Some(earlier), .. } => {
                    let until = Some(until.min(earlier));
                    slot.state = SlotState::Draining { until, rest: None };
                }
                SlotState::Draining { until: None, .. } | SlotState::Closing => {}
                SlotState::Idle | SlotState::Resting { .. } | SlotState::Limited => {
                    slot.state = SlotState::Idle;
                }
            }
        }
    }

    /// Uses so many slots, connected ones first, and ends what is connected beyond.
    pub(crate) fn use_at_most(&mut self, max: u32, effects: &mut Effects, now: Instant) {
        let until = Some(now + self.config.drain_limit);
        let rank = |slot: &&mut Slot| match slot.state {
            SlotState::Live => 0,
            SlotState::Connecting => 1,
            SlotState::Draining { .. } | SlotState::Closing => 2,
            SlotState::Resting { .. } | SlotState::Idle => 3,
            SlotState::Limited => 4,
        };
        let mut order: Vec<&mut Slot> = self.slots.iter_mut().collect();
        order.sort_by_key(rank);
        for (place, slot) in order.into_iter().enumerate() {
            let used = place < max as usize;
            match slot.state {
                SlotState::Limited if used => slot.state = SlotState::Idle,
                SlotState::Idle | SlotState::Resting { .. } if !used => {
                    slot.state = SlotState::Limited;
                }
                _ if !used => slot.end(until, effects),
                _ => {}
            }
        }
    }

    /// A slot that came back while fewer are allowed stays unused.
    pub(crate) fn keep_within(&mut self, max: u32) {
        let mut used = self.used();
        for slot in self.slots.iter_mut().rev() {
            let waits = matches!(slot.state, SlotState::Idle | SlotState::Resting { .. });
            if used > max as usize && waits {
                slot.state = SlotState::Limited;
                used -= 1;
            }
        }
    }
}
