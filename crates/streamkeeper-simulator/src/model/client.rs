//! A connected client as the service sees it, and the frames it is sent.

use std::collections::VecDeque;

use super::{Millis, event::EventId};

/// Names one connection; never used again after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(super) u32);

/// Something the service wrote to a client. `at` is when it was written, in the service's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A poke; its `ts` is `at`.
    Poke {
        /// When it was written.
        at: Millis,
        /// Members that count at the moment, closed ones not yet released included.
        count: usize,
        /// How many clients this stream allows.
        max: usize,
    },
    /// An event.
    Event {
        /// When it was written.
        at: Millis,
        /// Which one.
        event: EventId,
    },
    /// The body's proper end (HTTP's terminator). Nothing follows.
    End {
        /// When it was written.
        at: Millis,
    },
}

impl Frame {
    /// When it was written.
    pub fn at(self) -> Millis {
        match self {
            Self::Poke { at, .. } | Self::Event { at, .. } | Self::End { at } => at,
        }
    }
}

/// How a connection hangs: nothing arrives at the client any more, and what is written is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// The service still hears the client close.
    Hearing,
    /// A black hole: the service hears nothing either, writes on, and counts the client as a
    /// member until [`Config::hold_for`](super::Config::hold_for) is over.
    Deaf,
}

/// Where a client is, in the service's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Written to.
    Serving,
    /// Written to, until the service notices that it is to end.
    Leaving,
    /// No longer written to; still counts as a member.
    Closed,
    /// Forgotten.
    Released,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) feed: u32,
    pub(super) state: State,
    /// Whether what is written arrives.
    pub(super) reachable: bool,
    /// When the service will notice that it is gone, once it is [`State::Leaving`].
    pub(super) leaves_at: Millis,
    /// Written before the connection ended, not read yet.
    pub(super) pending: VecDeque<Frame>,
    /// The client's users with something available, in the order of the next round.
    pub(super) ring: VecDeque<u32>,
    pub(super) next_poke_at: Millis,
    pub(super) last_write_at: Millis,
    /// Before this no further event, by the rate limit.
    pub(super) next_slot_micros: u64,
}

impl Client {
    pub(super) fn new(feed: u32, now: Millis, next_poke_at: Millis) -> Self {
        Self {
            feed,
            state: State::Serving,
            reachable: true,
            leaves_at: 0,
            pending: VecDeque::new(),
            ring: VecDeque::new(),
            next_poke_at,
            last_write_at: now,
            next_slot_micros: 0,
        }
    }

    /// Whether the service writes to it.
    pub(super) fn is_written_to(&self) -> bool {
        matches!(self.state, State::Serving | State::Leaving)
    }

    /// Whether frames may still come out of it.
    pub(super) fn is_readable(&self) -> bool {
        !self.pending.is_empty() || (self.reachable && self.is_written_to())
    }
}
