//! Reading `/replay` beside the stream, on a connection of its own, until it has passed a moment.
//!
//! It has its own position, gated as that of a new stream: a history is walked before anything is claimed. So
//! it proves what the live stream cannot: that nothing older than that moment is missing any more. What
//! follows from that, and whether it is tried again when its connection fails, is for whoever wants it: a
//! verification ([`Marked`](super::Marked)), an operator ([`Replay`](super::Replay)).

use std::time::Duration;

use crate::id::ConnectionId;
use crate::policy::Span;
use crate::service_clock::ServiceClock;
use crate::time::{Instant, Timestamp};

use super::MarkedConfig;
use super::low_water::{Gate, Position};

/// A replay that is being read.
#[derive(Clone, Debug)]
pub(super) struct Reread {
    long_block: Duration,
    late_after: Duration,
    connection: ConnectionId,
    position: Position,
    is_open: bool,
    blocked_since: Option<Instant>,
    new: u64,
    duplicate: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// Everything that was created before has been read.
    pub(super) at: Timestamp,
    /// Users whose last known records should have come on the way.
    pub(super) missing: usize,
}

impl Reread {
    /// It is read on that connection, which is being opened.
    pub(super) fn new(config: &MarkedConfig, connection: ConnectionId, position: Position) -> Self {
        Self {
            long_block: config.position.long_block(),
            late_after: config.watchdog.late_after,
            connection,
            position,
            is_open: false,
            blocked_since: None,
            new: 0,
            duplicate: 0,
        }
    }

    pub(super) const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Since when its connection has been unable to put its frames into the queue.
    pub(super) const fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// How many events it brought that are new, and how many were known.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.new, self.duplicate)
    }

    /// The connection opened.
    pub(super) fn opened(&mut self, now: Instant) {
        self.is_open = true;
        self.position.opened(now);
        self.position.changed(now);
    }

    /// The queue is full for it, or is no more; a long block unsettles.
    pub(super) fn blocked(&mut self, is_blocked: bool, now: Instant) {
        let since = self.blocked_since.take();
        self.blocked_since = is_blocked.then(|| since.unwrap_or(now));
        if !is_blocked && since.is_some_and(|since| now.since(since) >= self.long_block) {
            self.position.changed(now);
        }
    }

    /// Our process was away: what it did not read says nothing about position.
    pub(super) fn unsettled(&mut self, now: Instant) {
        self.position.changed(now);
    }

    /// Frames of it have been judged for good.
    pub(super) fn committed(&mut self, span: &Span) {
        // What was sent while it was silent comes after the first frame.
        if span.arrived.since(self.position.evidence()) > self.late_after {
            self.position.changed(span.arrived);
        }
        self.position.frame(span.arrived);
        for datum in &span.data {
            self.position.data(span.arrived, datum);
        }
        self.new += span.new;
        self.duplicate += span.duplicate;
    }

    /// How far it has come, if that is certain.
    pub(super) fn reached(&mut self, clock: &ServiceClock, margin: Duration) -> Option<Reached> {
        if !self.is_open || self.blocked_since.is_some() || !self.position.is_settled() {
            return None;
        }
        let missing = match self.position.gate() {
            Gate::Closed => return None,
            Gate::Open => 0,
            Gate::Forced { missing } => missing,
        };
        let heard = self.position.evidence();
        let at = self.position.reached(clock, heard, margin)?;
        Some(Reached { at, missing })
    }
}
