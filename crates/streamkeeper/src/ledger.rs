//! The memory of what was accepted.
//!
//! [`Ledger`] is what the writer needs of it: judge events exactly (recovery.md, "accept"), and make
//! them and the stream's state durable before anybody is told. [`MemoryLedger`] keeps the promise
//! for as long as the process lives; what it has accepted is forgotten by a crash, and then the
//! sinks' idempotency keys are what drops the repeats.

use std::collections::HashMap;

use streamkeeper_core::stream_policy::StreamState;
use streamkeeper_core::version::{Accepted, Verdict};
use streamkeeper_inform::EventType;

use crate::dialect::Event;

/// Durable memory of one stream. Synchronous; called by one writer thread.
pub(crate) trait Ledger: Send {
    /// Judges an event, and takes it if it is new. Not durable before [`Ledger::commit`].
    fn accept(&mut self, event: &Event) -> Verdict;

    /// Makes everything accepted so far durable.
    fn commit(&mut self);

    /// Makes the stream's state durable, with everything accepted before it.
    fn persist(&mut self, state: &StreamState);

    /// The last durable state; `None` at the first start.
    fn state(&self) -> Option<StreamState>;
}

/// A ledger in memory: exact, and forgotten when the process ends.
#[derive(Default)]
pub(crate) struct MemoryLedger {
    data: HashMap<Box<str>, Accepted>,
    other: HashMap<(EventType, Box<str>), Accepted>,
    state: Option<StreamState>,
}

impl Ledger for MemoryLedger {
    fn accept(&mut self, event: &Event) -> Verdict {
        let (kind, key) = event.key();
        // Most events are records that are known: those are looked up without an allocation.
        let known = match kind {
            EventType::Data => self.data.get_mut(key),
            _ => self.other.get_mut(&(kind, key.into())),
        };
        if let Some(accepted) = known {
            return accepted.accept(event.version);
        }
        let mut accepted = Accepted::default();
        let verdict = accepted.accept(event.version);
        if kind == EventType::Data {
            self.data.insert(key.into(), accepted);
        } else {
            self.other.insert((kind, key.into()), accepted);
        }
        verdict
    }

    fn commit(&mut self) {}

    fn persist(&mut self, state: &StreamState) {
        self.state = Some(state.clone());
    }

    fn state(&self) -> Option<StreamState> {
        self.state.clone()
    }
}
