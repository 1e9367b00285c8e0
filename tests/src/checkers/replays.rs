//! An operator's replay that says it is done has brought everything, and a dry run takes nothing.

use streamkeeper_simulator::model::{Event, Millis};

use super::{Verdict, events::Events};

/// A replay that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What was created from then on is read again.
    pub from: Millis,
    /// When it was asked for.
    pub at: Millis,
    /// Nothing is to be accepted.
    pub dry_run: bool,
}

impl Asked {
    /// It says that it has read everything up to when it was asked for.
    ///
    /// # Errors
    /// Something from then is missing still, and it was to be accepted.
    pub fn done(&self, events: &Events, published: &[Event]) -> Verdict {
        if self.dry_run {
            return Ok(());
        }
        let missing = events.missing_between(self.from, self.at);
        let mut missing = missing.filter_map(|place| Some((place, published.get(place)?)));
        // It may be cut by when a record's span starts, as streams may.
        let due = |event: &Event| event.available_at <= self.at && event.start_at() >= self.from;
        match missing.find(|(_, event)| due(event)) {
            Some((place, _)) => Err(format!("a replay is done, and event {place} did not come")),
            None => Ok(()),
        }
    }
}

/// A group was committed: so many were taken as new, and so many are in the log.
///
/// # Errors
/// They are not the same: something was taken that was only to be looked at.
pub fn committed(taken: u64, logged: u64) -> Verdict {
    if taken == logged {
        return Ok(());
    }
    Err(format!("{logged} events were committed where {taken} were to be accepted"))
}
