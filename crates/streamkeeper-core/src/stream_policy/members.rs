//! The clients that the service counts on the stream: how many it allows, and whether all are ours.
//!
//! Fewer places than slots leave slots unused. A client that is not ours gets a share of the events,
//! which is lost to us: once it is certain, everything is read again. Our own closed connections are
//! counted until the service lets go of them, so certainty takes time.

use crate::id::{SlotId, StreamId};
use crate::time::Instant;

use super::slots::{SETTLE_EVERY, Slot, SlotState};
use super::{Cause, Members, Output, Report, Stage, StreamPolicy};

impl StreamPolicy {
    /// What a poke says of the stream's clients: how many we may be, and whether we are alone.
    /// `by`: the slot on which it came. Hosts may count differently, each in its own way.
    pub(super) fn note_members(&mut self, members: Members, by: Option<SlotId>, now: Instant) {
        if let Some(max) = members.max.filter(|&max| max > 0) {
            self.note_limit(max, now);
        }
        let Some(count) = members.count else { return };
        self.counted_at = now;
        let connecting = self.slots.iter().filter(|s| s.state == SlotState::Connecting).count();
        self.attempts = u32::try_from(connecting).unwrap_or(u32::MAX);
        self.members = Some(count);
        let said = self.slots.iter_mut().find(|slot| Some(slot.id) == by);
        let said = said.map_or(&mut self.counted, |slot| &mut slot.counted);
        if said.replace(count).is_some_and(|before| before != count) {
            self.position.changed(now);
        }
        let settle = self.config.position.settle;
        self.closings.retain(|&closed| now.since(closed) <= settle);
        let connected = self.slots.iter().filter(|slot| slot.is_connected()).count();
        let excess = (count as usize).saturating_sub(connected);
        // No more of our closed connections can still be counted than the count leaves over. A poke
        // may have been under way: what opened or ended just now may be counted or not.
        let lately = self.config.watchdog.late_after;
        let counted =
            |slot: &&Slot| slot.state == SlotState::Live && now.since(slot.opened) > lately;
        let left_over = (count as usize).saturating_sub(self.slots.iter().filter(counted).count());
        while self.closings.len() > left_over
            && self.closings.first().is_some_and(|&closed| now.since(closed) > lately)
        {
            self.closings.remove(0);
        }
        self.excess_since = (excess > 0).then(|| self.excess_since.unwrap_or(now));
        let foreign = u32::try_from(excess.saturating_sub(self.closings.len())).unwrap_or(u32::MAX);
        if foreign == 0 {
            let seen = self.foreign_since.take().map(|since| now.since(since));
            let twice = std::mem::take(&mut self.foreign_said) > 1;
            if seen.is_some_and(|seen| seen >= lately / 2) && twice {
                // What it was sent meanwhile is lost; the live reading stood still. (What is said
                // once may be the count of a moment ago, come late, or wrong.)
                self.water.suspect(self.clock.latest(now));
            }
            return;
        }
        let since = *self.foreign_since.get_or_insert(now);
        self.foreign_said = self.foreign_said.saturating_add(1);
        if now.since(since) >= settle && self.may_recover_from_foreigners(now) {
            self.foreign_recovered_at = Some(now);
            self.report(Report::ForeignClients { count: foreign });
            self.recover(Cause::ForeignClient, now);
        }
    }

    /// How many clients are allowed. Fewer than before must be said twice: to close connections because
    /// of a single statement that is wrong would be for nothing.
    fn note_limit(&mut self, max: u32, now: Instant) {
        let fewer = self.limit.is_some_and(|limit| max < limit);
        let said_before = self.fewer_said.take() == Some(max);
        if fewer && !said_before {
            self.fewer_said = Some(max);
        } else if self.limit != Some(max) {
            self.limit = Some(max);
            self.apply_limit(max, now);
        }
    }

    /// When the service has to be asked how many clients there are: a service that pokes only when
    /// idle does not say it while data flows (Inform API, Connecting), and a foreign client would
    /// get its share unseen.
    pub(super) fn count_due(&self) -> Option<Instant> {
        let reads = self.slots.iter().any(Slot::reads);
        let due = matches!(self.stage, Stage::Running) && reads && !self.counting;
        due.then(|| self.counted_at + self.config.position.settle)
    }

    pub(super) fn count_if_due(&mut self, now: Instant) {
        if let Some(stream) = self.stream.clone()
            && self.count_due().is_some_and(|due| now >= due)
        {
            self.counting = true;
            self.outputs.push_back(Output::Count(stream));
        }
    }

    pub(super) fn counted(&mut self, stream: &StreamId, members: Option<u32>, now: Instant) {
        self.counting = false;
        self.counted_at = now;
        if matches!(self.stage, Stage::Running) && self.stream.as_ref() == Some(stream) {
            self.note_members(Members { count: members, max: None }, None, now);
        }
    }

    /// At most once per `verify_every`: if it persists on a fresh stream, recreating is no cure.
    fn may_recover_from_foreigners(&self, now: Instant) -> bool {
        let spacing = self.config.verify_every.unwrap_or(SETTLE_EVERY * 12);
        self.incident.is_none()
            && self.foreign_recovered_at.is_none_or(|last| now.since(last) >= spacing)
    }

    /// Uses as many slots as the service allows: connected ones first.
    fn apply_limit(&mut self, max: u32, now: Instant) {
        let configured = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let was_limited = self.slots.iter().any(|slot| slot.state == SlotState::Limited);
        if max < configured || was_limited {
            self.report(Report::Limit { allowed: max, configured });
        }
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        let rank = |slot: &Slot| match slot.state {
            SlotState::Live => 0,
            SlotState::Connecting => 1,
            SlotState::Draining { .. } | SlotState::Closing => 2,
            SlotState::Resting { .. } | SlotState::Idle => 3,
            SlotState::Limited => 4,
        };
        order.sort_by_key(|&index| self.slots.get(index).map_or(5, rank));
        let drain_limit = self.config.drain_limit();
        for (place, index) in order.into_iter().enumerate() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let used = place < max as usize;
            match slot.state {
                SlotState::Limited if used => slot.state = SlotState::Idle,
                SlotState::Idle | SlotState::Resting { .. } if !used => {
                    slot.state = SlotState::Limited;
                }
                SlotState::Live | SlotState::Connecting if !used => {
                    self.outputs.extend(slot.end(Some(now + drain_limit)));
                }
                _ => {}
            }
        }
    }

    /// A slot that came back while fewer are allowed stays unused.
    pub(super) fn keep_within(&mut self, max: u32) {
        let mut used = self.slots.iter().filter(|slot| slot.state != SlotState::Limited).count();
        for slot in self.slots.iter_mut().rev() {
            let waits = matches!(slot.state, SlotState::Idle | SlotState::Resting { .. });
            if used > max as usize && waits {
                slot.state = SlotState::Limited;
                used -= 1;
            }
        }
    }
}
