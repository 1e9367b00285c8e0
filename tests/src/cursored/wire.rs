//! One connection, as both sides see it.

use std::collections::VecDeque;

use streamkeeper_core::classify::End;
use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::watchdog::Watchdog;
use streamkeeper_simulator::model::Millis;

use super::server::Number;

/// What the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The head of a 200; `other`: it names another resume point than was asked for.
    Head {
        /// It does.
        other: bool,
    },
    /// An event.
    Event(Number),
    /// A heartbeat.
    Beat,
    /// The event that says that the resume point is lost.
    Reset,
    /// The named last event.
    Last,
    /// A `retry:` field.
    Retry(Millis),
    /// The end.
    End(End),
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    /// Its name.
    pub id: ConnectionId,
    /// The process that made it.
    pub process: u64,
    /// The cursor that it asked with.
    pub asked: Option<Number>,
    /// The first event that the server sends on it, once it has answered.
    pub first: Option<Number>,
    /// The server sends on it.
    pub serving: bool,
    /// Nothing that is sent arrives.
    pub hangs: bool,
    /// We read it, or shall.
    pub ours: bool,
    /// What is sent arrives in order: nothing before this.
    pub last_arrival: Millis,
    /// Counts its silence, once it is open.
    pub watchdog: Option<Watchdog>,
    /// It is not read: the sign of a lost point is behind us.
    pub held: bool,
    /// What has come while it was not read.
    pub waiting: VecDeque<Sent>,
    /// The number that is to come next, where ids count.
    pub due: Option<Number>,
    /// An event was told to the policies since the last heartbeat.
    pub told_data: bool,
}

impl Wire {
    /// A connection that is being made.
    #[must_use]
    pub fn new(id: ConnectionId, process: u64, asked: Option<Number>) -> Self {
        Self {
            id,
            process,
            asked,
            first: None,
            serving: false,
            hangs: false,
            ours: true,
            last_arrival: 0,
            watchdog: None,
            held: false,
            waiting: VecDeque::new(),
            due: None,
            told_data: false,
        }
    }
}
