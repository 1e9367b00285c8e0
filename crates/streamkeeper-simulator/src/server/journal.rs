//! What happened, as seen from the service: every call, every connection.
//!
//! From outside one can tell whether a client rests as it should: a connection's entry counts the
//! pokes at its end, and the time until the same stream's next connect. With several clients the
//! oldest closed connection is taken for the one that comes back.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{fault::Call, model::Millis};

/// All that happened, the oldest entries dropped beyond [`ENTRIES_MAX`] of each sort.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    counts: BTreeMap<Call, u64>,
    calls: VecDeque<CallEntry>,
    connections: BTreeMap<u64, ConnectionEntry>,
    opened: u64,
}

/// How many entries of each sort are kept.
pub const ENTRIES_MAX: usize = 10_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEntry {
    /// When it was answered, in the service's time, milliseconds since the epoch.
    pub at_ms: Millis,
    /// What was called.
    pub call: Call,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
}

/// One event stream, of a stream resource or a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEntry {
    /// Its number, from 1; faults name connections by it.
    pub number: u64,
    /// The stream's id; `None` for a replay.
    pub stream: Option<String>,
    /// When it opened, in the service's time, milliseconds since the epoch.
    pub opened_ms: Millis,
    /// When the client closed (its FIN or RST was seen), or the service did.
    pub closed_ms: Option<Millis>,
    /// What closed it; `None` while it is open.
    pub closed_by: Option<ClosedBy>,
    /// Events written to it.
    pub events: u64,
    /// Pokes written to it.
    pub pokes: u64,
    /// Pokes since the last event, until it was closed.
    pub pokes_in_row: u64,
    /// From its close to the stream's next connect.
    pub rest_ms: Option<Millis>,
}

/// What closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// A FIN of the client.
    ClientFin,
    /// A RST of the client, or a write that failed.
    ClientReset,
    /// The service, properly.
    Service,
    /// A fault.
    Fault,
}

impl Journal {
    pub(crate) fn call(&mut self, at_ms: Millis, call: Call, status: Option<u16>) {
        *self.counts.entry(call).or_default() += 1;
        if self.calls.len() >= ENTRIES_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(CallEntry { at_ms, call, status });
    }

    /// A connection opens; gives its number.
    pub(crate) fn open(&mut self, now: Millis, stream: Option<String>) -> u64 {
        let resumed = self.connections.values_mut().find(|entry| {
            entry.stream == stream && entry.closed_ms.is_some() && entry.rest_ms.is_none()
        });
        if let (Some(entry), true) = (resumed, stream.is_some()) {
            entry.rest_ms = entry.closed_ms.map(|closed| now.saturating_sub(closed));
        }
        self.opened += 1;
        let entry = ConnectionEntry {
            number: self.opened,
            stream,
            opened_ms: now,
            closed_ms: None,
            closed_by: None,
            events: 0,
            pokes: 0,
            pokes_in_row: 0,
            rest_ms: None,
        };
        if self.connections.len() >= ENTRIES_MAX {
            self.connections.pop_first();
        }
        self.connections.insert(self.opened, entry);
        self.opened
    }

    pub(crate) fn wrote_poke(&mut self, number: u64) {
        if let Some(entry) = self.connections.get_mut(&number) {
            entry.pokes += 1;
            entry.pokes_in_row += u64::from(entry.closed_ms.is_none());
        }
    }

    pub(crate) fn wrote_event(&mut self, number: u64) {
        if let Some(entry) = self.connections.get_mut(&number) {
            entry.events += 1;
            if entry.closed_ms.is_none() {
                entry.pokes_in_row = 0;
            }
        }
    }

    /// A connection closes; what closed it first counts.
    pub(crate) fn close(&mut self, now: Millis, number: u64, by: ClosedBy) {
        if let Some(entry) = self.connections.get_mut(&number)
            && entry.closed_by.is_none()
        {
            entry.closed_by = Some(by);
            entry.closed_ms = Some(now);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<Call, u64> {
        self.counts.clone()
    }

    pub(crate) fn calls(&self) -> Vec<CallEntry> {
        self.calls.iter().cloned().collect()
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionEntry> {
        self.connections.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_are_seen_from_outside() {
        let mut journal = Journal::default();
        let stream = || Some("s".to_owned());
        let first = journal.open(100, stream());
        journal.wrote_event(first);
        journal.wrote_poke(first);
        journal.wrote_poke(first);
        journal.close(200, first, ClosedBy::ClientFin);
        journal.close(250, first, ClosedBy::Service);
        journal.wrote_event(first); // until the service notices
        journal.open(220, None); // a replay is no return
        journal.open(230, stream());
        let entries = journal.connections();
        assert_eq!(entries[0].rest_ms, Some(30));
        assert_eq!(entries[0].closed_by, Some(ClosedBy::ClientFin));
        assert_eq!((entries[0].pokes, entries[0].pokes_in_row), (2, 2));
        assert_eq!(entries[2].number, 3);
    }

    #[test]
    fn old_entries_go_and_counts_stay() {
        let mut journal = Journal::default();
        for at in 0..ENTRIES_MAX as u64 + 5 {
            journal.call(at, Call::List, Some(200));
            journal.open(at, None);
        }
        assert_eq!(journal.calls().len(), ENTRIES_MAX);
        assert_eq!(journal.connections()[0].number, 6);
        assert_eq!(journal.counts()[&Call::List], ENTRIES_MAX as u64 + 5);
    }
}
