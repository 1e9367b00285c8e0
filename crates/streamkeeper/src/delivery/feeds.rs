//! A consumer's way through one stream's outbox: reading, and moving the cursor.
//!
//! What was read and not delivered is kept and given again, in its order. When to read is told by others:
//! the [turns](crate::delivery::turns) of a sink, or the [deliveries](crate::delivery::deliveries) of an
//! application.

use std::collections::VecDeque;

use streamkeeper_ledger::OutboxReader;
use streamkeeper_sink::{Envelope, Resume};

use crate::store::head;
use crate::store::source::Source;

/// A place in the outbox.
pub(crate) struct Feed {
    pub(crate) source: Source,
    /// The identity of the ledger, in words.
    ledger: String,
    reader: OutboxReader,
    /// What was read and is not delivered.
    kept: VecDeque<Envelope>,
}

/// What was taken from an outbox.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// There is more.
    pub(crate) more: bool,
    /// Everything before was taken, or is not wanted; `None`: nothing was looked at.
    pub(crate) through: Option<u64>,
}

/// How much is taken at once, and of what.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) events_max: usize,
    /// Bytes, but one event at least.
    pub(crate) bytes_max: usize,
    /// By the envelope's type.
    pub(crate) is_wanted: &'a dyn Fn(&str) -> bool,
}

impl Feed {
    /// At the consumer's cursor.
    pub(crate) fn new(source: Source) -> Self {
        let reader = source.outbox.reader(source.cursor());
        let ledger = source.outbox.identity().to_string();
        Self { source, ledger, reader, kept: VecDeque::new() }
    }

    /// Where it is, as a sink is told.
    pub(crate) fn place(&self) -> Resume<'_> {
        let Source { entry, outbox, .. } = &self.source;
        let (next, end) = (self.source.cursor(), outbox.end());
        Resume { source: &entry.name, ledger: &self.ledger, next, end }
    }

    /// Moves the next events that are wanted behind `batch`. Reads a file: on a thread that may wait.
    pub(crate) fn take(
        &mut self,
        wanted: Wanted<'_>,
        batch: &mut Vec<Envelope>,
    ) -> Result<Taken, &'static str> {
        let Wanted { events_max, bytes_max, is_wanted } = wanted;
        if self.kept.is_empty() {
            // A search for a refused event reads little at a time, and should not read the file for each.
            self.read(events_max.max(READ_EVENTS_MIN), bytes_max)?;
        }
        let mut taken = Taken::default();
        while let Some(envelope) = self.kept.front() {
            if is_wanted(&envelope.kind) {
                let bytes = taken.bytes + envelope.data.len();
                if taken.events == events_max || (bytes > bytes_max && taken.events > 0) {
                    break;
                }
                (taken.events, taken.bytes) = (taken.events + 1, bytes);
                taken.through = Some(envelope.sequence + 1);
                batch.extend(self.kept.pop_front());
            } else {
                taken.through = Some(envelope.sequence + 1);
                self.kept.pop_front();
            }
        }
        let end = self.source.outbox.end();
        taken.more = !self.kept.is_empty() || self.reader.next_sequence() < end;
        Ok(taken)
    }

    /// Takes back what was not delivered: the last that was taken.
    pub(crate) fn keep(&mut self, envelopes: Vec<Envelope>) {
        for envelope in envelopes.into_iter().rev() {
            self.kept.push_front(envelope);
        }
    }

    /// The first that was taken back.
    pub(crate) fn first_kept(&self) -> Option<&Envelope> {
        self.kept.front()
    }

    /// Goes on behind it: it is safe elsewhere.
    pub(crate) fn pass_first_kept(&mut self) {
        if let Some(envelope) = self.kept.pop_front() {
            self.source.acknowledge(envelope.sequence + 1, &[]);
        }
    }

    fn read(&mut self, events_max: usize, bytes_max: usize) -> Result<(), &'static str> {
        let Source { entry, outbox, .. } = &self.source;
        let name = &entry.name;
        let first = self.reader.next_sequence();
        let entries = self.reader.read(events_max, bytes_max).map_err(|error| {
            tracing::error!(stream = %name, %error, "the outbox cannot be read");
            "outbox_unreadable"
        })?;
        let read: Option<_> =
            entries.into_iter().map(|entry| head::envelope(name, entry)).collect();
        if read.is_none() {
            self.reader = outbox.reader(first);
        }
        self.kept = read.ok_or("written_by_a_newer_version")?;
        Ok(())
    }
}

/// So many events are read from a file, where fewer are wanted at once.
const READ_EVENTS_MIN: usize = 64;
