//! What is to happen later, in order of time; what was put in first goes first at the same time.
//!
//! Invariant: popping never goes back in time. What the things mean is left to the world.

use std::collections::BTreeMap;

use streamkeeper_simulator::model::Millis;

/// Things to happen, earliest first.
#[derive(Debug)]
pub struct Agenda<T> {
    /// In boxes: whatever is put in front of others moves them.
    things: BTreeMap<(Millis, u64), Box<T>>,
    added: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { things: BTreeMap::new(), added: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts a thing in.
    pub fn add(&mut self, at: Millis, thing: T) {
        self.added += 1;
        self.things.insert((at, self.added), Box::new(thing));
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Millis> {
        self.things.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next one that is due at `now`.
    pub fn pop_due(&mut self, now: Millis) -> Option<T> {
        let entry = self.things.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(*entry.remove())
    }

    /// Takes out everything that `picks` picks, in order.
    pub fn take_out(&mut self, mut picks: impl FnMut(&T) -> bool) -> Vec<T> {
        self.things.extract_if(.., |_, thing| picks(thing)).map(|(_, thing)| *thing).collect()
    }
}
