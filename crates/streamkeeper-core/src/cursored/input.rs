//! What the shell tells [`Cursored`](super::Cursored), and no other policy.

use std::time::Duration;

use crate::id::{ConnectionId, Cursor};
use crate::policy;

use super::GapSign;

/// An input that only a cursored stream hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A heartbeat came: it proves life and carries nothing.
    Heartbeat(ConnectionId),
    /// The server asks for this pause after any end (`retry:`).
    Retry {
        /// On which connection.
        connection: ConnectionId,
        /// For so long.
        wait: Duration,
    },
    /// A last event came: the end that follows is a planned one, unless further events come before it.
    Planned(ConnectionId),
    /// An answered 200 shows that the resume point was lost, or a new session has begun. Nothing behind the sign goes into the queue before
    /// `GoOn`: it would move the cursor past a gap that a crash could still forget.
    Gap {
        /// On which connection.
        connection: ConnectionId,
        /// What shows it.
        sign: GapSign,
    },
    /// Another stream of the group is stale, and what it hangs on may be what this one hangs on.
    GroupStale,
    /// The answer to `AskFirst`; `None`: not to be had, connect without.
    First(Option<Cursor>),
    /// The answer to `Resync`.
    Resynced {
        /// The snapshot was fetched and is committed; `false`: it could not be had.
        ok: bool,
    },
}

impl From<Input> for policy::Input {
    fn from(input: Input) -> Self {
        Self::Cursored(input)
    }
}
