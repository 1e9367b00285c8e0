//! What goes from a connection to its stream's ledger: what was read at once, in order.

use std::sync::Arc;

use streamkeeper_core::id::{ConnectionId, Cursor};
use streamkeeper_core::time::{Instant, Timestamp};

use crate::base::reports::Reports;
use crate::dialect::event::Event;
use crate::observe::tally::Tally;

/// What one connection read at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) connection: ConnectionId,
    /// When its last frame was read.
    pub(crate) arrived: Instant,
    /// It is part of a replay.
    pub(crate) replayed: bool,
    /// The service's time of its last poke.
    pub(crate) poke: Option<Timestamp>,
    pub(crate) events: Vec<Event>,
    /// From where the server goes on behind all of it.
    pub(crate) cursor: Option<Cursor>,
    /// The replay of an operator that it belongs to.
    pub(crate) tally: Option<Arc<Tally>>,
    /// Who reads the connection, and hears what became of this.
    pub(crate) reader: Reports,
}

impl Batch {
    /// Whether nothing of it is to be accepted.
    pub(crate) fn is_dry(&self) -> bool {
        self.tally.as_ref().is_some_and(|tally| tally.dry_run)
    }

    /// The room it takes in the stream's budget.
    pub(crate) fn room(&self) -> usize {
        self.events.iter().map(room_of).sum()
    }

    /// Takes so much off the front that it fits into `share`, one event at least; `None` if the
    /// whole fits.
    pub(crate) fn split_off_front(&mut self, share: usize) -> Option<Self> {
        let mut room = 0;
        let fits = |event: &&Event| {
            room += room_of(event);
            room <= share
        };
        let count = self.events.iter().take_while(fits).count().max(1);
        (count < self.events.len()).then(|| self.take_front(count))
    }

    /// Takes the first events off. Poke and cursor stay behind: what they prove must not
    /// overtake the data before them.
    pub(crate) fn take_front(&mut self, count: usize) -> Self {
        let rest = self.events.split_off(count);
        let events = std::mem::replace(&mut self.events, rest);
        let (tally, reader) = (self.tally.clone(), self.reader.clone());
        Self { events, poke: None, cursor: None, tally, reader, ..*self }
    }
}

/// The room an event takes from its socket to its ledger: payload and bookkeeping. Its names are
/// parts of the payload.
fn room_of(event: &Event) -> usize {
    event.data.len() + EVENT_OVERHEAD
}

/// What an event costs beyond its payload.
const EVENT_OVERHEAD: usize = 256;
