//! What is durable, and what waits to be.
//!
//! One queue in the order of reading; one thing at a time is made durable. A crash leaves what is durable, and
//! may leave what was under way.

use std::collections::{BTreeSet, VecDeque};

use streamkeeper_core::cursored::CursoredState;
use streamkeeper_core::id::{ConnectionId, Cursor};

use super::server::Number;

/// Something that the stream asks of its ledger.
#[derive(Clone, Debug)]
pub enum Job {
    /// Accept this event, if it is new.
    Event(ConnectionId, Number),
    /// Write this state down.
    Persist(u64, Box<CursoredState>),
    /// Say when everything before is durable.
    Flush,
}

/// What is durable.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The events that were accepted.
    pub accepted: BTreeSet<Number>,
    /// The state that was written last.
    pub state: Option<CursoredState>,
    /// The cursor of the last commit, unless it was forgotten since.
    pub newer: Option<Number>,
    /// Every cursor that ever was durable.
    pub cursors: BTreeSet<Number>,
}

impl Ledger {
    /// Makes an event durable: whether it is new.
    ///
    /// # Errors
    /// It was accepted before, and nobody could tell.
    pub fn accept(&mut self, event: Number, identity: bool) -> Result<bool, String> {
        let new = self.accepted.insert(event);
        self.newer = Some(event);
        self.cursors.insert(event);
        if new || identity { Ok(new) } else { Err(format!("event {event} was accepted twice")) }
    }

    /// Makes a state durable.
    pub fn persist(&mut self, state: CursoredState) {
        self.cursors.extend(state.cursor.as_ref().and_then(number));
        // What waited before it in the queue is newer than what it says; but for what is forgotten now.
        if state.forgotten && !self.state.as_ref().is_some_and(|before| before.forgotten) {
            self.newer = None;
        }
        self.state = Some(state);
    }

    /// What a process starts with. `in_commit`: the cursor is kept in the commit of its event; the first one of
    /// a stream always is.
    #[must_use]
    pub fn start(&self, ids: bool, in_commit: bool) -> Option<CursoredState> {
        let mut state = self.state.clone()?;
        if ids && (in_commit || state.cursor.is_none()) {
            let newer = self.newer.and_then(|number| Cursor::new(&number.to_string()));
            state.cursor = newer.or(state.cursor);
        }
        Some(state)
    }
}

/// What waits, in order.
pub type Jobs = VecDeque<Job>;

/// The number in a cursor.
#[must_use]
pub fn number(cursor: &Cursor) -> Option<Number> {
    cursor.as_str().parse().ok()
}
