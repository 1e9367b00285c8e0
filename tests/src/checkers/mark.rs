//! The mark never passes an event that is neither accepted nor superseded, and never goes back.

use streamkeeper_core::time::Timestamp;

use crate::plan::micros;

use super::{Verdict, events::Events};

/// Watches one mark.
#[derive(Debug, Default)]
pub struct MarkWatch {
    last: Option<Timestamp>,
}

impl MarkWatch {
    /// Looks at the mark.
    ///
    /// # Errors
    /// It passes an event, or has gone back.
    pub fn look(&mut self, mark: Option<Timestamp>, events: &Events) -> Verdict {
        if mark < self.last {
            return Err(format!("the mark went back from {:?} to {mark:?}", self.last));
        }
        self.last = mark;
        holds(mark, events)
    }

    /// Whether there has been a mark.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.last.is_some()
    }

    /// Forgets what it saw: a new process begins with what is on disk.
    pub const fn begin(&mut self, mark: Option<Timestamp>) {
        self.last = mark;
    }
}

/// Whether a claimed mark is true.
///
/// # Errors
/// It passes an event.
pub fn holds(mark: Option<Timestamp>, events: &Events) -> Verdict {
    let Some(mark) = mark else { return Ok(()) };
    match events.oldest_missing() {
        Some((created_at, place)) if micros(created_at) < mark.as_micros() => Err(format!(
            "false mark: it passes event {place} by {} ms",
            (mark.as_micros() - micros(created_at)) / 1_000
        )),
        _ => Ok(()),
    }
}
