//! The connection of the moment: what it asked with, and what came on it.

use crate::classify::End;
use crate::id::{ConnectionId, Cursor};
use crate::policy::SlotState;
use crate::time::Instant;

use super::pauses::Break;

/// One connection, from the attempt to its end.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) connection: ConnectionId,
    /// The cursor it asked with.
    pub(super) asked: Option<Cursor>,
    /// When its answer came.
    pub(super) opened: Option<Instant>,
    /// When it is as old as it may become.
    pub(super) rotate_at: Option<Instant>,
    /// A frame came on it.
    pub(super) proven: bool,
    /// An event came on it.
    pub(super) brought: bool,
    /// The server has said that its end is planned, and sent no event since.
    pub(super) planned: bool,
    /// What waits on it behind a sign of a lost resume point.
    pub(super) held: Option<Held>,
    /// Why we end it.
    pub(super) ending: Option<Ending>,
}

/// Until when what is behind a sign of a lost resume point waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Until the state of that number is durable.
    Record(u64),
    /// Until the snapshot is committed, if one is owed.
    Snapshot,
}

/// Why we end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// For its silence.
    Stale,
    /// For its age.
    Old,
    /// Another stream of the group is stale.
    Group,
    /// A person wanted it.
    Wanted,
}

impl Link {
    pub(super) const fn new(connection: ConnectionId, asked: Option<Cursor>) -> Self {
        Self {
            connection,
            asked,
            opened: None,
            rotate_at: None,
            proven: false,
            brought: false,
            planned: false,
            held: None,
            ending: None,
        }
    }

    /// What its end means for the next one; `before`: what the slot was doing.
    pub(super) fn broken(&self, end: End, before: SlotState) -> Break {
        let proper =
            matches!(end, End::Terminated { mid_event: false } | End::Closed { mid_event: false });
        match before {
            _ if self.ending == Some(Ending::Wanted) => Break::Wanted,
            SlotState::Draining { .. }
                if matches!(self.ending, Some(Ending::Old | Ending::Group)) =>
            {
                Break::Planned
            }
            SlotState::Draining { .. } => Break::Wanted,
            _ if self.ending == Some(Ending::Group) => Break::Stale,
            // A connection without an event counts as failed, whatever its end.
            _ if !self.brought => Break::Other(end),
            _ if self.ending == Some(Ending::Stale) => Break::Stale,
            _ if self.planned || proper => Break::Planned,
            _ => Break::Other(end),
        }
    }

    /// Whether events may have been sent, and not read, around its end, had nobody a cursor to go on from.
    pub(super) fn may_miss(&self, broken: Break) -> bool {
        let planned = self.planned || matches!(broken, Break::Wanted | Break::Planned);
        self.opened.is_some() && !planned
    }
}
