//! Every event is accepted or superseded in the end, and each version is accepted once.
//!
//! It keeps the events that are neither accepted nor superseded, in order of `created_at`: the
//! oldest one is what a mark must not pass.

use std::collections::{BTreeSet, HashMap, HashSet};

use streamkeeper_simulator::model::{DAY, Event, Millis};

use super::Verdict;

/// What is still missing.
#[derive(Debug, Default)]
pub struct Events {
    learned: usize,
    missing: BTreeSet<(Millis, usize)>,
    of_record: HashMap<u32, Vec<(Millis, usize)>>,
    accepted: HashSet<usize>,
    /// When the accepted versions of a record were created.
    known: HashMap<u32, BTreeSet<Millis>>,
    newest: HashMap<u32, (usize, Millis)>,
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

    /// A version was accepted, durably: the event at that place of the model's list.
    ///
    /// # Errors
    /// It had been accepted before, or a newer version of its day or the next one had been.
    pub fn accepted(&mut self, place: usize, event: &Event) -> Verdict {
        let known = self.known.entry(event.record).or_default();
        let newer = known.range(event.created_at + 1..).next();
        if let Some(newer) = newer.filter(|&newer| newer / DAY <= event.created_at / DAY + 1) {
            return Err(format!("event {place} was accepted after a version of {newer}"));
        }
        known.insert(event.created_at);
        // A version that arrives so late is let through (the ledger looks a day around its own): who
        // keeps state goes by the time.
        let newest = self.newest.entry(event.record).or_insert((place, event.created_at));
        if newest.1 / DAY <= event.created_at / DAY + 1 {
            *newest = (place, event.created_at);
        }
        if let Some(keys) = self.of_record.get_mut(&event.record) {
            keys.retain(|key| {
                let superseded = key.0 <= event.created_at;
                if superseded {
                    self.missing.remove(key);
                }
                !superseded
            });
        }
        if self.accepted.insert(place) {
            Ok(())
        } else {
            Err(format!("event {place} was accepted twice"))
        }
    }

    /// The oldest event that is neither accepted nor superseded: its `created_at` and its place.
    #[must_use]
    pub fn oldest_missing(&self) -> Option<(Millis, usize)> {
        self.missing.first().copied()
    }

    /// The places of those that are missing and were created in that time.
    pub fn missing_between(&self, from: Millis, until: Millis) -> impl Iterator<Item = usize> {
        self.missing.range((from, 0)..(until, 0)).map(|(_, place)| *place)
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

    /// The version of a record that was accepted last: the place of its event.
    #[must_use]
    pub fn last_accepted(&self, record: u32) -> Option<usize> {
        self.newest.get(&record).map(|newest| newest.0)
    }

    /// The records that something was accepted of.
    pub fn records(&self) -> impl Iterator<Item = u32> {
        self.newest.keys().copied()
    }
}
