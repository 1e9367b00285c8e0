//! Every event is accepted or superseded in the end, and each version is accepted once.
//!
//! It keeps the events that are neither accepted nor superseded, in order of `created_at`: the
//! oldest one is what a mark must not pass.

use std::collections::{BTreeSet, HashMap, HashSet};

use streamkeeper_simulator::model::{Event, EventId, Millis};

use super::Verdict;

/// What is still missing.
#[derive(Debug, Default)]
pub struct Events {
    learned: usize,
    missing: BTreeSet<(Millis, usize)>,
    of_record: HashMap<u32, Vec<(Millis, usize)>>,
    accepted: HashSet<EventId>,
    newest: HashMap<u32, EventId>,
}

impl Events {
    /// Learns what was published since the last call; `deliverable` says what is ours.
    pub fn learn(&mut self, events: &[Event], deliverable: impl Fn(&Event) -> bool) {
        for (place, event) in events.iter().enumerate().skip(self.learned) {
            if deliverable(event) {
                let key = (event.created_at, place);
                self.missing.insert(key);
                self.of_record.entry(event.record).or_default().push(key);
            }
        }
        self.learned = events.len();
    }

    /// A version was accepted, durably.
    ///
    /// # Errors
    /// It had been accepted before.
    pub fn accepted(&mut self, id: EventId, event: &Event) -> Verdict {
        self.newest.insert(event.record, id);
        if let Some(keys) = self.of_record.get_mut(&event.record) {
            keys.retain(|key| {
                let superseded = key.0 <= event.created_at;
                if superseded {
                    self.missing.remove(key);
                }
                !superseded
            });
        }
        if self.accepted.insert(id) {
            Ok(())
        } else {
            Err(format!("event {} was accepted twice", id.index()))
        }
    }

    /// The oldest event that is neither accepted nor superseded: its `created_at` and its place.
    #[must_use]
    pub fn oldest_missing(&self) -> Option<(Millis, usize)> {
        self.missing.first().copied()
    }

    /// How many are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// How many versions were accepted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accepted.len()
    }

    /// The version of a record that was accepted last.
    #[must_use]
    pub fn last_accepted(&self, record: u32) -> Option<EventId> {
        self.newest.get(&record).copied()
    }

    /// The records that something was accepted of.
    pub fn records(&self) -> impl Iterator<Item = u32> {
        self.newest.keys().copied()
    }
}
