//! What the shell tells a policy.

use std::time::Duration;

use crate::classify::End;
use crate::cursored;
use crate::id::{ConnectionId, Cursor, UserKey};
use crate::marked;
use crate::state::PolicyState;
use crate::time::{Instant, Timestamp, UtcDay};
use crate::watchdog::Lack;

/// An input; each comes with the time at which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin, with what was persisted (`None`: nothing, the first start) and our own wall clock.
    Start {
        /// The last state that was persisted. One of another family counts as none: whoever keeps it refuses
        /// it before.
        state: Option<PolicyState>,
        /// Our own wall clock, until a poke says the service's time.
        wall: Timestamp,
    },
    /// The response head came: 200, a stream of events.
    Opened(ConnectionId),
    /// The first data came after a poke, or after the opening.
    Data(ConnectionId),
    /// No frame was completed for `late_after`, for want of this.
    Late(ConnectionId, Lack),
    /// Silence passed `stale_after`.
    Stale(ConnectionId),
    /// One frame took longer than `frame_timeout`, or came too slowly to be life.
    TooSlow(ConnectionId),
    /// Our process did not run for about so long.
    Suspended {
        /// Which connection noticed.
        connection: ConnectionId,
        /// For how long.
        away: Duration,
    },
    /// A frame came that is no event (not JSON, no id, too long): an event may have been lost in
    /// it.
    Garbled(ConnectionId),
    /// The connection is blocked: it does not read, because the queue is full.
    Blocked(ConnectionId),
    /// The connection reads again.
    Unblocked(ConnectionId),
    /// The connection is closed, or never opened: its socket is gone.
    Ended {
        /// Which connection.
        connection: ConnectionId,
        /// How.
        end: End,
    },
    /// A batch of frames is durable.
    Committed {
        /// The connection it came on.
        connection: ConnectionId,
        /// What it proves.
        span: Span,
    },
    /// The state of that number is durable.
    Persisted(u64),
    /// Nothing can be made durable, for this reason (`disk_full`, `disk_failed`, `outbox_full`).
    /// What was read waits in the queue, uncommitted.
    LedgerFailed(&'static str),
    /// The ledger takes events again, those that waited first: none of them is lost.
    LedgerWell,
    /// What only a marked stream hears.
    Marked(marked::Input),
    /// What only a cursored stream hears.
    Cursored(cursored::Input),
    /// There is room in the queue again.
    Room,
    /// Everything read has been committed (the answer to `Flush`).
    Flushed,
    /// A deadline passed.
    Tick,
    /// The operator wants a recovery now.
    Recover,
    /// The operator has done something that may help: what waits to be tried again is tried now.
    TryNow,
    /// The operator wants no connection, until `Resume`: all are read to their end.
    Pause,
    /// The pause is over.
    Resume,
    /// The operator wants every connection ended, in order, and opened again.
    Reconnect,
    /// Stop: end every connection, as far as possible without loss, within so long.
    Stop {
        /// How long a half-closed connection may take to end.
        drain: Duration,
    },
}

impl Input {
    /// Whether an operator wants something done.
    pub(crate) const fn is_an_operators(&self) -> bool {
        matches!(self, Self::Recover | Self::Resume | Self::Reconnect | Self::TryNow)
    }
}

/// What a committed batch proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// When its last frame was read.
    pub arrived: Instant,
    /// The service's time of its last poke.
    pub poke: Option<Timestamp>,
    /// Its records that say when they were created.
    pub data: Vec<Datum>,
    /// The newest cursor in it, behind its data; `None` if it brought none.
    pub cursor: Option<Cursor>,
    /// How many events were accepted.
    pub new: u64,
    /// How many were known, or superseded.
    pub duplicate: u64,
}

/// One data frame, as evidence of position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datum {
    /// Whose record it is.
    pub user: UserKey,
    /// When the service processed it.
    pub created_at: Timestamp,
    /// The day on which the measured span starts, if the record says so.
    pub start_day: Option<UtcDay>,
    /// Whether it was accepted as new (not a duplicate, not superseded).
    pub new: bool,
}

impl Datum {
    /// How many days before the day it was processed its span started.
    #[must_use]
    pub fn span_days(&self) -> u32 {
        self.start_day.map_or(0, |start_day| self.created_at.utc_day().days_since(start_day))
    }
}
