//! What the shell tells [`Marked`](super::Marked), and no other policy.

use crate::id::{ConnectionId, StreamId};
use crate::policy;

use super::establish::Answer;

/// An input that only a marked stream hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A poke came on a connection.
    Poke {
        /// Which connection.
        connection: ConnectionId,
        /// What it said of the stream's clients.
        members: Members,
    },
    /// The answer to a call.
    Answered(Answer),
    /// The answer to `Count`.
    Counted {
        /// The stream that was asked for.
        stream: StreamId,
        /// How many clients the service counts on it; `None` if it did not say.
        members: Option<u32>,
    },
}

impl From<Input> for policy::Input {
    fn from(input: Input) -> Self {
        Self::Marked(input)
    }
}

/// What a poke says of the stream's clients (Inform API, Connecting).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// How many are connected, if said.
    pub count: Option<u32>,
    /// How many may be connected, if said.
    pub max: Option<u32>,
}
