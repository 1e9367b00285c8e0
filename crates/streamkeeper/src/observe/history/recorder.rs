//! The shell around a [`History`]: its clock, and a lock for its writers and readers.
//!
//! Those who write are the stream's supervisor and its connections; nobody holds the lock for longer
//! than one note, or one view.

use std::sync::{Mutex, MutexGuard, PoisonError};

use streamkeeper_core::policy::Report;

use crate::base::clock::{Clock, wall};

use super::{Bounds, Brief, Cursor, History, Sight, View};

/// A stream's history, shared.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Clock,
    history: Mutex<History>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { clock: Clock::start(), history: Mutex::default() }
    }
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What silence is measured against.
    pub(crate) fn set_bounds(&self, bounds: Bounds) {
        self.lock().set_bounds(bounds);
    }

    /// What the stream is like now.
    pub(crate) fn observe(&self, sight: Sight<'_>) {
        self.lock().observe(self.clock.now(), sight);
    }

    /// A frame came on this slot.
    pub(crate) fn heard(&self, slot: u8) {
        self.lock().heard(self.clock.now(), slot);
    }

    /// The slot stopped reading, because the queue is full.
    pub(crate) fn blocked(&self, slot: u8) {
        self.lock().blocked(self.clock.now(), slot);
    }

    /// Something was reported.
    pub(crate) fn report(&self, report: &Report) {
        self.lock().report(self.clock.now(), wall(), report);
    }

    /// What a list of streams shows.
    pub(crate) fn brief(&self) -> Brief {
        self.lock().brief(self.clock.now())
    }

    /// What is new since `cursor`, which moves on.
    pub(crate) fn view(&self, cursor: &mut Cursor) -> View {
        self.lock().view(self.clock.now(), cursor)
    }
}
