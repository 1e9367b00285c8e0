//! What a policy wants done, and what it reports.

use std::time::Duration;

use crate::classify::End;
use crate::cursored;
use crate::id::{ConnectionId, SlotId};
use crate::marked;
use crate::state::PolicyState;
use crate::watchdog::Lack;

/// An effect. The shell carries it out and reports back; it decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open this connection; it ends with exactly one `Ended`, whatever happens.
    Connect {
        /// The name of the new connection.
        connection: ConnectionId,
        /// What it reads.
        target: Target,
    },
    /// Half-close it and read to the end; answered by `Ended`.
    Drain(ConnectionId),
    /// Close it now, whatever it is doing; answered by `Ended` when the socket is gone.
    Kill(ConnectionId),
    /// What only a marked stream wants.
    Marked(marked::Output),
    /// What only a cursored stream wants.
    Cursored(cursored::Output),
    /// Make this state durable; answered by `Persisted`.
    Persist {
        /// The number to answer with.
        number: u64,
        /// What to write.
        state: PolicyState,
    },
    /// Answer `Flushed` when everything read so far has been committed.
    Flush,
    /// The stream has stopped; nothing more will come.
    Stopped {
        /// Whether what is written down, and the server's own memory, are all a restart needs.
        clean: bool,
    },
    /// For logs, metrics and people.
    Report(Report),
}

/// The connection reads this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Of a marked stream.
    Marked(marked::Target),
    /// Of a cursored stream.
    Cursored(cursored::Target),
}

/// Something a person or a metric wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A connection has completed no frame for `late_after`, for want of this.
    Late(ConnectionId, Lack),
    /// A slot rests, for that long.
    Rest {
        /// Which slot.
        slot: SlotId,
        /// For how long.
        rest: Duration,
    },
    /// A connection ended.
    Ended {
        /// Which connection.
        connection: ConnectionId,
        /// How.
        end: End,
        /// Whether events may have been lost by it.
        suspect: bool,
    },
    /// The service asks us to wait for longer than we would have.
    AskedToWait {
        /// For so long.
        asked: Duration,
        /// How long it is obeyed.
        wait: Duration,
    },
    /// What only a marked stream reports.
    Marked(marked::Report),
    /// What only a cursored stream reports.
    Cursored(cursored::Report),
}

/// What an incident is, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// Of a marked stream.
    Marked(marked::IncidentSummary),
    /// Of a cursored stream.
    Cursored(cursored::IncidentSummary),
}
