//! Never more connections than allowed, and never a DELETE while one of ours is open.
//!
//! Open is what the policies have asked for and not yet seen the end of. When the service announces
//! a lower limit, those above it are to be gone within the time that a drain may take.

use std::collections::BTreeMap;

use streamkeeper_core::id::{ConnectionId, Reader, StreamId};
use streamkeeper_core::marked::Target;
use streamkeeper_core::marked::establish::Call;
use streamkeeper_simulator::model::Millis;

use super::Verdict;

/// The connections of one process.
#[derive(Debug)]
pub struct Connections {
    configured: usize,
    grace: Millis,
    announced: Option<(usize, Millis)>,
    fewer: Option<usize>,
    open: BTreeMap<ConnectionId, Target>,
    deleting: Option<StreamId>,
}

impl Connections {
    /// For so many configured connections; `grace`: how long a drain may take.
    #[must_use]
    pub const fn new(configured: usize, grace: Millis) -> Self {
        Self {
            configured,
            grace,
            announced: None,
            fewer: None,
            open: BTreeMap::new(),
            deleting: None,
        }
    }

    fn slots(&self) -> usize {
        self.open.keys().filter(|id| matches!(id.reader, Reader::Slot(_))).count()
    }

    /// A connection is asked for.
    ///
    /// # Errors
    /// There are too many, or its stream is being deleted.
    pub fn connect(&mut self, id: ConnectionId, target: &Target) -> Verdict {
        if self.open.insert(id, target.clone()).is_some() {
            return Err("a connection id was used twice".into());
        }
        let allowed = self.announced.map_or(self.configured, |(max, _)| max.min(self.configured));
        if matches!(id.reader, Reader::Slot(_)) && self.slots() > allowed {
            return Err(format!("{} connections where {allowed} are allowed", self.slots()));
        }
        if self.open.len() > self.slots() + 1 {
            return Err("more than one replay".into());
        }
        match (target, &self.deleting) {
            (Target::Stream(stream), Some(deleting)) if stream == deleting => {
                Err("connects to a stream that is being deleted".into())
            }
            _ => Ok(()),
        }
    }

    /// The end of a connection is told to the policies.
    ///
    /// # Errors
    /// It had been told before: the harness is broken.
    pub fn ended(&mut self, id: ConnectionId) -> Verdict {
        match self.open.remove(&id) {
            Some(_) => Ok(()),
            None => Err("the end of a connection was told twice".into()),
        }
    }

    /// A poke told how many clients are allowed; fewer than before is certain when told twice.
    pub fn announced(&mut self, max: usize, now: Millis) {
        let fewer = self.announced.is_some_and(|(before, _)| max < before);
        let told_before = self.fewer.take() == Some(max);
        if fewer && !told_before {
            self.fewer = Some(max);
        } else if self.announced.is_none_or(|(before, _)| before != max) {
            self.announced = Some((max, now));
        }
    }

    /// Time passes. `may_act`: the process runs, and its queue is not full, which no drain is cut short for.
    ///
    /// # Errors
    /// There are more connections than were announced long ago.
    pub fn tick(&mut self, now: Millis, may_act: bool) -> Verdict {
        let Some((max, since)) = &mut self.announced else { return Ok(()) };
        if !may_act {
            *since = now;
        }
        let (max, since) = (*max, *since);
        if now > since + self.grace && self.slots() > max {
            return Err(format!("{} connections long after {max} were announced", self.slots()));
        }
        Ok(())
    }

    /// A call is made.
    ///
    /// # Errors
    /// It deletes a stream that a connection of ours reads.
    pub fn call(&mut self, call: &Call) -> Verdict {
        let Call::Delete { id } = call else { return Ok(()) };
        self.deleting = Some(id.clone());
        let target = Target::Stream(id.clone());
        if self.open.values().any(|open| *open == target) {
            return Err("DELETE of a stream that we are connected to".into());
        }
        Ok(())
    }

    /// A call was answered.
    pub fn answered(&mut self) {
        self.deleting = None;
    }
}
