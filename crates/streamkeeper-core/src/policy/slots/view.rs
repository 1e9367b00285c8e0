//! How the slots are: what others go by.

use crate::id::SlotId;
use crate::time::Instant;

use super::{Slot, SlotState, Slots};

impl Slots {
    /// The slots' states, in order, and whether a live one is late.
    pub(crate) fn states(&self) -> impl Iterator<Item = (SlotId, SlotState, bool)> {
        self.slots.iter().map(|slot| (slot.id, slot.state, slot.late))
    }

    pub(crate) fn connecting(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state == SlotState::Connecting).count()
    }

    pub(crate) fn connected(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_connected()).count()
    }

    /// How many are used.
    pub(crate) fn used(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state != SlotState::Limited).count()
    }

    pub(crate) fn reads(&self) -> bool {
        self.slots.iter().any(Slot::reads)
    }

    /// Whether one reads, or is read to its end.
    pub(crate) fn reads_or_drains(&self) -> bool {
        let open = |state| matches!(state, SlotState::Live | SlotState::Draining { .. });
        self.slots.iter().any(|slot| open(slot.state) && slot.proven)
    }

    pub(crate) fn rest(&self) -> bool {
        self.slots.iter().any(Slot::is_resting)
    }

    /// Whether the service can be asked for what can wait: it does not refuse us everywhere.
    pub(crate) fn is_answered(&self) -> bool {
        !self.admission.is_failing() || self.reads()
    }

    /// Since when a connection has been unable to put its frames into the queue.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.blocked_since).min()
    }

    /// Whether a connection from before `opened` was heard after `heard`.
    pub(crate) fn read_on(&self, opened: Instant, heard: Instant) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.opened < opened && slot.heard.is_some_and(|last| last > heard))
    }

    /// If every open slot was heard lately, by what was read up to `evidence`, and none is coming or going:
    /// when the one heard longest ago was.
    pub(crate) fn heard(&self, evidence: Instant) -> Option<Instant> {
        let mut heard = None;
        for slot in &self.slots {
            match slot.state {
                SlotState::Live => {
                    let last = slot.heard.filter(|&last| {
                        evidence.since(last) <= self.config.late_after
                            && !slot.late
                            && slot.blocked_since.is_none()
                    })?;
                    heard = Some(heard.map_or(last, |oldest: Instant| oldest.min(last)));
                }
                SlotState::Connecting | SlotState::Draining { .. } | SlotState::Closing => {
                    return None;
                }
                SlotState::Idle | SlotState::Resting { .. } | SlotState::Limited => {}
            }
        }
        heard
    }

    /// The next instant at which a slot wants to be looked at. `reads`: slots connect.
    pub(crate) fn deadline(&self, reads: bool, now: Instant) -> Option<Instant> {
        let connects = reads && !self.paused;
        let timed = self.slots.iter().filter_map(|slot| match slot.state {
            SlotState::Draining { until, .. } if slot.blocked_since.is_none() || !reads => until,
            SlotState::Resting { until } if connects => Some(until),
            _ => None,
        });
        let replaced = self.replacement().filter(|_| reads).map(|(at, _)| at);
        let idle = connects && self.slots.iter().any(|slot| slot.state == SlotState::Idle);
        // In the past: what holds the slot back is something else than time.
        let held = self.admission.held_until().filter(|&held| idle && held > now);
        timed.chain(held).chain(replaced).min()
    }

    /// When the next connection is replaced for its age, and whose: one after the other, and none while somebody
    /// comes or goes, so that the others read on.
    pub(super) fn replacement(&self) -> Option<(Instant, SlotId)> {
        let moves = |state| {
            matches!(state, SlotState::Connecting | SlotState::Draining { .. } | SlotState::Closing)
        };
        if self.slots.iter().any(|slot| moves(slot.state)) {
            return None;
        }
        let live = self.slots.iter().filter(|slot| slot.state == SlotState::Live);
        live.filter_map(|slot| Some((slot.replace_at?, slot.id))).min()
    }
}
