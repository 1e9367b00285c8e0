//! The outbox: what is committed and not yet acknowledged by every sink.
//!
//! [`Outbox`] is a handle that sinks use from their own threads: readers, cursors, how much is left.
//! It sees an event once its commit is durable, and never before. What the cursors say becomes
//! durable with the next state record; until then a crash gives the same events again.

mod reader;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamkeeper_core::time::Timestamp;

use crate::error::Bound;
use crate::fs::Fs;
use crate::identity::LedgerIdentity;

pub use self::reader::OutboxReader;

/// What ledger, sinks and readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Log>,
}

/// The log as far as it is durable.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// Oldest first; the last is written to.
    pub(crate) segments: VecDeque<SegmentInfo>,
    /// The sequence number after the last committed event.
    pub(crate) end: u64,
    pub(crate) cursors: BTreeMap<String, Cursor>,
}

/// A segment that has not been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    pub(crate) first: u64,
    pub(crate) bytes: u64,
    /// When its first event arrived; `None` while it is empty.
    pub(crate) arrived: Option<Timestamp>,
}

/// Where a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) next: u64,
    /// It holds back what it has not acknowledged.
    pub(crate) active: bool,
}

impl Shared {
    pub(crate) const fn new(log: Log) -> Self {
        Self { inner: Mutex::new(log) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Log> {
        // No code that can panic runs under the lock, so what it guards is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// The first event that some sink has not acknowledged.
    pub(crate) fn needed(&self) -> u64 {
        let active = self.cursors.values().filter(|cursor| cursor.active);
        active.map(|cursor| cursor.next).min().unwrap_or(self.end).min(self.end)
    }

    /// The oldest event that is still there.
    pub(crate) fn oldest(&self) -> u64 {
        self.segments.front().map_or(self.end, |segment| segment.first)
    }

    /// The bytes that unacknowledged events take on disk; within a segment by proportion.
    fn bytes(&self) -> u64 {
        self.bytes_from(self.needed())
    }

    /// The bytes that the events from `needed` on take on disk; within a segment by proportion.
    fn bytes_from(&self, needed: u64) -> u64 {
        let ends = self.segments.iter().skip(1).map(|segment| segment.first);
        let ends = ends.chain(std::iter::once(self.end));
        let share = |(segment, end): (&SegmentInfo, u64)| {
            let all = end.saturating_sub(segment.first);
            let left = end.saturating_sub(needed).min(all);
            // A share is not larger than the whole.
            (u128::from(segment.bytes) * u128::from(left)).div_ceil(u128::from(all.max(1))) as u64
        };
        self.segments.iter().zip(ends).map(share).sum()
    }

    /// Which bound the outbox has reached at `now`.
    pub(crate) fn bound(
        &self,
        bytes_max: u64,
        age_max: Option<Duration>,
        now: Timestamp,
    ) -> Option<Bound> {
        if self.bytes() >= bytes_max {
            return Some(Bound::Bytes);
        }
        let age_max = age_max?;
        let needed = self.needed();
        if needed >= self.end {
            return None;
        }
        // The first event of the segment after the one that holds the oldest unacknowledged event is
        // not older than that event; so this is never early.
        let behind = self.segments.iter().find(|segment| segment.first >= needed);
        let arrived = behind.and_then(|segment| segment.arrived);
        (now.since(arrived?) > age_max).then_some(Bound::Age)
    }
}

/// A handle for sinks, on any thread; clones are the same outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) identity: LedgerIdentity,
    pub(crate) shared: Arc<Shared>,
}

impl Outbox {
    /// Which ledger the sequence numbers are of.
    #[must_use]
    pub const fn identity(&self) -> LedgerIdentity {
        self.identity
    }

    /// `sink` has everything before `next`. Going back is not possible; what is not committed yet
    /// cannot be acknowledged.
    ///
    /// # Panics
    /// If the ledger was not opened for that sink: its acknowledgements would vanish.
    pub fn acknowledge(&self, sink: &str, next: u64) {
        let mut log = self.shared.lock();
        let end = log.end;
        let cursor = log.cursors.get_mut(sink);
        let is_known = cursor.is_some();
        if let Some(cursor) = cursor {
            cursor.next = cursor.next.max(next.min(end));
        }
        drop(log);
        assert!(is_known, "the ledger was not opened for the sink {sink}");
    }

    /// The first event that `sink` has not acknowledged.
    #[must_use]
    pub fn cursor(&self, sink: &str) -> Option<u64> {
        self.shared.lock().cursors.get(sink).map(|cursor| cursor.next)
    }

    /// How many events `sink` has not acknowledged.
    #[must_use]
    pub fn backlog(&self, sink: &str) -> u64 {
        let log = self.shared.lock();
        log.cursors.get(sink).map_or(0, |cursor| log.end.saturating_sub(cursor.next))
    }

    /// The bytes on disk of the events that `sink` has not acknowledged; the first of them by
    /// proportion of its segment.
    #[must_use]
    pub fn backlog_bytes(&self, sink: &str) -> u64 {
        let log = self.shared.lock();
        log.cursors.get(sink).map_or(0, |cursor| log.bytes_from(cursor.next))
    }

    /// The sequence number after the last committed event.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.shared.lock().end
    }

    /// The bytes that unacknowledged events take on disk: whole segments exactly, the one that the
    /// slowest sink is in by proportion.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.lock().bytes()
    }

    /// Reads from `from` on; from the oldest event that is still there, if that is newer.
    #[must_use]
    pub fn reader(&self, from: u64) -> OutboxReader {
        OutboxReader::new(self.clone(), from)
    }
}
